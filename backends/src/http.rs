//! The one HTTP client of the process: reqwest over rustls on ring, trusting Mozilla's roots and
//! the user's own certificates.
//!
//! The TLS provider is handed over rather than installed for the process, so that nothing depends
//! on who installs one first. With ring a first connection costs far less at start than with
//! aws-lc.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// How connections are made.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Certificates in PEM to trust beside Mozilla's: a proxy's, or a private authority's.
    pub extra_ca: Option<Vec<u8>>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a request may take, from connecting to the last byte, where the caller says
    /// nothing else.
    pub request_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            extra_ca: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Why there is no HTTP client: the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The extra certificates cannot be used.
    #[error("the extra CA certificates are not usable: {0}")]
    ExtraCa(String),
    /// There is no TLS with what this program was built with.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be built.
    #[error("cannot set up the HTTP client")]
    Http(#[from] reqwest::Error),
}

/// A client; cheap to clone, and its clones share their connections.
///
/// It follows no redirects (a form or a signature would be lost, or leak) and repeats nothing:
/// who uses it knows what may be repeated.
pub fn client(options: &HttpOptions) -> Result<reqwest::Client, HttpError> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls(options.extra_ca.as_deref())?)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .user_agent(concat!("dnswatch/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

fn tls(extra_ca: Option<&[u8]>) -> Result<ClientConfig, HttpError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(pem) = extra_ca {
        let refused = |error: &dyn std::fmt::Display| HttpError::ExtraCa(error.to_string());
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| refused(&error))?;
            roots.add(certificate).map_err(|error| refused(&error))?;
        }
        if roots.len() == before {
            return Err(refused(&"no certificate in PEM was found"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // HTTP/2 is left out of the build: a run asks little at once, and it would only add to what a
    // function loads at its start.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
