//! The Lambda function `pagerduty`.

use delivery::lambda;
use pagerduty::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(|variable| std::env::var(variable).ok())?;
    lambda::serve(pagerduty::function(config, lambda::log())?).await
}
