//! Where the status page is served: to this machine alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::read::parse::Expected;

/// The port in a recipe, where the text names none.
const PORT: u16 = 9090;

/// STATUS_ADDR. The page asks nobody who they are, so nobody else may reach it.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, Expected> {
    let text = text.trim();
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let parsed = local.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).or_else(|| text.parse().ok());
    if let Some(address) = parsed.filter(|address| address.ip().is_loopback()) {
        return Ok(address);
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse().ok()).filter(|port| *port != 0).unwrap_or(PORT);
    Err(format!(
        "a loopback address with a port, for example 127.0.0.1:{port}, because the page asks nobody who they are; from elsewhere it is \
         reached by `kubectl port-forward POD {port}` or `ssh -L {port}:127.0.0.1:{port} HOST`"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::parse::tests::check;

    #[test]
    fn only_this_machine_can_be_served() {
        let at = |text: &str| text.parse().unwrap();
        let good = [
            ("127.0.0.1:9090", at("127.0.0.1:9090")),
            ("[::1]:0", at("[::1]:0")),
            (" localhost:81 ", at("127.0.0.1:81")),
            ("127.8.8.8:1", at("127.8.8.8:1")),
        ];
        check(loopback, &good, &["0.0.0.0:9090", "[::]:9090", ":9090", "9090", "10.0.0.1:9090", "example.com:80", "127.0.0.1", ""]);
    }

    #[test]
    fn whoever_wants_it_from_elsewhere_is_told_how() {
        let told = loopback("0.0.0.0:8181").unwrap_err();
        assert!(told.contains("`kubectl port-forward POD 8181`") && told.contains("`ssh -L 8181:127.0.0.1:8181 HOST`"), "{told}");
        assert!(loopback("page").unwrap_err().contains("127.0.0.1:9090"));
    }
}
