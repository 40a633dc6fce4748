//! A function that does nothing, on one thread and with the pieces that the ruler has: the least that
//! a start with lambda_runtime can cost, for `make bench`.

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::Value;

fn main() -> Result<(), Error> {
    let echo = service_fn(|event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) });
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(Runtime::new(echo).run())
}
