//! A function that does nothing, written as lambda_runtime's own example is and built as the ruler:
//! what `make bench` compares the ruler's start with.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let echo = service_fn(|event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) });
    run(echo).await
}
