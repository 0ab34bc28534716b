//! Where a server is: URLs as logs may show them, origins, and the addresses that belong to nobody but the node.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use crate::config::web::Origin;
use crate::web::error::WebError;

/// Lookups under way at once. Each keeps a thread of the runtime for as long as a dead name server lets it wait, and files are
/// written by threads of the same pool.
const LOOKUPS_MAX: usize = 2;

/// A URL without user, password, query and fragment.
pub fn shown(url: &str) -> String {
    Url::parse(url.trim()).map_or_else(|_| "(not a URL)".to_owned(), |url| shown_url(&url))
}

/// As [`shown`].
pub(crate) fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// A URL that can be asked.
///
/// # Errors
/// Anything but http and https.
pub(crate) fn parse(url: &str) -> Result<Url, WebError> {
    check(Url::parse(url).map_err(|_| WebError::Url)?)
}

/// The URL, if it can be asked.
pub(crate) fn check(url: Url) -> Result<Url, WebError> {
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(WebError::Scheme { url: shown_url(&url) }),
    }
}

/// Scheme, host and port, unless this is no http or https URL.
pub fn origin(url: &str) -> Option<Origin> {
    parse(url.trim()).ok().as_ref().and_then(origin_of)
}

/// As [`origin`].
pub(crate) fn origin_of(url: &Url) -> Option<Origin> {
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Some(Origin { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default()? })
}

/// The address that the URL spells out, if it does.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    origin_of(url)?.host.parse().ok()
}

/// Whether the address is one at which a node or a cloud tells its guests who they are.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address == Ipv4Addr::new(100, 100, 100, 200),
        IpAddr::V6(address) => {
            let segments = address.segments();
            let inner = embedded(address).is_some_and(|inner| is_link_local(inner.into()));
            // fd00:ec2::/32 is what AWS keeps for itself in every network, fd20:ce::254 is Google's.
            let clouds = (segments[0] == 0xfd00 && segments[1] == 0xec2) || segments == [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254];
            address.is_unicast_link_local() || clouds || inner
        }
    }
}

/// The IPv4 address in an IPv4-mapped, IPv4-compatible or NAT64 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15])),
        _ => address.to_ipv4(),
    }
}

/// How names become addresses.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// The lookup of the system.
pub(crate) fn system() -> Lookup {
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Which addresses a name may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All.
    Everything,
    /// All but link-local ones.
    Guarded,
}

/// Looks names up, few at a time.
#[derive(Clone)]
pub(crate) struct Resolver {
    lookup: Lookup,
    reach: Reach,
    slots: Arc<Semaphore>,
}

/// A name that stands for a link-local address.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for a link-local address")]
pub(crate) struct Guarded;

impl Resolver {
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookup, reach: Reach::Everything, slots: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// The same lookups with another answer to link-local addresses.
    pub(crate) fn with(&self, reach: Reach) -> Self {
        Self { reach, ..self.clone() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { lookup, reach, slots } = self.clone();
        Box::pin(async move {
            let slot = slots.acquire_owned().await?;
            let found = tokio::task::spawn_blocking(move || {
                // Held until the lookup ends, whoever has given up on it by then.
                let _slot = slot;
                lookup(name.as_str())
            });
            let found = found.await??;
            // One such address among others is refused too: a name server could offer it as the second choice.
            if reach == Reach::Guarded && found.iter().copied().any(is_link_local) {
                return Err(Guarded.into());
            }
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        let table = [
            ("http://user:canary@Example.com:8080/a/b?token=canary#canary", "http://example.com:8080/a/b"),
            ("https://example.com:443", "https://example.com/"),
            (" http://[::1]:90/x\n", "http://[::1]:90/x"),
            ("canary", "(not a URL)"),
        ];
        for (url, expected) in table {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn origins_are_spelled_out() {
        let origin = |url| origin(url).map(|origin| format!("{} {} {}", origin.scheme, origin.host, origin.port));
        assert_eq!(origin("HTTP://Example.COM/a").as_deref(), Some("http example.com 80"));
        assert_eq!(origin("https://[FE80::1]").as_deref(), Some("https fe80::1 443"));
        assert_eq!(origin("file:///etc/passwd"), None);
    }

    #[test]
    fn addresses_of_the_node_are_known_in_every_spelling() {
        for url in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xa9.0xfe.1/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::169.254.169.254]/",
            "http://[fe80::1]/",
            "http://[febf::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fd20:ce::254]/",
            "http://100.100.100.200/",
            "http://[::ffff:100.100.100.200]/",
        ] {
            assert!(literal(&parse(url).unwrap()).is_some_and(is_link_local), "{url}");
        }
        for url in ["http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://[fd00::1]/", "http://100.100.100.201/"] {
            assert!(!literal(&parse(url).unwrap()).is_some_and(is_link_local), "{url}");
        }
    }
}
