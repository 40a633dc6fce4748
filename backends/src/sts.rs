//! Credentials of a role that is assumed, such as one in the account of a central workspace.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::Client;
use aws_types::SdkConfig;

use crate::aws::reason;

/// `AssumeRole`, each time credentials are asked for. Who asks keeps them until shortly before
/// they expire, as the SDK's clients and the Prometheus client do.
#[derive(Debug, Clone)]
pub struct AssumedRole {
    client: Client,
    role_arn: String,
    session_name: String,
    external_id: Option<String>,
}

impl AssumedRole {
    /// The role `role_arn`, assumed with the credentials of `config`; `session_name` (2 to 64
    /// letters, digits and `=,.@-_`) shows in the other account's CloudTrail.
    pub fn new(
        config: &SdkConfig,
        role_arn: impl Into<String>,
        session_name: impl Into<String>,
    ) -> Self {
        Self {
            client: Client::new(config),
            role_arn: role_arn.into(),
            session_name: session_name.into(),
            external_id: None,
        }
    }

    /// The same with what the role's trust may ask for.
    #[must_use]
    pub fn with_external_id(mut self, external_id: Option<String>) -> Self {
        self.external_id = external_id;
        self
    }

    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let refused = |reason: String| {
            CredentialsError::provider_error(format!("AssumeRole of {}: {reason}", self.role_arn))
        };
        let assumed = self
            .client
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(&self.session_name)
            .set_external_id(self.external_id.clone())
            .send()
            .await
            .map_err(|error| refused(reason(&error)))?;
        let credentials = assumed
            .credentials()
            .ok_or_else(|| refused("the answer holds no credentials".to_owned()))?;
        let expires = SystemTime::try_from(*credentials.expiration())
            .map_err(|_| refused("the answer's expiry is no time".to_owned()))?;
        Ok(Credentials::new(
            credentials.access_key_id(),
            credentials.secret_access_key(),
            Some(credentials.session_token().to_owned()),
            Some(expires),
            "AssumeRole",
        ))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
