//! The function as Lambda runs it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_types::SdkConfig;
use backends::aws_time::WatchTime;
use backends::http::{HttpError, HttpOptions};
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};

use crate::batch::{Function, Run};
use crate::channel::Channel;
use crate::environment::Environment;
use crate::outcome::Log;
use crate::posted::Posted;
use crate::queue::Queue;
use crate::turn::Turns;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For AWS; what a channel sends sets its own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the log goes: a line an outcome, on standard output.
pub fn log() -> Log {
    Arc::new(|line: &str| {
        // A log that cannot be written leaves nothing to report to.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    })
}

/// The function's connections, made once: one HTTP client for AWS and the service, which `channel`
/// is made with.
pub fn function<C: Channel>(
    environment: Environment,
    log: Log,
    channel: impl FnOnce(&SdkConfig, reqwest::Client) -> C,
) -> Result<Function<C>, HttpError> {
    let http = backends::http::client(&HttpOptions {
        connect_timeout: CONNECT_TIMEOUT,
        request_timeout: REQUEST_TIMEOUT,
        ..HttpOptions::default()
    })?;
    let aws = backends::aws::sdk_config(
        http.clone(),
        &environment.region,
        SharedCredentialsProvider::new(environment.credentials),
        environment.endpoint_url.as_deref(),
    );
    let time = WatchTime::default();
    let table = aws_sdk_dynamodb::config::Builder::from(&aws).interceptor(time.clone());
    let table = aws_sdk_dynamodb::Client::from_conf(table.build());
    Ok(Function {
        channel: channel(&aws, http),
        posted: Posted::new(table.clone(), environment.table.clone()),
        turns: Turns::new(table, environment.table),
        queue: Queue::new(aws_sdk_sqs::Client::new(&aws), environment.queue_url),
        log,
        time,
        now: Arc::new(Timestamp::now),
    })
}

/// Takes events until Lambda ends it.
pub async fn serve<C: Channel>(function: Function<C>) -> anyhow::Result<()> {
    let function = &function;
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        let deadline = Timestamp::from_millisecond(deadline).unwrap_or(Timestamp::MAX);
        let run = Run {
            id: &event.context.request_id,
            deadline,
        };
        // On the heap: it is large, and the runtime would carry it through every layer of its own.
        let answer = Box::pin(function.handle(event.payload, run)).await;
        answer.map_err(lambda_runtime::Error::from)
    });
    let ended = lambda_runtime::run(handler).await;
    ended.map_err(|error| anyhow!("the Lambda runtime ended: {error}"))
}
