//! What Alertmanager knows and dnswatch does not read, so that it is refused by its name and
//! for its reason (`config/config.go` and `config/notifiers.go` of Alertmanager 0.25 to 0.28).

/// A mapping of the file, as it is called in error messages, with what Alertmanager knows there
/// beyond what is read.
pub(super) struct Known {
    /// What the mapping is called.
    pub(super) what: &'static str,
    /// What is read, for those who mistyped it.
    pub(super) read: &'static str,
    later: &'static [(&'static str, &'static str)],
}

const YET: &str = "not supported yet";

pub(super) const FILE: Known = Known {
    what: "an Alertmanager configuration",
    read: "`route`, `receivers`",
    later: &[
        ("global", YET),
        ("inhibit_rules", YET),
        ("mute_time_intervals", YET),
        ("templates", YET),
        ("time_intervals", YET),
        ("tracing", "without meaning here"),
    ],
};

pub(super) const ROUTE: Known = Known {
    what: "a route",
    read: "`receiver`, `group_by`, `group_wait`, `group_interval`, `repeat_interval`",
    later: &[
        ("active_time_intervals", YET),
        ("continue", YET),
        ("labels", YET),
        ("match", YET),
        ("match_re", YET),
        ("matchers", YET),
        ("mute_time_intervals", YET),
        ("routes", YET),
    ],
};

const BY_SNS: &str = "not supported: dnswatch sends by `sns_configs`, and whatever else is \
                      wanted subscribes to the topic";

pub(super) const RECEIVER: Known = Known {
    what: "a receiver",
    read: "`name`, `sns_configs`",
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
    read: "`topic_arn`, `send_resolved`, `sigv4`",
    later: &[
        ("api_url", YET),
        ("attributes", YET),
        ("http_config", YET),
        ("message", YET),
        ("phone_number", TOPICS_ONLY),
        ("subject", YET),
        ("target_arn", TOPICS_ONLY),
        ("use_aws_http_client", "without meaning here"),
    ],
};

const OWN_ROLE: &str = "not supported: dnswatch publishes with the credentials that it runs with";

pub(super) const SIGV4: Known = Known {
    what: "`sigv4`",
    read: "`region`",
    later: &[
        ("access_key", OWN_ROLE),
        ("external_id", OWN_ROLE),
        ("profile", OWN_ROLE),
        ("role_arn", OWN_ROLE),
        ("secret_key", OWN_ROLE),
        ("use_fips_sts_endpoint", OWN_ROLE),
    ],
};

impl Known {
    /// Why `key` is refused.
    pub(super) fn refusal(&self, key: &str) -> String {
        match self.later.iter().find(|(name, _)| *name == key) {
            Some((_, why)) => format!("`{key}` is {why}"),
            None => format!("{} has no field `{key}`: {} are read", self.what, self.read),
        }
    }
}
