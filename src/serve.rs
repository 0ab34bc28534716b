//! The health endpoints: `/healthz` (liveness) and `/readyz` (readiness), both with the same JSON body, unless `/healthz` is asked to
//! answer as k8s-sidecar does; and `/metrics`, in every profile, unless METRICS says otherwise.
//!
//! Never fatal and never in the way: a port that is taken is reported and tried again, connections are few and short.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{FromRef, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, info};

use crate::config::{Answers, Wording};
use crate::health::Health;
use crate::health::report::{Liveness, Report};
use crate::metrics::Metrics;
use crate::metrics::scrape::Exposition;

/// Time between attempts to get a port that is taken.
const RETRY: Duration = Duration::from_secs(10);
/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 16;
/// How long one connection may live: probes take milliseconds, and whoever dawdles must not keep the others out.
const LIFETIME: Duration = Duration::from_secs(2);

/// Where the endpoints are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// An address of this machine; all of them, IPv4 and IPv6, if none is given.
    pub(crate) host: Option<IpAddr>,
    /// TCP port; 0 takes any free one.
    pub(crate) port: u16,
}

/// How the endpoints answer, and in whose words their start is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Manner {
    /// The form of `/healthz`.
    pub(crate) answers: Answers,
    /// Whose words.
    pub(crate) wording: Wording,
}

/// What the endpoints tell of.
#[derive(Clone)]
pub(crate) struct Endpoints {
    /// How loops and watches are.
    pub(crate) health: Health,
    /// What was counted, if anything is.
    pub(crate) metrics: Metrics,
}

impl FromRef<Endpoints> for Health {
    fn from_ref(endpoints: &Endpoints) -> Self {
        endpoints.health.clone()
    }
}

/// Serves the endpoints, for ever. Where that ends open connections are dropped, not waited for.
pub(crate) async fn serve(address: Address, manner: Manner, endpoints: Endpoints) {
    let listener = bind_at_last(address, manner.wording).await;
    serve_on(listener, manner.answers, endpoints).await;
}

/// Listens at `address`: on IPv6 and IPv4 at once where no host is given, on IPv4 alone where there is no IPv6.
///
/// # Errors
/// When the port is taken or the address is not ours.
pub(crate) async fn bind(address: Address) -> io::Result<TcpListener> {
    let Some(host) = address.host else {
        return match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port))).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port)).await,
            bound => bound,
        };
    };
    TcpListener::bind((host, address.port)).await
}

/// Binds, however long it takes; the user is told once that it does not work and once that it does.
async fn bind_at_last(address: Address, wording: Wording) -> TcpListener {
    let mut told = false;
    loop {
        match bind(address).await {
            Ok(listener) => {
                match (listener.local_addr(), wording) {
                    (Ok(address), Wording::Own) => info!(%address, "health endpoints served"),
                    (Ok(address), Wording::Sidecar) => info!("Starting health server on port {}", address.port()),
                    (Err(error), _) => debug!(%error, "health endpoints served"),
                }
                return listener;
            }
            Err(error) if !told => {
                error!(%error, port = address.port, "health endpoints not served; set HEALTH_PORT to a free port. The files are kept up to date all the same");
                told = true;
            }
            Err(error) => debug!(%error, port = address.port, "health endpoints still not served"),
        }
        sleep(RETRY).await;
    }
}

/// Serves the endpoints on `listener`, for ever.
pub(crate) async fn serve_on(mut listener: TcpListener, answers: Answers, endpoints: Endpoints) {
    let (service, permits) = (TowerToHyperService::new(router(answers, endpoints)), Arc::new(Semaphore::new(CONNECTIONS)));
    let mut connections = JoinSet::new();
    loop {
        // It is never closed.
        let permit = Arc::clone(&permits).acquire_owned().await.ok();
        // Errors are retried inside, with a rest when file descriptors run out. By the trait, for tokio's own method does neither.
        let (stream, _) = Listener::accept(&mut listener).await;
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        connections.spawn(async move {
            // Whoever dawdles or breaks off was no probe.
            let _ = timeout(LIFETIME, served).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The endpoints. Detailed, other paths are 404, other methods 405; HEAD is GET without the body.
/// Plain, all but `/readyz` and `/metrics` follows k8s-sidecar: other paths are 404, a query makes another path, other methods are 501.
pub(crate) fn router(answers: Answers, endpoints: Endpoints) -> Router {
    let mut router = Router::new().route("/readyz", get(ready));
    if endpoints.metrics.is_on() {
        router = router.route("/metrics", get(metrics));
    }
    match answers {
        Answers::Detailed => router.route("/healthz", get(alive)),
        Answers::Plain => router.fallback(plain),
    }
    .with_state(endpoints)
}

async fn metrics(State(endpoints): State<Endpoints>, headers: HeaderMap) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    let form = Exposition::wanted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    let written = endpoints.metrics.exposition(form, endpoints.health.figures(Instant::now(), SystemTime::now()));
    written.map(|text| ([(CONTENT_TYPE, form.content_type())], text)).ok_or(StatusCode::NOT_FOUND)
}

async fn plain(State(health): State<Health>, method: Method, uri: Uri) -> (StatusCode, Cow<'static, str>) {
    let asked = uri.path_and_query().map(|asked| asked.as_str());
    match (method == Method::GET, asked == Some("/healthz")) {
        (false, _) => (StatusCode::NOT_IMPLEMENTED, "Not Implemented".into()),
        (true, false) => (StatusCode::NOT_FOUND, "Not Found".into()),
        (true, true) => verdict(&health.report()),
    }
}

/// What k8s-sidecar would say. Before the first sync it does not look at its threads.
fn verdict(report: &Report) -> (StatusCode, Cow<'static, str>) {
    let text = match (report.is_synced(), report.liveness()) {
        (false, _) => "NOT READY".into(),
        (true, Liveness::Stuck) => "NOT LIVE (watcher thread died)".into(),
        (true, Liveness::Stale) => "NOT LIVE (K8s contact lost)".into(),
        // It has no word for that.
        (true, Liveness::Untold) => format!("NOT LIVE ({})", report.failing().join(", ")).into(),
        (true, Liveness::Alive) => return (StatusCode::OK, "OK".into()),
    };
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

async fn alive(State(health): State<Health>) -> (StatusCode, Json<Report>) {
    let report = health.report();
    (status(report.is_alive()), Json(report))
}

async fn ready(State(health): State<Health>) -> (StatusCode, Json<Report>) {
    let report = health.report();
    (status(report.is_ready()), Json(report))
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
