//! The AWS SDK over the one HTTP client of the process: one connection pool, one TLS stack.

use std::fmt;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::line::{chain, one_line};

/// The most characters of a [`reason`].
const MAX_REASON: usize = 300;

/// What every service client of the SDK is made from.
///
/// The SDK's own connector timeouts do not reach `http`: set them there. `endpoint_url` is for
/// local stacks; it takes the place of every service's own.
pub fn sdk_config(
    http: reqwest::Client,
    region: &str,
    credentials: SharedCredentialsProvider,
    endpoint_url: Option<&str>,
) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http_client(http));
    config.set_endpoint_url(endpoint_url.map(str::to_owned));
    config.build()
}

fn http_client(http: reqwest::Client) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(http));
    http_client_fn(move |_, _| connector.clone())
}

struct Connector(reqwest::Client);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move { call(&http, request).await })
    }
}

/// Bodies are whole in both directions: nothing that dnswatch calls streams.
async fn call(
    http: &reqwest::Client,
    request: HttpRequest,
) -> Result<Response<SdkBody>, ConnectorError> {
    let user = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
    let request = request
        .try_into_http1x()
        .map_err(|error| user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body
        .bytes()
        .map(<[u8]>::to_vec)
        .ok_or_else(|| user("a body that streams".into()))?;
    let answer = http
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .map_err(failed)?;
    let status = StatusCode::try_from(answer.status().as_u16())
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    let headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(failed)?;
    let mut response = Response::new(status, SdkBody::from(body));
    for (name, value) in &headers {
        // The SDK reads no header that is not text.
        if let Ok(value) = value.to_str() {
            response
                .headers_mut()
                .append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

/// Retryable errors (a broken connection, a timeout) are separated from the rest.
/// The URL stays out of the text: a pre-signed one would hold a secret.
fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

/// Why an operation failed, in one short line without secrets: the service's code and the first
/// line of its message (the lines that follow a refused signature repeat the request, its session
/// token included), or what is wrong with the connection.
pub fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata,
{
    let text = match error {
        SdkError::ServiceError(refused) => {
            let message = refused.err().message().unwrap_or_default();
            let message = message.lines().next().unwrap_or_default();
            let code = refused.err().code().unwrap_or("the service refused");
            match message {
                "" => code.to_owned(),
                message => format!("{code}: {message}"),
            }
        }
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::ResponseError(_) => "the answer cannot be read".to_owned(),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => chain(error),
            None => "the request was not sent".to_owned(),
        },
        SdkError::ConstructionFailure(_) => "the request could not be made".to_owned(),
        _ => "it failed".to_owned(),
    };
    one_line(&text, &[], MAX_REASON)
}
