//! TLS: rustls on ring, Mozilla's roots, and the user's own certificates.
//!
//! The provider is handed over rather than installed for the process, so that nothing depends on
//! who installs one first. With ring a first connection costs far less at start than with aws-lc.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::options::ClientError;

/// A client's TLS, trusting the certificates of `extra_ca` (PEM) too.
pub(super) fn config(extra_ca: Option<&[u8]>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(pem) = extra_ca {
        let refused = |error: &dyn std::fmt::Display| ClientError::ExtraCa(error.to_string());
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
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
