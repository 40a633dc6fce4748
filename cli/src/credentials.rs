//! The AWS credentials of the command line.

use anyhow::{Context as _, Result};
use aws_credential_types::Credentials;

/// What `AWS_ACCESS_KEY_ID` and its companions hold.
pub(crate) fn of_environment() -> Result<Credentials> {
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("signing for AMP needs {name} to be set"))
    };
    Ok(Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
}
