//! One API server: TLS, authentication, deadlines.
//!
//! Owns how a request gets there and how long it may take; never retries (but once after a 401 with a fresh token),
//! never prints a body or a token. Below it is kube's TLS and credential handling on a connector of our own,
//! because a silent peer must be noticed; kube's retry and trace layers are left out on purpose.

pub(crate) mod access;
mod connection;
pub mod decode;
pub(crate) mod exec;
pub(crate) mod failure;
pub mod found;
mod json;
pub mod lines;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod pages;
mod plugin;
pub(crate) mod pod;
mod route;
pub(crate) mod token;
mod verb;

#[cfg(test)]
pub(crate) mod stub;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Resource as _;
use kube::client::{AuthError, Body};
use kube::config::{InClusterError, KubeconfigError};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::api::connection::{Connection, connector};
use crate::api::failure::Failure;
use crate::api::found::ClusterConfig;
use crate::api::plugin::Plugin;
use crate::api::route::Route;
use crate::api::token::TokenFile;
use crate::config::Verify;
use crate::core::backoff::{Backoff, random};
use crate::core::object::Kind;
use crate::metrics::Metrics;

/// The body of a response: read it frame by frame.
pub(crate) type ResponseBody = hyper::body::Incoming;
/// A connection that speaks another protocol by now.
pub(crate) type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Deadline on the headers of any answer, and on the whole of a short one.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(10);
/// The most that one answer may hold: an object of 1 MiB of control characters is 6 MiB of JSON.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Who changes objects, as `managedFields` have it.
pub(crate) const FIELD_MANAGER: &str = "kube-projector";
/// The most that is read of an unsuccessful answer.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// How long the body of an unsuccessful answer may take.
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);

/// Why no API server can be asked. All of these are configuration errors.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The kubeconfig cannot be used.
    #[error("KUBECONFIG=\"{}\": expected a readable kubeconfig", .file.display())]
    Kubeconfig {
        /// The file, or list of files, that was named.
        file: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// The kubeconfig is no kubeconfig. The parser quotes what it read, which may be a token, so its words are left out.
    #[error("KUBECONFIG=\"{}\": expected a kubeconfig in YAML or JSON, with text that looks like a number in quotes", .file.display())]
    Syntax {
        /// The file, or list of files, that was named.
        file: PathBuf,
    },
    /// A file that the kubeconfig names.
    #[error("KUBECONFIG=\"{}\": {what}: {named}", .file.display())]
    Named {
        /// The kubeconfig, or the list of them.
        file: PathBuf,
        /// The key that names it.
        what: &'static str,
        /// Its path.
        named: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// A file of the pod's service account.
    #[error("{file}")]
    Account {
        /// Its path.
        file: &'static str,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// Neither a kubeconfig nor a pod.
    #[error(
        "no API server: set KUBECONFIG to a file, have a ~/.kube/config, or run in a pod with a service account (KUBERNETES_SERVICE_HOST, \
         KUBERNETES_SERVICE_PORT), or set SOURCE to a folder of manifests"
    )]
    NotInCluster(#[source] InClusterError),
    /// The kubeconfig names a proxy that we cannot talk to. It may carry a password, so it is left out.
    #[error("KUBECONFIG: proxy-url: expected http://HOST:PORT or socks5://HOST:PORT")]
    Proxy,
    /// The credential plugin failed. What it printed may be a token and is left out.
    #[error("getting credentials for {url}: the credential plugin of the kubeconfig failed")]
    Plugin {
        /// The API server.
        url: String,
    },
    /// Certificates, keys or headers cannot be used.
    #[error("preparing the connection to {url}")]
    Client {
        /// The API server.
        url: String,
        /// What is wrong.
        source: kube::Error,
    },
}

/// One API server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiServer {
    connection: Arc<Connection>,
    credentials: Option<TokenSource>,
    url: Arc<str>,
    context: Option<Arc<str>>,
    metrics: Metrics,
}

/// Where credentials come from that change under us.
#[derive(Clone)]
enum TokenSource {
    Token(Arc<TokenFile>),
    Plugin(Arc<Plugin>),
}

impl ApiServer {
    /// The server that `kubeconfig` names, else the one of the pod we run in.
    ///
    /// # Guarantees
    /// Makes no request: a server that cannot be reached is no error here.
    ///
    /// # Errors
    /// What a person has to correct: an unreadable kubeconfig, broken certificates, neither kubeconfig nor pod.
    pub(crate) async fn connect(kubeconfig: Option<&Path>, verify: Verify) -> Result<Self, ApiError> {
        let ClusterConfig { mut config, context, proxy } = found::server(kubeconfig).await?;
        config.accept_invalid_certs |= verify == Verify::Nothing;
        let url = printable(&config.cluster_url);
        let mut credentials = None;
        if let Some(file) = config.auth_info.token_file.take() {
            credentials = Some(TokenSource::Token(Arc::new(TokenFile::open(file.into()).await)));
            // As client-go has it, a token file wins over an inline token.
            config.auth_info.token = None;
        }
        let route = match proxy {
            Some(proxy) => Route::by(&proxy, &config.cluster_url, connector()).ok_or(ApiError::Proxy)?,
            None => Route::Direct(connector()),
        };
        let (connection, plugin) = Connection::open(config, route).await.map_err(|error| match error {
            kube::Error::Auth(AuthError::AuthExecRun { .. } | AuthError::AuthExecParse(_) | AuthError::AuthExec(_)) => {
                ApiError::Plugin { url: url.clone() }
            }
            source => ApiError::Client { url: url.clone(), source },
        })?;
        let credentials = credentials.or_else(|| plugin.map(|plugin| TokenSource::Plugin(Arc::new(plugin))));
        Ok(Self {
            connection: Arc::new(connection),
            credentials,
            url: url.into(),
            context: context.map(Into::into),
            metrics: Metrics::default(),
        })
    }

    /// The same server, whose answers are counted.
    #[must_use]
    pub(crate) fn counted(self, metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), ..self }
    }

    /// Where the server is: scheme, host and port, never credentials.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The context of the kubeconfig that leads there, if it is one.
    pub(crate) fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The pod that our token was issued to, if it says so. Nothing is verified.
    pub(crate) fn pod(&self) -> Option<token::Pod> {
        match self.credentials.as_ref()? {
            TokenSource::Token(token) => token.pod(),
            TokenSource::Plugin(_) => None,
        }
    }

    /// Sends a request and returns once a successful answer has begun; its body has no deadline.
    ///
    /// # Errors
    /// Any answer but success, and no headers within ten seconds. A 401 is tried once more if the token file changed.
    ///
    /// # Cancel safety
    /// The request may or may not have arrived.
    pub(crate) async fn open(&self, request: Request<Vec<u8>>) -> Result<Response<ResponseBody>, Failure> {
        self.answer(request, |status| status.is_success()).await
    }

    /// Sends a request for another protocol and returns the connection once the server speaks that.
    ///
    /// # Errors
    /// As [`ApiServer::open`]: any answer but "switching protocols".
    pub(crate) async fn upgrade(&self, request: Request<Vec<u8>>) -> Result<Upgraded, Failure> {
        let response = self.answer(request, |status| status == StatusCode::SWITCHING_PROTOCOLS).await?;
        let upgraded = timeout(CALL_WITHIN, hyper::upgrade::on(response)).await;
        let upgraded = upgraded.map_err(|_| Failure::Timeout { what: "connection", limit: CALL_WITHIN })?;
        upgraded.map(TokioIo::new).map_err(|error| Failure::from_transport(&error))
    }

    async fn answer(&self, request: Request<Vec<u8>>, is_wanted: fn(StatusCode) -> bool) -> Result<Response<ResponseBody>, Failure> {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let answer = timeout(CALL_WITHIN, self.send(request)).await;
        let response = answer.map_err(|_| Failure::Timeout { what: "answer", limit: CALL_WITHIN })??;
        if is_wanted(response.status()) {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        // Only the reason is wanted; an answer that never ends costs us no more than that.
        let body = match timeout(REFUSAL_WITHIN, collect(body, REFUSAL_BYTES_MAX)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        Err(Failure::from_answer(&asked, head.status, &head.headers, &body))
    }

    /// Sends a request and decodes the answer, all within ten seconds and 16 MiB.
    ///
    /// # Errors
    /// As [`ApiServer::open`], and answers that are late, too large or not a `T`.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, Failure> {
        let body = self.body_within(request, BODY_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| Failure::from_decoder("the answer", &error))
    }

    /// As [`ApiServer::call`]; nothing where there is no such object.
    ///
    /// # Errors
    /// As [`ApiServer::call`], but for a 404.
    pub(crate) async fn find<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<Option<T>, Failure> {
        match self.call(request).await {
            Err(failure) if failure.code() == Some(404) => Ok(None),
            found => found.map(Some),
        }
    }

    /// As [`ApiServer::call`] with another limit on the answer, of which it gives the bytes.
    ///
    /// # Errors
    /// As [`ApiServer::call`], but for the form of the answer.
    pub(crate) async fn body_within(&self, request: Request<Vec<u8>>, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
        let body = async { collect(self.open(request).await?.into_body(), limit_bytes).await };
        timeout(CALL_WITHIN, body).await.map_err(|_| Failure::Timeout { what: "complete answer", limit: CALL_WITHIN })?
    }

    /// One exchange, and a second one after a 401 if the token file holds another token by now.
    async fn send(&self, mut request: Request<Vec<u8>>) -> Result<Response<ResponseBody>, Failure> {
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(concat!("kube-projector/", env!("CARGO_PKG_VERSION"))));
        let token = match &self.credentials {
            None => return self.exchange(request).await,
            Some(TokenSource::Plugin(plugin)) => return self.exchange(authorized(&request, plugin.header().await?.as_ref())).await,
            Some(TokenSource::Token(token)) => token,
        };
        let header = token.header().await;
        let response = self.exchange(authorized(&request, header.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        match token.header_after_refusal(header.as_ref()).await {
            Some(fresh) => self.exchange(authorized(&request, Some(&fresh))).await,
            None => Ok(response),
        }
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<ResponseBody>, Failure> {
        // The one place through which all requests go. Whoever gives up waiting drops this, which counts as no answer.
        let mut asking = self.metrics.asks(verb::verb_of(&request));
        let answer = self.connection.transport().await.oneshot(request.map(Body::from)).await;
        if let Ok(response) = &answer {
            asking.answered(response.status().as_u16());
        }
        answer.map_err(|error| Failure::from_transport(error.as_ref()))
    }
}

/// Builds requests about the objects of a kind: in one namespace, or in all.
pub(crate) fn objects(kind: Kind, namespace: Option<&str>) -> kube::core::Request {
    kube::core::Request::new(match kind {
        Kind::ConfigMap => ConfigMap::url_path(&(), namespace),
        Kind::Secret => Secret::url_path(&(), namespace),
        Kind::Pod => Pod::url_path(&(), namespace),
    })
}

/// Waits before another try of what failed, if there shall be one: while the server is unwell, and after fewer failures in a row than
/// there are tries.
pub(crate) async fn wait_out(failure: &Failure, failures: u32, tries: u32, backoff: Backoff) -> bool {
    let again = failure.is_outage() && failures < tries;
    if again {
        sleep(failure.retry_after().unwrap_or_else(|| backoff.spread_after(failures, random()))).await;
    }
    again
}

fn authorized(request: &Request<Vec<u8>>, header: Option<&HeaderValue>) -> Request<Vec<u8>> {
    let mut request = request.clone();
    if let Some(header) = header {
        request.headers_mut().insert(AUTHORIZATION, header.clone());
    }
    request
}

/// A whole body, unless it exceeds the limit.
async fn collect(mut body: ResponseBody, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::from_transport(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit_bytes {
            return Err(Failure::TooLarge { limit_bytes });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// The origin of a URL: anything else of it may hold a password or a token.
fn printable(url: &http::Uri) -> String {
    let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme_str().unwrap_or("http"), url.host().unwrap_or_default())
}

#[cfg(test)]
mod tests;
