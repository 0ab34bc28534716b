//! Whose certificates are believed.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::aside::{self, Look, WITHIN};
use crate::config::read::web::WebSettings;
use crate::web::error::WebError;

/// TLS as the settings have it, and the system's certificates, if those are believed: they are read when a server first needs them.
///
/// # Errors
/// A bundle that cannot be read or holds no certificate.
pub(crate) fn config(web: &WebSettings) -> Result<(ClientConfig, Option<SystemRoots>), WebError> {
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let trust = match (&web.ca_bundle, web.skip_tls_verify) {
        (_, true) => Anchors::Anybody,
        (Some(file), false) => Anchors::Roots(bundle(file, &provider)?),
        (None, false) => Anchors::System(Arc::default()),
    };
    let roots = match &trust {
        Anchors::System(found) => Some(SystemRoots { found: found.clone(), provider: provider.clone(), look: Look::default() }),
        Anchors::Anybody | Anchors::Roots(_) => None,
    };
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(WebError::Tls)?;
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { trust, provider })).with_no_client_auth();
    Ok((config, roots))
}

#[derive(Debug)]
enum Anchors {
    /// REQ_SKIP_TLS_VERIFY.
    Anybody,
    /// These certificates.
    Roots(Arc<WebPkiServerVerifier>),
    /// The system's certificates, once read.
    System(FoundRoots),
}

/// Nothing inside where there are none.
type FoundRoots = Arc<OnceLock<Option<Arc<WebPkiServerVerifier>>>>;

/// The system's certificates. Whoever asks a server loads them before: a handshake waits for no file.
#[derive(Clone)]
pub(crate) struct SystemRoots {
    found: FoundRoots,
    provider: Arc<CryptoProvider>,
    look: Look<()>,
}

impl SystemRoots {
    /// Reads them, unless they were.
    pub(crate) async fn load(&self) {
        if self.found.get().is_some() {
            return;
        }
        let (found, provider) = (self.found.clone(), self.provider.clone());
        let loaded = self.look.aside(WITHIN, move || drop(found.set(system(&provider)))).await;
        if let Err(error) = loaded {
            tracing::warn!(%error, "the CA certificates of this machine cannot be read (SSL_CERT_FILE, SSL_CERT_DIR)");
        }
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Anchors,
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
            Anchors::Anybody => return Ok(ServerCertVerified::assertion()),
            Anchors::Roots(roots) => roots,
            Anchors::System(roots) => roots
                .get()
                .and_then(Option::as_ref)
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
    let text = aside::handed(file).map_err(|source| WebError::BundleUnreadable { file: file.to_owned(), source: Arc::new(source) })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    verifier(found, provider).ok_or_else(|| WebError::BundleEmpty { file: file.to_owned() })
}

fn system(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    if let Some(file) = std::env::var_os("SSL_CERT_FILE")
        && let Err(error) = aside::check(Path::new(&file))
    {
        tracing::warn!(%error, "SSL_CERT_FILE={file:?} cannot be read");
        return None;
    }
    verifier(rustls_native_certs::load_native_certs().certs, provider)
}

/// Nothing if none of these is a certificate.
fn verifier(certificates: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}
