//! The connection to an API server, which is made anew when the certificates of its authority are exchanged.
//!
//! kube would read their file in the midst of a handshake. Here it is read aside, and by whoever comes first after a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Config;
use kube::client::{Body, ConfigExt as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer as _, ServiceExt as _};

use crate::api::ResponseBody;
use crate::api::plugin::Plugin;
use crate::api::route::Route;
use crate::aside::{self, AT_START, SmallFile, WITHIN};
use crate::lookup::{self, Lookups};

/// How long certificates are believed before their file is looked at again.
const READ_EVERY: Duration = Duration::from_secs(60);
/// How long a credential plugin may take at the start: it may ask a person.
const PLUGIN_WITHIN: Duration = Duration::from_secs(300);

/// The most that is buffered of a response before it is read.
const READ_BUFFER_BYTES: usize = 32 << 10;

/// Opens connections; names are looked up in bounds.
pub(crate) type Connector = HttpConnector<Lookups>;
/// Sends requests of one user to one server.
type Transport = BoxCloneSyncService<Request<Body>, Response<ResponseBody>, BoxError>;

/// See the module's header.
pub(crate) struct Connection {
    authority: Option<SmallFile>,
    // Shared by all clones of the client; never held across an await.
    state: Mutex<Current>,
}

struct Current {
    config: Config,
    route: Route,
    has_plugin: bool,
    transport: Transport,
    read_at: Instant,
}

impl Connection {
    /// The connection that is configured, by this route, and the plugin that gives credentials for it, if one does.
    ///
    /// # Errors
    /// Certificates, keys, headers or credentials that cannot be used.
    pub(crate) async fn open(mut config: Config, route: Route) -> Result<(Self, Option<Plugin>), kube::Error> {
        let authority = config.root_cert_file.take().filter(|_| !config.accept_invalid_certs).map(SmallFile::new);
        let has_plugin = config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some();
        // Reads what the kubeconfig names, and runs its plugin.
        let opened = aside::once(if has_plugin { PLUGIN_WITHIN } else { AT_START }, move || {
            let layer = if has_plugin { config.auth_layer()? } else { None };
            let plugin = layer.as_ref().map(Plugin::new);
            let transport = transport(&config, route.clone(), plugin.is_some())?;
            Ok::<_, kube::Error>((Current { config, route, has_plugin: plugin.is_some(), transport, read_at: Instant::now() }, plugin))
        });
        let (state, plugin) = opened.await.map_err(|error| kube::Error::Service(error.into()))??;
        Ok((Self { authority, state: Mutex::new(state) }, plugin))
    }

    /// What sends a request.
    pub(crate) async fn transport(&self) -> Transport {
        if let Some(authority) = &self.authority
            && self.is_due()
        {
            match authority.read(WITHIN).await {
                Ok(text) => self.believe(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).map(|der| der.to_vec()).collect()),
                Err(error) => {
                    tracing::warn!(path = %authority.path().display(), %error, "CA certificates not read, keeping the last good ones")
                }
            }
        }
        self.state().transport.clone()
    }

    /// Whether it is time to look at the file; nobody else is told so for a while.
    fn is_due(&self) -> bool {
        let mut state = self.state();
        let due = state.read_at.elapsed() >= READ_EVERY;
        if due {
            state.read_at = Instant::now();
        }
        due
    }

    fn believe(&self, certificates: Vec<Vec<u8>>) {
        let mut state = self.state();
        if certificates.is_empty() || state.config.root_cert.as_ref() == Some(&certificates) {
            return;
        }
        state.config.root_cert = Some(certificates);
        match transport(&state.config, state.route.clone(), state.has_plugin) {
            Ok(transport) => state.transport = transport,
            Err(error) => tracing::warn!(%error, "CA certificates not taken, keeping the last good ones"),
        }
    }

    fn state(&self) -> MutexGuard<'_, Current> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a connection is made, directly or to a proxy.
pub(crate) fn connector() -> Connector {
    let mut connector = HttpConnector::new_with_resolver(Lookups::new(lookup::system()));
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    // A watch only reads: without these a peer that vanished would never be missed.
    connector.set_keepalive(Some(Duration::from_secs(10)));
    connector.set_keepalive_interval(Some(Duration::from_secs(5)));
    connector.set_keepalive_retries(Some(2));
    connector.set_tcp_user_timeout(Some(Duration::from_secs(20)));
    connector
}

/// The connection pool with kube's TLS and address around it, and with its credentials unless requests have theirs already.
fn transport(config: &Config, route: Route, authorized: bool) -> Result<Transport, kube::Error> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new())
        // hyper grows its read buffer with what comes, to 400 kB and more; frames need not be large.
        .http1_max_buf_size(READ_BUFFER_BYTES)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(90))
        .pool_max_idle_per_host(8)
        .build(config.rustls_https_connector_with_connector(route)?);
    let client = client.map_err(BoxError::from);
    let client = config.extra_headers_layer()?.layer(config.base_uri_layer().layer(client));
    let credentials = if authorized { None } else { config.auth_layer()? };
    Ok(match credentials {
        Some(layer) => BoxCloneSyncService::new(layer.layer(client).map_err(BoxError::from)),
        None => BoxCloneSyncService::new(client),
    })
}
