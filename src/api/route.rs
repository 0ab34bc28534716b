//! How a connection to the API server comes about: directly, or by the proxy that the kubeconfig names.
//!
//! One type for all ways, so that there is one client. NO_PROXY and the like do not count here: whoever names a proxy in a kubeconfig
//! means it, as kubectl has it, and in a cluster the way is direct.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{BoxError, Service};

use crate::api::connection::Connector;

/// A proxy must have said within this that we are through. The connection to it has a limit of its own.
const THROUGH_WITHIN: Duration = Duration::from_secs(10);
/// Where SOCKS is spoken by default.
const SOCKS_PORT: u16 = 1080;

/// A way to the server.
#[derive(Clone)]
pub(crate) enum Route {
    /// Straight to it.
    Direct(Connector),
    /// By CONNECT.
    Tunnel(Tunnel<Connector>),
    /// By SOCKS 5; the proxy looks names up.
    Socks(SocksV5<Connector>),
}

impl Route {
    /// The way by this proxy to `server`. Nothing if it is no proxy that we know how to talk to.
    pub(crate) fn by(proxy: &str, server: &Uri, connector: Connector) -> Option<Self> {
        let proxy = Matcher::builder().all(proxy).build().intercept(server)?;
        let host = proxy.uri().host()?;
        let at = |port: u16| Uri::builder().scheme("http").authority(format!("{host}:{port}")).path_and_query("/").build().ok();
        let port = proxy.uri().port_u16();
        match proxy.uri().scheme_str()? {
            "http" => {
                let tunnel = Tunnel::new(at(port.unwrap_or(80))?, connector);
                Some(Self::Tunnel(match proxy.basic_auth() {
                    Some(header) => tunnel.with_auth(header.clone()),
                    None => tunnel,
                }))
            }
            "socks5" | "socks5h" => {
                let socks = SocksV5::new(at(port.unwrap_or(SOCKS_PORT))?, connector);
                Some(Self::Socks(match proxy.raw_auth() {
                    Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
                    None => socks,
                }))
            }
            _ => None,
        }
    }
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // As its connectors are at any time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        match self {
            Self::Direct(connector) => Box::pin(through(connector.call(server))),
            Self::Tunnel(connector) => Box::pin(through(connector.call(server))),
            Self::Socks(connector) => Box::pin(through(connector.call(server))),
        }
    }
}

async fn through<T, E: Into<BoxError>>(connecting: impl Future<Output = Result<T, E>>) -> Result<T, BoxError> {
    timeout(THROUGH_WITHIN, connecting).await?.map_err(Into::into)
}
