//! The Lambda binary: environment and clients once, then one event after the other.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use ruler::environment::Environment;
use ruler::function::Function;
use ruler::log::{Level, Log};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let function = match set_up() {
        Ok(function) => function,
        Err(error) => {
            // There may be no level yet, and no secret that could be in it.
            Log::new(Level::Info, Vec::new(), std::io::stdout()).line(
                Level::Error,
                "the function is not configured",
                json!({"error": error}),
            );
            return ExitCode::FAILURE;
        }
    };
    match serve(&function) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = function.log().hide(&error.to_string());
            function
                .log()
                .line(Level::Error, "the runtime ended", json!({"error": error}));
            ExitCode::FAILURE
        }
    }
}

fn set_up() -> Result<Function, String> {
    let environment =
        Environment::read(|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    let log = Log::new(
        environment.log_level,
        environment.secrets(),
        std::io::stdout(),
    );
    Function::new(environment, log).map_err(|error| error.to_string())
}

/// One thread is enough: a sandbox has one event at a time, and mostly waits for answers.
fn serve(function: &Function) -> Result<(), Error> {
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = event.context.deadline();
        function.handle(&event.payload, deadline).await
    });
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(Runtime::new(handler).run())
}
