//! Where a server is: URLs as logs may show them, origins, and the addresses that belong to nobody but the node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::read::origin::{Origin, is_web};
use crate::core::object::Kind;
use crate::lookup::{Lookup, Lookups};
use crate::web::error::WebError;

/// What is shown of a text in which no server is named. Not even its scheme: `name:password` has one, too.
const NO_URL: &str = "(not a URL)";

/// Whether an output may name more of a URL than its origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Secrecy {
    /// The two lines that are quoted from the original may show its path.
    Open,
    /// It stands in a Secret.
    Secret,
}

impl Secrecy {
    /// How a URL in an object of this kind is shown.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::ConfigMap => Self::Open,
            Kind::Secret | Kind::Pod => Self::Secret,
        }
    }
}

/// The origin of a URL: anything else of it may be a token.
pub(crate) fn shown(url: &str) -> String {
    Url::parse(url.trim()).map_or_else(|_| NO_URL.to_owned(), |url| shown_url(&url))
}

/// As [`shown`].
pub(crate) fn shown_url(url: &Url) -> String {
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else { return NO_URL.to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}", url.scheme())
}

/// A URL in the lines that are quoted from the original: with its path, unless that is secret; never user, query or fragment.
pub(crate) fn quoted(url: &str, secrecy: Secrecy) -> String {
    match (Url::parse(url.trim()), secrecy) {
        (Ok(url), Secrecy::Open) if url.has_host() => shown_url(&url) + url.path(),
        _ => shown(url),
    }
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
    if is_web(&url) { Ok(url) } else { Err(WebError::Scheme { url: shown_url(&url) }) }
}

/// The address that the URL spells out, if it does.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    Origin::of(url)?.host.parse().ok()
}

/// The URL of one pod, by one in which [`PODS`](crate::config::read::origin::PODS) is the host. `name`, where the pods' certificate has one, is
/// its host instead of the address.
///
/// # Errors
/// What is no http or https URL.
pub(crate) fn at_pod(url: &str, address: IpAddr, name: Option<&str>) -> Result<String, WebError> {
    let mut url = parse(url.trim())?;
    match name {
        Some(name) => url.set_host(Some(name)).map_err(|_| WebError::Url)?,
        None => url.set_ip_host(address).map_err(|()| WebError::Url)?,
    }
    Ok(url.into())
}

/// Names by which clouds offer their metadata, without a dot at the end.
const METADATA: [&str; 11] = [
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.google.com",
    "metadata.azure.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "metadata.ec2.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether the URL asks for an address or a name of [`is_link_local`] by its text alone. It is all that there is to judge by where a
/// proxy looks the name up.
pub(crate) fn names_metadata(url: &Url) -> bool {
    let Some(host) = Origin::of(url).map(|origin| origin.host) else { return false };
    let name = host.trim_end_matches('.');
    METADATA.contains(&name) || literal(url).is_some_and(is_link_local) || spelled_in(name).any(is_link_local)
}

/// Addresses that a name is made of: name servers such as nip.io and sslip.io answer with them, and nobody else's names look so.
fn spelled_in(name: &str) -> impl Iterator<Item = IpAddr> {
    let parts: Vec<&str> = name.split(['.', '-']).collect();
    let decimal = move |at: usize| parts.get(at..at + 4)?.join(".").parse().ok();
    let hexadecimal = |label: &str| {
        let digits = (label.len() == 8).then(|| u32::from_str_radix(label, 16).ok())??;
        Some(Ipv4Addr::from(digits).into())
    };
    let sixth = |label: &str| label.contains('-').then(|| label.replace('-', ":").parse::<Ipv6Addr>().ok())?.map(IpAddr::from);
    let labels = name.split('.').flat_map(move |label| [hexadecimal(label), sixth(label)]).flatten();
    (0..name.len()).map_while(move |at| (at < 64).then(|| decimal(at))).flatten().chain(labels)
}

/// Whether the address is one at which a node or a cloud tells its guests who they are.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            // Alibaba's and Oracle's.
            address.is_link_local() || [[100, 100, 100, 200], [192, 0, 0, 192]].contains(&address.octets())
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            let inner = embedded(address).is_some_and(|inner| is_link_local(inner.into()));
            // fd00:ec2::/32 is what AWS keeps for itself in every network, fd20:ce::254 is Google's.
            let clouds = (segments[0] == 0xfd00 && segments[1] == 0xec2) || segments == [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254];
            address.is_unicast_link_local() || clouds || inner
        }
    }
}

/// The IPv4 address in an IPv4-mapped, IPv4-compatible, NAT64 or 6to4 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    match address.segments() {
        [0x2002, ..] => Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Some(Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15])),
        _ => address.to_ipv4(),
    }
}

/// A server's words without the path of the URL, and without parts of it that are long enough to be a secret.
pub(crate) fn scrubbed(mut words: String, url: &str) -> String {
    const LONG: usize = 12;
    let Ok(url) = parse(url.trim()) else { return words };
    let whole = Some(url.path()).filter(|path| path.len() > 1);
    let parts = url.path_segments().into_iter().flatten().filter(|part| part.len() >= LONG);
    for hidden in whole.into_iter().chain(parts) {
        words = words.replace(hidden, "…");
    }
    words
}

/// Which addresses a name may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameFilter {
    /// All.
    Everything,
    /// All but link-local ones.
    Guarded,
}

/// Looks names up, few at a time.
#[derive(Clone)]
pub(crate) struct Resolver {
    lookups: Lookups,
    reach: NameFilter,
}

/// A name that stands for a link-local address.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for a link-local address")]
pub(crate) struct Guarded;

impl Resolver {
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookups: Lookups::new(lookup), reach: NameFilter::Everything }
    }

    /// The same lookups with another answer to link-local addresses.
    pub(crate) fn with(&self, reach: NameFilter) -> Self {
        Self { reach, ..self.clone() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { lookups, reach } = self.clone();
        Box::pin(async move {
            let found = lookups.addresses(name.as_str().to_owned()).await?;
            // One such address among others is refused too: a name server could offer it as the second choice.
            if reach == NameFilter::Guarded && found.iter().copied().any(is_link_local) {
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
            ("http://canary:canary@Example.com:8080/canary?token=canary#canary", "http://example.com:8080"),
            ("https://example.com:443", "https://example.com"),
            (" http://[::1]:90/canary\n", "http://[::1]:90"),
            ("http:canary.example/canary", "http://canary.example"),
            ("canary", "(not a URL)"),
            ("canary:canary", "(not a URL)"),
            ("file:///canary", "(not a URL)"),
        ];
        for (url, expected) in table {
            assert_eq!(shown(url), expected);
            assert_eq!(quoted(url, Secrecy::Secret), expected);
        }
        for (url, expected) in [("http://u:canary@h:81/a/b?canary#canary", "http://h:81/a/b"), ("canary:canary", "(not a URL)")] {
            assert_eq!(quoted(url, Secrecy::Open), expected);
        }
    }

    #[test]
    fn a_pod_is_asked_at_its_address_or_by_the_name_in_its_certificate() {
        let at = |url, address: &str, name| at_pod(url, address.parse().unwrap(), name).unwrap();
        assert_eq!(at("http://{pod}:9090/-/reload?a=b", "10.0.0.1", None), "http://10.0.0.1:9090/-/reload?a=b");
        assert_eq!(at(" HTTPS://u:p@{POD}/x/{pod}", "fd00::1", None), "https://u:p@[fd00::1]/x/{pod}".replace("{pod}", "%7Bpod%7D"));
        assert_eq!(at("https://{pod}:9090/x", "fd00::1", Some("web.example")), "https://web.example:9090/x");
        assert!(Origin::parse("http://{Pod}:1/").unwrap().is_pods() && !Origin::parse("http://pod/{pod}").unwrap().is_pods());
        assert_eq!(quoted("http://u:canary@{pod}:9090/-/reload?canary", Secrecy::Open), "http://{pod}:9090/-/reload");
    }

    #[test]
    fn origins_are_spelled_out() {
        let origin = |url| Origin::parse(url).map(|origin| format!("{} {} {}", origin.scheme, origin.host, origin.port));
        assert_eq!(origin("HTTP://Example.COM/a").as_deref(), Some("http example.com 80"));
        assert_eq!(origin("https://[FE80::1]").as_deref(), Some("https fe80::1 443"));
        assert_eq!(origin("file:///etc/passwd"), None);
    }

    #[test]
    fn s16_addresses_of_the_node_are_known_in_every_spelling() {
        for url in [
            "http://169.254.169.254/",
            "http://169.254.169.254./",
            "http://169.254.43518/",
            "http://0251.0376.0251.0376/",
            "http://0xA9FEA9FE/",
            "http://%31%36%39.254.169.254/",
            "http://192.0.0.192/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[64:ff9b:1::a9fe:a9fe]/",
            "http://[::169.254.169.254]/",
            "http://[FD00:0ec2:0:0::254]/",
            "http://metadata/",
            "http://METADATA.google.internal/",
            "http://metadata.google.internal./",
            "http://instance-data/",
            "http://169.254.169.254.nip.io/",
            "http://a.169-254-169-254.sslip.io/",
            "http://a9fea9fe.nip.io/",
            "http://fd00-ec2--254.sslip.io/",
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
            assert!(names_metadata(&parse(url).unwrap()), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://10.0.0.1/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://100.100.100.201/",
            "http://metadata.shop.svc/",
            "http://my-metadata/",
            "http://10-0-0-1.shop.pod/",
        ] {
            assert!(!names_metadata(&parse(url).unwrap()), "{url}");
        }
    }
}
