//! The part of Slack's Block Kit that is used here, as it is sent.

use serde::Serialize;

/// Slack's limits (docs.slack.dev, Block Kit reference). Texts are counted in UTF-16 units here,
/// which is never less than what Slack counts.
pub mod limits {
    /// Blocks of a message, those of its attachment included.
    pub const BLOCKS: usize = 50;
    /// Characters of a header.
    pub const HEADER: usize = 150;
    /// Characters of a text object.
    pub const TEXT: usize = 3_000;
    /// Fields of a section.
    pub const FIELDS: usize = 10;
    /// Characters of a field.
    pub const FIELD: usize = 2_000;
    /// Elements of a context.
    pub const ELEMENTS: usize = 10;
    /// Characters of all blocks together. Not documented: from about 11,000 on messages were
    /// refused as `msg_blocks_too_long` (slackapi/bolt-js#2509, #2867).
    pub const ALL: usize = 10_000;
}

/// A message, as an incoming webhook takes it.
#[derive(Debug, Serialize)]
pub struct Payload {
    /// What a notification on a screen shows; the blocks are the message.
    pub text: String,
    /// False: `text` is no markup.
    pub mrkdwn: bool,
    /// False: Slack visits no link on the message's behalf.
    pub unfurl_links: bool,
    /// The same for images.
    pub unfurl_media: bool,
    /// The head.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What stands beside the coloured bar.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

impl Payload {
    /// A payload that is shown as given.
    pub fn new(text: String, blocks: Vec<Block>, attachments: Vec<Attachment>) -> Self {
        Self {
            text,
            mrkdwn: false,
            unfurl_links: false,
            unfurl_media: false,
            blocks,
            attachments,
        }
    }
}

/// The arguments of `chat.postMessage`.
#[derive(Debug, Serialize)]
pub struct Post<'a> {
    /// The channel's id.
    pub channel: &'a str,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_ts: Option<&'a str>,
    /// Whether an answer is shown in the channel, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reply_broadcast: bool,
    /// What is posted.
    #[serde(flatten)]
    pub payload: &'a Payload,
}

/// The arguments of `chat.update`. Both lists are always there, since Slack keeps one that is not.
#[derive(Debug, Serialize)]
pub struct Update<'a> {
    /// The channel's id.
    pub channel: &'a str,
    /// The message that is changed.
    pub ts: &'a str,
    /// `none`: Slack makes no links and mentions of its own, as it would by default here.
    pub parse: &'static str,
    /// See [`Payload`].
    pub text: &'a str,
    /// See [`Payload`].
    pub blocks: &'a [Block],
    /// See [`Payload`].
    pub attachments: &'a [Attachment],
}

/// An attachment: blocks beside a coloured bar.
#[derive(Debug, Serialize)]
pub struct Attachment {
    /// The bar's colour, `#rrggbb`.
    pub color: &'static str,
    /// For clients without blocks.
    pub fallback: String,
    /// What it shows.
    pub blocks: Vec<Block>,
}

/// A block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// A line in large letters.
    Header {
        /// Plain text.
        text: Text,
    },
    /// A paragraph, fields in two columns, or both.
    Section {
        /// The paragraph.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        /// The fields.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
    },
    /// Small print.
    Context {
        /// At least one.
        elements: Vec<Text>,
    },
}

impl Block {
    /// How long Slack may count it.
    pub fn length(&self) -> usize {
        // The tags of a block were seen to count too.
        const TAGS: usize = 50;
        let texts: usize = match self {
            Self::Header { text } => text.length(),
            Self::Section { text, fields } => text.iter().chain(fields).map(Text::length).sum(),
            Self::Context { elements } => elements.iter().map(Text::length).sum(),
        };
        TAGS + texts
    }
}

/// A text object.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Text {
    /// Shown as it is.
    PlainText {
        /// Escaped text.
        text: String,
        /// False: `:name:` is no picture.
        emoji: bool,
    },
    /// Slack's markup.
    Mrkdwn {
        /// Markup.
        text: String,
        /// True: Slack makes no links or mentions of its own.
        verbatim: bool,
    },
}

impl Text {
    /// Escaped text, shown as it is.
    pub fn plain(text: String) -> Self {
        Self::PlainText { text, emoji: false }
    }

    /// Markup, in which Slack adds no links or mentions of its own.
    pub fn markup(text: String) -> Self {
        Self::Mrkdwn {
            text,
            verbatim: true,
        }
    }

    fn length(&self) -> usize {
        let (Self::PlainText { text, .. } | Self::Mrkdwn { text, .. }) = self;
        crate::escape::length(text)
    }
}
