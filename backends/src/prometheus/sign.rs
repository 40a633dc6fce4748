//! AWS's Signature Version 4 on one request.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::Mutex;

use super::form;
use super::options::SigV4;
use crate::line::chain;

/// How long before their expiry credentials are refreshed.
const REFRESH_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Signs requests, each attempt separately.
#[derive(Debug)]
pub(super) struct Signer {
    options: SigV4,
    kept: Mutex<Option<Credentials>>,
}

impl Signer {
    pub(super) fn new(options: SigV4) -> Self {
        Self {
            options,
            kept: Mutex::new(None),
        }
    }

    /// Signs `request`, a form with the bytes `body`; says what failed otherwise.
    pub(super) async fn sign(
        &self,
        request: &mut Request,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), String> {
        let credentials = self.credentials(now).await?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.options.region)
            .name(&self.options.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| chain(&error))?
            .into();
        let headers = [(CONTENT_TYPE.as_str(), form::CONTENT_TYPE)];
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.url().as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body),
        )
        .map_err(|error| chain(&error))?;
        let (instructions, _) = sign(signable, &params)
            .map_err(|error| chain(&error))?
            .into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            let unfit =
                |_| "the AWS credentials hold a character that HTTP cannot carry".to_owned();
            let name =
                HeaderName::from_bytes(header.name().as_bytes()).map_err(|error| chain(&error))?;
            let mut value = HeaderValue::from_str(header.value()).map_err(unfit)?;
            value.set_sensitive(header.sensitive() || name == AUTHORIZATION);
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    /// Forgets the credentials that are kept, after a server refused them.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    /// What the provider gave last, or gives now. Those without an expiry are not kept: their
    /// provider holds them.
    async fn credentials(&self, now: SystemTime) -> Result<Credentials, String> {
        let mut kept = self.kept.lock().await;
        let fresh_until = now.checked_add(REFRESH_BEFORE).unwrap_or(now);
        if let Some(credentials) = kept.as_ref()
            && credentials.expiry().is_some_and(|at| at > fresh_until)
        {
            return Ok(credentials.clone());
        }
        let credentials = self
            .options
            .credentials
            .provide_credentials()
            .await
            .map_err(|error| chain(&error))?;
        *kept = Some(credentials.clone());
        Ok(credentials)
    }
}
