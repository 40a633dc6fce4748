//! The Lambda function `slack`.

use delivery::lambda;
use slack::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(|variable| std::env::var(variable).ok())?;
    lambda::serve(slack::function(config, lambda::log())?).await
}
