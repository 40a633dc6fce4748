//! The function's connections, made once: one HTTP client for Slack and AWS.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use backends::http::{HttpError, HttpOptions};

use crate::batch::Slack;
use crate::config::Config;
use crate::outcome::Log;
use crate::posted::Posted;
use crate::queue::Queue;
use crate::webhook::Source;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For AWS; a post to Slack sets its own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

impl Slack {
    /// The function of a configuration.
    pub fn new(config: Config, log: Log) -> Result<Self, HttpError> {
        let http = backends::http::client(&HttpOptions {
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            ..HttpOptions::default()
        })?;
        let aws = backends::aws::sdk_config(
            http.clone(),
            &config.region,
            SharedCredentialsProvider::new(config.credentials),
            config.endpoint_url.as_deref(),
        );
        Ok(Self {
            webhook: Source::new(
                aws_sdk_secretsmanager::Client::new(&aws),
                config.webhook_secret,
                config.webhook_origin,
            ),
            posted: Posted::new(aws_sdk_dynamodb::Client::new(&aws), config.table),
            queue: Queue::new(aws_sdk_sqs::Client::new(&aws), config.queue_url),
            http,
            log,
        })
    }
}
