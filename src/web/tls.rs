//! Whose certificates are believed.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::web::Web;
use crate::web::error::WebError;

/// TLS as the settings have it. The system's certificates are read when a server first needs them.
///
/// # Errors
/// A bundle that cannot be read or holds no certificate.
pub(crate) fn config(web: &Web) -> Result<ClientConfig, WebError> {
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let trust = match (&web.ca_bundle, web.skip_tls_verify) {
        (_, true) => Trust::Anybody,
        (Some(file), false) => Trust::Roots(bundle(file, &provider)?),
        (None, false) => Trust::System(OnceLock::new()),
    };
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(WebError::Tls)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { trust, provider })).with_no_client_auth())
}

#[derive(Debug)]
enum Trust {
    /// REQ_SKIP_TLS_VERIFY.
    Anybody,
    /// These certificates.
    Roots(Arc<WebPkiServerVerifier>),
    /// The system's certificates, once read; nothing where there are none.
    System(OnceLock<Option<Arc<WebPkiServerVerifier>>>),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = match &self.trust {
            Trust::Anybody => return Ok(ServerCertVerified::assertion()),
            Trust::Roots(roots) => roots,
            Trust::System(roots) => roots
                .get_or_init(|| system(&self.provider))
                .as_ref()
                .ok_or_else(|| Error::General("this machine has no CA certificates: set SSL_CERT_FILE or REQUESTS_CA_BUNDLE".to_owned()))?,
        };
        roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn bundle(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, WebError> {
    let text = std::fs::read(file).map_err(|source| WebError::BundleUnreadable { file: file.to_owned(), source: Arc::new(source) })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    verifier(found, provider).ok_or_else(|| WebError::BundleEmpty { file: file.to_owned() })
}

fn system(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    verifier(rustls_native_certs::load_native_certs().certs, provider)
}

/// Nothing if none of these is a certificate.
fn verifier(certificates: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}
