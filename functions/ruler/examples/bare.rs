//! A function that does nothing, built alike: what `make bench` compares the ruler's start with.

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::Value;

fn main() -> Result<(), Error> {
    let echo = service_fn(|event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) });
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(Runtime::new(echo).run())
}
