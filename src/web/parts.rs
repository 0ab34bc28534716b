//! What HTTP clients are made of.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, ClientBuilder};

use crate::web::address::{NameFilter, Resolver};
use crate::web::error::WebError;

/// A peer that is silent is asked whether it lives after this, so often, and given up after this.
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const DEAD_AFTER: Duration = Duration::from_secs(20);

/// The same for all of them.
pub(super) struct Parts {
    pub(super) tls: rustls::ClientConfig,
    pub(super) resolver: Resolver,
    pub(super) timeout: Duration,
}

impl Parts {
    /// Asks whom it is told to.
    pub(super) fn client(&self, reach: NameFilter) -> Result<Client, WebError> {
        built(self.builder(reach))
    }

    /// Asks one pod and goes by no proxy. `name`, where one is given, is the host that URLs have: it stands for the address, and the
    /// certificate has to be for it. It is made for each question: a pod has one every few minutes, and there is another one tomorrow.
    pub(super) fn pod(&self, address: IpAddr, name: Option<&str>) -> Result<Client, WebError> {
        let builder = self.builder(NameFilter::Guarded).no_proxy();
        built(match name {
            Some(name) => builder.resolve(name, SocketAddr::new(address, 0)),
            None => builder,
        })
    }

    fn builder(&self, reach: NameFilter) -> ClientBuilder {
        Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(self.resolver.with(reach))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(self.timeout)
            // Questions are minutes apart: a kept connection is more often dead than useful.
            .pool_max_idle_per_host(0)
            // An answer may take long, so that a peer that is gone has to be noticed otherwise.
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(DEAD_AFTER)
            .user_agent(concat!("kube-projector/", env!("CARGO_PKG_VERSION")))
    }
}

fn built(builder: ClientBuilder) -> Result<Client, WebError> {
    builder.build().map_err(|error| WebError::Client(error.to_string()))
}
