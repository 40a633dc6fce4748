//! What a channel is let in by: a secret of Secrets Manager, kept nowhere else.

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::aws_error::why;
use crate::channel::SendError;

/// How long a secret is used before it is read again.
const TTL: SignedDuration = SignedDuration::from_mins(5);

/// Reads what a secret holds. Its error says what it should hold, and nothing of what it does.
type Read<T> = Box<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// A secret, read when it is needed and then kept for five minutes.
pub struct Secret<T> {
    secrets: Client,
    id: String,
    read: Read<T>,
    kept: Mutex<Option<(T, Timestamp)>>,
}

impl<T: Clone + PartialEq> Secret<T> {
    /// The secret of an ARN or a name, as `read` reads it.
    pub fn new(
        secrets: Client,
        id: String,
        read: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            secrets,
            id,
            read: Box::new(read),
            kept: Mutex::new(None),
        }
    }

    /// The secret's value. If it cannot be read again, the last known value is used.
    pub async fn get(&self, now: Timestamp) -> Result<T, SendError> {
        let mut kept = self.kept.lock().await;
        if let Some((value, read)) = &*kept
            && (SignedDuration::ZERO..TTL).contains(&now.duration_since(*read))
        {
            return Ok(value.clone());
        }
        match (self.fetch().await, &*kept) {
            (Ok(value), _) => {
                *kept = Some((value.clone(), now));
                Ok(value)
            }
            (Err(SendError::Transient(_)), Some((value, _))) => Ok(value.clone()),
            (Err(error), _) => Err(error),
        }
    }

    /// After the service refused `refused`: what the secret holds by now, if it is another.
    pub async fn another(&self, refused: &T, now: Timestamp) -> Option<T> {
        let mut kept = self.kept.lock().await;
        *kept = None;
        let value = self.fetch().await.ok()?;
        *kept = Some((value.clone(), now));
        (value != *refused).then_some(value)
    }

    async fn fetch(&self) -> Result<T, SendError> {
        let request = self.secrets.get_secret_value().secret_id(&self.id);
        let answer = request.send().await;
        let answer = answer.map_err(|error| {
            SendError::Transient(format!("cannot read the secret: {}", why(&error)))
        })?;
        let secret = answer.secret_string().ok_or_else(|| {
            let problem = "the secret is binary, or has no value: it must be text";
            SendError::Refused(problem.to_owned())
        })?;
        (self.read)(secret).map_err(SendError::Refused)
    }
}
