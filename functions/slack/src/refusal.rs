//! What Slack's words for an error mean for a message.
//!
//! The words are those that the documentation of `chat.postMessage` and `chat.update` lists
//! (docs.slack.dev, methods), and those of incoming webhooks, which come with an HTTP status.

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many messages.
    TooMany,
    /// Slack failed, or is moving house: it may work later.
    Passing,
    /// The message that was to be changed or answered is not there, or can no longer be.
    Gone,
    /// The token or the webhook is no longer good, or may not do this there. Another secret may.
    Access,
    /// Whatever else: nothing but a change helps.
    ForGood,
}

impl Refusal {
    /// The meaning of a word.
    pub fn parse(word: &str) -> Self {
        match word {
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => Self::TooMany,
            "fatal_error"
            | "internal_error"
            | "service_unavailable"
            | "request_timeout"
            | "team_added_to_org"
            | "org_login_required"
            | "rollup_error" => Self::Passing,
            "message_not_found"
            | "cant_update_message"
            | "edit_window_closed"
            | "cannot_reply_to_message"
            | "thread_not_found"
            | "restricted_action_thread_locked"
            | "restricted_action_non_threadable_channel" => Self::Gone,
            "invalid_auth"
            | "not_authed"
            | "token_revoked"
            | "token_expired"
            | "account_inactive"
            | "missing_scope"
            | "no_permission"
            | "not_allowed_token_type"
            | "access_denied"
            | "accesslimited"
            | "channel_not_found"
            | "not_in_channel"
            | "is_archived"
            | "no_service"
            | "no_service_id"
            | "no_team"
            | "invalid_token"
            | "channel_is_archived"
            | "action_prohibited" => Self::Access,
            _ => Self::ForGood,
        }
    }
}
