//! Receivers and their integrations.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::template::notification::NotificationTemplate;

/// A receiver, with Alertmanager's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receiver {
    /// The name that routes know it by.
    pub name: String,
    /// What Alertmanager's API knows it by beside its name.
    pub labels: BTreeMap<String, String>,
    /// Its SNS topics. A receiver without integrations gets nothing, which is how Alertmanager's
    /// users silence a route.
    pub sns: Vec<SnsConfig>,
    /// Whether its notifications are printed to the terminal.
    pub terminal: bool,
    /// What its definition in AMP names and dnswatch does not deliver to: `pagerduty_configs`.
    pub undelivered: Vec<String>,
}

/// One topic of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnsConfig {
    /// The topic.
    pub topic_arn: TopicArn,
    /// Whether resolved alerts are notified.
    pub send_resolved: bool,
    /// The role by which it is published to, of another account for example.
    pub role: Option<PublishRole>,
    /// The user's own text, in the place of ours.
    pub text: Option<SnsText>,
}

/// A role that is assumed to publish.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishRole {
    /// Its ARN.
    pub arn: String,
    /// What the role's trust may ask for.
    pub external_id: Option<String>,
}

/// A message as the user wrote it: it is sent as it is, to every protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnsText {
    /// The subject.
    pub subject: NotificationTemplate,
    /// The body.
    pub message: NotificationTemplate,
    /// The message attributes.
    pub attributes: BTreeMap<String, NotificationTemplate>,
}

impl SnsConfig {
    /// A topic that gets all notifications, with the default text.
    pub fn from_topic(topic_arn: TopicArn) -> Self {
        Self {
            topic_arn,
            send_resolved: true,
            role: None,
            text: None,
        }
    }
}

/// One integration of a receiver. Each is notified and logged separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integration<'a> {
    /// Text where the ruler runs.
    Terminal,
    /// A topic.
    Sns(&'a SnsConfig),
}

impl Receiver {
    /// A receiver that prints to the terminal.
    pub fn terminal(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            sns: Vec::new(),
            terminal: true,
            undelivered: Vec::new(),
        }
    }

    /// The receiver's channels, each with its name in the receiver, `sns[0]` for example: the
    /// place in the configuration, as Alertmanager's notification log has it.
    pub fn integrations(&self) -> impl Iterator<Item = (String, Integration<'_>)> {
        let sns = self.sns.iter().map(Integration::Sns).enumerate();
        let sns = sns.map(|(at, integration)| (format!("sns[{at}]"), integration));
        let terminal = self.terminal.then_some(Integration::Terminal);
        sns.chain(terminal.map(|integration| ("terminal[0]".to_owned(), integration)))
    }

    /// The channel of that name, if there still is one.
    pub fn integration(&self, name: &str) -> Option<Integration<'_>> {
        let mut all = self.integrations();
        all.find(|(known, _)| known == name)
            .map(|(_, integration)| integration)
    }
}

impl Integration<'_> {
    /// Whether resolved alerts are notified.
    pub fn send_resolved(self) -> bool {
        match self {
            Self::Terminal => true,
            Self::Sns(sns) => sns.send_resolved,
        }
    }
}

/// The ARN of an SNS topic: `arn:aws:sns:eu-central-1:123456789012:alerts`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicArn {
    text: String,
    region: String,
}

/// Why a text names no topic that can be published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicArnError {
    /// A Go template, which Alertmanager would expand for each notification.
    #[error("templates are not supported yet: write the ARN itself")]
    Template,
    /// Not the form of a topic's ARN.
    #[error(
        "this is no ARN of an SNS topic: write for example \
         arn:aws:sns:eu-central-1:123456789012:alerts"
    )]
    Form,
    /// The ARN of a subscription to a topic.
    #[error("this is the ARN of a subscription: leave out what follows the topic's name")]
    Subscription,
    /// A FIFO topic.
    #[error(
        "a FIFO topic reaches neither e-mail nor HTTPS and is not supported: use a standard one"
    )]
    Fifo,
}

impl TopicArn {
    /// The region that the topic is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TopicArn {
    type Err = TopicArnError;

    fn from_str(text: &str) -> Result<Self, TopicArnError> {
        if text.contains("{{") {
            return Err(TopicArnError::Template);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (partition, region, account, name, is_subscription) = match *parts.as_slice() {
            ["arn", partition, "sns", region, account, name] => {
                (partition, region, account, name, false)
            }
            ["arn", partition, "sns", region, account, name, _] => {
                (partition, region, account, name, true)
            }
            _ => return Err(TopicArnError::Form),
        };
        let is_word = |text: &str, also: fn(u8) -> bool| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-' || also(b))
        };
        let (base, is_fifo) = match name.strip_suffix(".fifo") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let is_topic = partition.starts_with("aws")
            && is_word(partition, |_| false)
            && is_word(region, |b| b.is_ascii_digit())
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && name.len() <= 256
            && is_word(base, |b| b.is_ascii_alphanumeric() || b == b'_');
        match (is_topic, is_subscription, is_fifo) {
            (false, _, _) => Err(TopicArnError::Form),
            (true, true, _) => Err(TopicArnError::Subscription),
            (true, false, true) => Err(TopicArnError::Fifo),
            (true, false, false) => Ok(Self {
                text: text.to_owned(),
                region: region.to_owned(),
            }),
        }
    }
}
