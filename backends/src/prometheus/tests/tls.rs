//! TLS: whom to trust.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::{ok, serve};
use super::{far, http, instant, options};
use crate::http::{HttpOptions, client};
use crate::prometheus::Client;

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

#[tokio::test]
async fn trusts_the_extra_authority_and_no_unknown_one() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us leaves in the handshake.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, |_| ok(EMPTY)).await;
            }
        }
    });

    let trusting = client(&HttpOptions {
        extra_ca: Some(cert.pem().into_bytes()),
        ..HttpOptions::default()
    });
    let answer = Client::new(trusting.unwrap(), options(&url))
        .unwrap()
        .query(&instant(), far())
        .await;
    assert!(answer.is_ok(), "{answer:?}");

    let wary = Client::new(http(), options(&url)).unwrap();
    let failure = wary.query(&instant(), far()).await.unwrap_err();
    assert!(failure.message.contains("certificate"), "{failure}");
    server.abort();
}

#[test]
fn certificates_that_are_none_are_refused() {
    for pem in [
        "",
        "not PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ] {
        let refused = client(&HttpOptions {
            extra_ca: Some(pem.as_bytes().to_vec()),
            ..HttpOptions::default()
        });
        assert!(refused.is_err(), "{pem:?}");
    }
}
