//! What a [`Client`](super::Client) is built from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use super::backoff::Backoff;

/// Where the time of signatures and of `Retry-After` dates comes from.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How to reach one Prometheus API, and how long to bear with it.
#[derive(Clone)]
pub struct ClientOptions {
    /// What stands before `/api/v1/query`: `http://localhost:9090`, or an AMP workspace's
    /// endpoint. A trailing slash and the API's own paths may be there and are taken off.
    pub url: String,
    /// How to say who asks.
    pub auth: Auth,
    /// More request headers, such as `X-Scope-OrgID`. Their values count as secrets.
    pub headers: Vec<(String, String)>,
    /// The most bytes of an answer, decompressed.
    pub max_answer_bytes: usize,
    /// How many requests may be under way at once.
    pub concurrency: usize,
    /// How long one attempt may take, from connecting to the last byte.
    pub request_timeout: Duration,
    /// How failed attempts are repeated.
    pub backoff: Backoff,
    /// The seed of the randomness in the back-off.
    pub jitter_seed: u64,
    /// The wall clock.
    pub clock: Clock,
}

impl ClientOptions {
    /// The defaults for `url`: no authentication, 64 MiB an answer, 4 requests at once, 30 s an
    /// attempt, the system's clock.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            headers: Vec::new(),
            max_answer_bytes: 64 << 20,
            concurrency: 4,
            request_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
            jitter_seed: 0,
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ClientOptions")
            .field("auth", &self.auth)
            .field("headers", &names)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .field("concurrency", &self.concurrency)
            .field("request_timeout", &self.request_timeout)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

/// How a request says who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// HTTP's basic authentication.
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
    /// AWS's Signature Version 4, as AMP wants it.
    SigV4(SigV4),
}

/// Signature Version 4.
#[derive(Debug, Clone)]
pub struct SigV4 {
    /// The workspace's region.
    pub region: String,
    /// The service that is signed for.
    pub service: String,
    /// Asked before a request is signed, unless what it gave last is good for longer than five
    /// minutes.
    pub credentials: SharedCredentialsProvider,
}

impl SigV4 {
    /// Signing for AMP (`aps`) in `region`; `credentials` may be plain
    /// [`Credentials`](aws_credential_types::Credentials).
    pub fn amp(region: impl Into<String>, credentials: impl ProvideCredentials + 'static) -> Self {
        Self {
            region: region.into(),
            service: "aps".to_owned(),
            credentials: SharedCredentialsProvider::new(credentials),
        }
    }
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why there is no [`Client`](super::Client): the configuration's fault.
///
/// The URL itself is not repeated, since a refused one may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL cannot be used.
    #[error("the Prometheus URL is not usable: {0}")]
    Url(String),
    /// A header of the configuration cannot be sent.
    #[error("the header {name:?} cannot be sent: {reason}")]
    Header {
        /// The header's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Name, password or token cannot be sent in a header.
    #[error("the credentials hold a character that HTTP cannot carry")]
    Credentials,
    /// The HTTP client could not be built.
    #[error("cannot set up the HTTP client")]
    Http(#[from] reqwest::Error),
}
