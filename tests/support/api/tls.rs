//! A certificate authority and a certificate for 127.0.0.1, made anew for each server.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The server's side of TLS, and the authority that clients must trust.
pub struct Tls {
    /// Accepts connections.
    pub acceptor: TlsAcceptor,
    /// The authority's certificate, as PEM.
    pub authority_pem: String,
}

/// Makes an authority and a certificate for 127.0.0.1 and localhost.
pub fn generate() -> Tls {
    let authority_key = KeyPair::generate().expect("a key for the test authority");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names are valid names");
    authority.distinguished_name.push(DnType::CommonName, "rig-ca");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_certificate = authority.self_signed(&authority_key).expect("a self-signed certificate");
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate().expect("a key for the test server");
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("two valid names");
    leaf.distinguished_name.push(DnType::CommonName, "rig-api");
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate by the test authority");

    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("rcgen writes PKCS #8");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("key and certificate belong together");
    Tls { acceptor: TlsAcceptor::from(Arc::new(config)), authority_pem: authority_certificate.pem() }
}
