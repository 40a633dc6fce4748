//! What Alertmanager knows and dnswatch does not read, so that it is refused by its name and
//! for its reason (`config/config.go` and `notify/*/config.go` of Alertmanager 0.35).

/// A mapping of the file, as it is called in error messages, with what Alertmanager knows there
/// beyond what is read.
pub(super) struct Known {
    /// What the mapping is called.
    pub(super) what: &'static str,
    /// What is read, for those who mistyped it.
    pub(super) read: &'static str,
    later: &'static [(&'static str, &'static str)],
}

pub(super) const FILE: Known = Known {
    what: "an Alertmanager configuration",
    read: "`global`, `route`, `receivers`, `inhibit_rules`, `time_intervals`, `templates`",
    later: &[],
};

pub(super) const TRACING: Known = Known {
    what: "`tracing`",
    read: "`client_type`, `endpoint`, `compression`, `timeout`",
    later: &[],
};

/// What of `tracing` is left to Alertmanager to check.
pub(super) const HARMLESS_TRACING: &[&str] =
    &["sampling_fraction", "insecure", "tls_config", "headers"];

pub(super) const EVENT_RECORDER: Known = Known {
    what: "`event_recorder`",
    read: "`file_outputs`, `webhook_outputs`, `kafka_outputs`, `stdout_outputs`",
    later: &[],
};

/// Fields of the outputs of `event_recorder`, by their kind, that are left to Alertmanager.
pub(super) const EVENT_OUTPUTS: [(&str, &[&str]); 4] = [
    ("file", &["name", "path"]),
    (
        "webhook",
        &[
            "name",
            "url",
            "http_config",
            "timeout",
            "workers",
            "max_retries",
            "retry_backoff",
            "batch",
            "batch_max_events",
            "batch_max_bytes",
            "batch_flush_interval",
        ],
    ),
    (
        "kafka",
        &[
            "name",
            "brokers",
            "topic",
            "client_id",
            "format",
            "acks",
            "compression",
            "buffer_size",
            "tls_config",
        ],
    ),
    ("stdout", &["name"]),
];

/// Of these in `global` at most one may be set.
pub(super) const EITHER_GLOBAL: &[(&[&str], &[&str])] = &[
    (&["slack_app_token"], &["slack_app_token_file"]),
    (&["slack_api_url"], &["slack_api_url_file"]),
    (
        &["slack_app_token", "slack_app_token_file"],
        &["slack_api_url", "slack_api_url_file"],
    ),
    (&["opsgenie_api_key"], &["opsgenie_api_key_file"]),
    (&["victorops_api_key"], &["victorops_api_key_file"]),
    (&["telegram_bot_token"], &["telegram_bot_token_file"]),
    (&["smtp_auth_password"], &["smtp_auth_password_file"]),
    (&["rocketchat_token"], &["rocketchat_token_file"]),
    (&["rocketchat_token_id"], &["rocketchat_token_id_file"]),
    (&["smtp_auth_secret"], &["smtp_auth_secret_file"]),
    (&["wechat_api_secret"], &["wechat_api_secret_file"]),
    (
        &["mattermost_webhook_url"],
        &["mattermost_webhook_url_file"],
    ),
];

/// Defaults for receivers of other kinds, which there are none of: without effect, and without
/// harm.
pub(super) const HARMLESS_GLOBALS: &[&str] = &[
    "http_config",
    "jira_api_url",
    "mattermost_webhook_url",
    "mattermost_webhook_url_file",
    "opsgenie_api_key",
    "opsgenie_api_key_file",
    "opsgenie_api_url",
    "pagerduty_url",
    "rocketchat_api_url",
    "rocketchat_token",
    "rocketchat_token_file",
    "rocketchat_token_id",
    "rocketchat_token_id_file",
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_token_file",
    "slack_app_url",
    "smtp_auth_identity",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_auth_username",
    "smtp_force_implicit_tls",
    "smtp_from",
    "smtp_hello",
    "smtp_require_tls",
    "smtp_smarthost",
    "smtp_tls_config",
    "telegram_api_url",
    "telegram_bot_token",
    "telegram_bot_token_file",
    "victorops_api_key",
    "victorops_api_key_file",
    "victorops_api_url",
    "webex_api_url",
    "wechat_api_corp_id",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_url",
];

pub(super) const GLOBAL: Known = Known {
    what: "`global`",
    read: "`resolve_timeout`, and defaults of other kinds of receivers,",
    later: &[],
};

pub(super) const ROUTE: Known = Known {
    what: "a route",
    read: "`receiver`, `matchers`, `match`, `match_re`, `continue`, `group_by`, `group_wait`, \
           `group_interval`, `repeat_interval`, `mute_time_intervals`, `active_time_intervals`, \
           `labels`, `routes`",
    later: &[],
};

pub(super) const INHIBIT_RULE: Known = Known {
    what: "an inhibition rule",
    read: "`name`, `source_matchers`, `source_match`, `source_match_re`, `target_matchers`, \
           `target_match`, `target_match_re`, `equal`",
    later: &[],
};

pub(super) const NAMED_INTERVALS: Known = Known {
    what: "an entry of `time_intervals`",
    read: "`name`, `time_intervals`",
    later: &[],
};

pub(super) const INTERVAL: Known = Known {
    what: "a time interval",
    read: "`times`, `weekdays`, `days_of_month`, `months`, `years`, `location`",
    later: &[],
};

pub(super) const TIMES: Known = Known {
    what: "an entry of `times`",
    read: "`start_time`, `end_time`",
    later: &[],
};

const BY_SNS: &str = "not supported: dnswatch sends by `sns_configs`, and whatever else is \
                      wanted subscribes to the topic";

pub(super) const RECEIVER: Known = Known {
    what: "a receiver",
    read: "`name`, `labels`, `sns_configs`",
    later: &[
        ("discord_configs", BY_SNS),
        ("email_configs", BY_SNS),
        ("incidentio_configs", BY_SNS),
        ("jira_configs", BY_SNS),
        ("mattermost_configs", BY_SNS),
        ("msteams_configs", BY_SNS),
        ("msteamsv2_configs", BY_SNS),
        ("opsgenie_configs", BY_SNS),
        ("pagerduty_configs", BY_SNS),
        ("pushover_configs", BY_SNS),
        ("rocketchat_configs", BY_SNS),
        ("slack_configs", BY_SNS),
        ("telegram_configs", BY_SNS),
        ("victorops_configs", BY_SNS),
        ("webex_configs", BY_SNS),
        ("webhook_configs", BY_SNS),
        ("wechat_configs", BY_SNS),
    ],
};

const TOPICS_ONLY: &str = "not supported: dnswatch publishes to topics, so write `topic_arn`";

pub(super) const SNS: Known = Known {
    what: "an entry of `sns_configs`",
    read: "`topic_arn`, `send_resolved`, `sigv4`, `subject`, `message`, `attributes`",
    later: &[
        (
            "api_url",
            "not supported: a topic is published to in its own region",
        ),
        (
            "http_config",
            "not supported: the topic is reached directly",
        ),
        ("phone_number", TOPICS_ONLY),
        ("target_arn", TOPICS_ONLY),
    ],
};

const OWN_ROLE: &str = "not supported: dnswatch publishes with the credentials that it runs with, \
                        or by the role in `role_arn`";

pub(super) const SIGV4: Known = Known {
    what: "`sigv4`",
    read: "`region`, `role_arn`, `external_id`",
    later: &[
        ("access_key", OWN_ROLE),
        ("profile", OWN_ROLE),
        ("secret_key", OWN_ROLE),
        ("use_fips_sts_endpoint", "not supported"),
    ],
};

impl Known {
    /// Whether Alertmanager knows `key`, though it is not read here.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.later.iter().any(|(name, _)| *name == key)
    }

    /// Why `key` is refused.
    pub(super) fn refusal(&self, key: &str) -> String {
        match self.later.iter().find(|(name, _)| *name == key) {
            Some((_, why)) => format!("`{key}` is {why}"),
            None => format!("{} has no field `{key}`: {} are read", self.what, self.read),
        }
    }
}
