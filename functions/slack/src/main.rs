//! The Lambda function `slack`.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::anyhow;
use aws_lambda_events::event::sqs::SqsEvent;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use slack::{Config, Run, Slack};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(|variable| std::env::var(variable).ok())?;
    let log = Arc::new(|line: &str| {
        // Where the log cannot be written, there is nobody to tell.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    });
    let slack = &Slack::new(config, log)?;
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let deadline = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        let deadline = Timestamp::from_millisecond(deadline).unwrap_or(Timestamp::MAX);
        let run = Run {
            id: &event.context.request_id,
            deadline,
        };
        let answer = slack.handle(event.payload, run).await;
        answer.map_err(lambda_runtime::Error::from)
    });
    let ended = lambda_runtime::run(handler).await;
    ended.map_err(|error| anyhow!("the Lambda runtime ended: {error}"))
}
