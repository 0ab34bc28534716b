//! Settings about watches, the health endpoint, and what is written to the cluster.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::config::profiles::Dialect;
use crate::config::read::SettingsReader;
use crate::config::read::numbers;
use crate::config::read::objects::ObjectPlaces;
use crate::config::table::SettingValues;
use crate::config::{Answers, ObjectSource, Verify};

/// How much longer than the server's a client's watch timeout must be: the server's answer has to arrive.
const WATCH_TIMEOUT_GAP: Duration = Duration::from_secs(5);

/// The health endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthSettings {
    /// Address to listen on; `None`: all, IPv4 and IPv6.
    pub(crate) host: Option<IpAddr>,
    /// Port to listen on; 0: any free one.
    pub port: u16,
    /// Time without contact after which a watch makes us unhealthy; `None`: never.
    pub(crate) stale_after: Option<Duration>,
    /// How `/healthz` answers.
    pub(crate) answers: Answers,
    /// Whether `/metrics` is served too.
    pub(crate) metrics: bool,
}

impl HealthSettings {
    /// The address by which it is reached from this machine.
    pub(crate) fn reachable(&self) -> SocketAddr {
        let host = match self.host {
            None => Ipv4Addr::LOCALHOST.into(),
            Some(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            Some(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            Some(address) => address,
        };
        SocketAddr::new(host, self.port)
    }
}

impl SettingsReader<'_> {
    /// Timeouts of the server and of the client. The client's is raised where it would end watches that the server still holds.
    pub(crate) fn watch_timeouts(&mut self, set: &SettingValues) -> Option<(Duration, Duration)> {
        let (server, client) = (set.WATCH_SERVER_TIMEOUT.value()?, set.WATCH_CLIENT_TIMEOUT.value()?);
        let least = server + WATCH_TIMEOUT_GAP;
        // Charts say 60 and 60.
        if client < least && self.dialect() != Dialect::Sidecar {
            let (client, least) = (client.as_secs(), least.as_secs());
            self.warn(format!("WATCH_CLIENT_TIMEOUT={client} is raised to {least}, which is WATCH_SERVER_TIMEOUT and 5 seconds more"));
        }
        Some((server, client.max(least)))
    }

    /// What is checked of the API server's certificate.
    pub(crate) fn connection(&mut self, set: &SettingValues) -> Option<Verify> {
        set.ERROR_THROTTLE_SLEEP.optional()?;
        if set.DISABLE_X509_STRICT_VERIFICATION.value() == Some(true) {
            self.warn("DISABLE_X509_STRICT_VERIFICATION has no effect");
        }
        Some(if set.SKIP_TLS_VERIFY.value()? { Verify::Nothing } else { Verify::AsConfigured })
    }

    /// The health endpoint, `None` inside where LIVENESS is off, or k8s-sidecar would not be able to serve it.
    pub(crate) fn health(&mut self, set: &SettingValues) -> Option<Option<HealthSettings>> {
        let (host, port) = (set.HEALTH_HOST.optional()?, set.HEALTH_PORT.value()?);
        let (Some(mut port), false) = (port, host == Some(None)) else { return Some(None) };
        match set.HEALTHCHECK_PORT.optional()? {
            Some(alias) if !set.HEALTH_PORT.is_given() => port = alias,
            Some(alias) if alias != port => self.warn(format!("HEALTH_PORT={port} is used, HEALTHCHECK_PORT={alias} is not")),
            _ => {}
        }
        let stale_after = numbers::never_if_zero(set.HEALTH_STALE_AFTER.value()?);
        let (answers, metrics) = (self.texts.profile.answers, set.METRICS.value()?);
        let health = HealthSettings { host: host.flatten(), port, stale_after, answers, metrics };
        set.LIVENESS.value().map(|liveness| liveness.then_some(health))
    }

    /// Whether finalizers and Events are wanted; neither is possible without a cluster.
    pub(crate) fn cluster_writes(&mut self, set: &SettingValues, places: Option<&ObjectPlaces>) -> Option<(bool, bool)> {
        let (finalizers, events) = (set.FINALIZERS.value()?, set.EVENT_LOGGING.value()?);
        let ObjectPlaces { implied, source, .. } = places?;
        match source {
            ObjectSource::Cluster { .. } => Some((finalizers && (!*implied || set.FINALIZERS.is_given()), events)),
            ObjectSource::Manifests(_) => {
                let asked = [("FINALIZERS", finalizers && set.FINALIZERS.is_given()), ("EVENT_LOGGING", events)];
                for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
                    self.warn(format!("{name} has no effect while SOURCE is a folder"));
                }
                Some((false, false))
            }
        }
    }
}
