//! The server that is asked, as every command that asks one takes it.

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use backends::http::{self, HttpOptions};
use backends::prometheus::{Auth, Client, ClientOptions, SigV4};

/// How it is asked.
#[derive(clap::Args)]
pub(crate) struct Access {
    /// Sign queries for AMP in this region, with the credentials in AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
    #[arg(long, value_name = "REGION")]
    sigv4_region: Option<String>,
}

impl Access {
    /// A client for the server at `url`.
    pub(crate) fn client(&self, url: &str) -> Result<Client> {
        let mut options = ClientOptions::new(url);
        options.jitter_seed = fastrand::u64(..);
        if let Some(region) = &self.sigv4_region {
            options.auth = Auth::SigV4(SigV4::amp(region, credentials()?));
        }
        let http = http::client(&HttpOptions::default())?;
        Client::new(http, options).context("--url")
    }
}

fn credentials() -> Result<Credentials> {
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("--sigv4-region needs {name} to be set"))
    };
    Ok(Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
}
