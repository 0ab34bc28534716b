//! Origins of URLs: who is asked, without what is asked for.

use reqwest::Url;

use crate::config::read::parse::{self, Expected};
use crate::config::read::web::{CredentialOrigins, Redacted};

/// Scheme, host and port of a server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// In lower case, without brackets.
    pub(crate) host: String,
    /// Spelled out.
    pub(crate) port: u16,
}

/// The host of REQ_URL that stands for the addresses of pods.
pub(crate) const PODS: &str = "{pod}";

impl Origin {
    /// That of a text, unless it is no http or https URL.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        Url::parse(url.trim()).ok().filter(is_web).as_ref().and_then(Self::of)
    }

    /// That of a URL.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Some(Self { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default()? })
    }

    /// Whether it is none, but stands for those of pods.
    pub(crate) fn is_pods(&self) -> bool {
        self.host == PODS
    }
}

/// Whether it is an http or https URL, which can be asked.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// REQ_URL.
pub(crate) fn reload_url(text: &str) -> Result<Redacted, Expected> {
    match Origin::parse(text) {
        Some(origin) if origin.is_pods() || !origin.host.contains(['{', '}']) => Ok(Redacted(text.trim().to_owned())),
        Some(_) => Err("a URL that begins with http:// or https://, and {pod} alone as its host if it is to ask pods".into()),
        None => Err("a URL that begins with http:// or https://".into()),
    }
}

/// Several of them.
pub(crate) fn origins(text: &str) -> Result<Vec<Origin>, Expected> {
    let origins: Option<Vec<Origin>> = parse::list(text).iter().map(|text| Origin::parse(text)).collect();
    origins
        .filter(|origins| !origins.is_empty())
        .ok_or_else(|| "origins with commas between them, for example https://example.com:8443".into())
}

/// Those that get our credentials.
pub(crate) fn credential_origins(text: &str) -> Result<CredentialOrigins, Expected> {
    match text.trim() {
        "*" => Ok(CredentialOrigins::Any),
        list => Ok(CredentialOrigins::Only(origins(list).map_err(|expected| format!("{expected}, or *"))?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::parse::tests::check;

    fn at(scheme: &str, host: &str, port: u16) -> Origin {
        Origin { scheme: scheme.into(), host: host.into(), port }
    }

    #[test]
    fn origins_have_a_scheme_a_host_and_a_port() {
        let good = [
            ("http://A.example/x?y", Some(at("http", "a.example", 80))),
            ("https://u:p@a.example:8443/", Some(at("https", "a.example", 8443))),
            ("http://[::1]:3000", Some(at("http", "::1", 3000))),
            ("ftp://a", None),
            ("/x", None),
            ("a.example", None),
        ];
        for (url, expected) in good {
            assert_eq!(Origin::parse(url), expected, "{url}");
        }
        let listed = CredentialOrigins::Only(vec![at("http", "a", 80)]);
        check(credential_origins, &[(" * ", CredentialOrigins::Any), ("http://a", listed)], &["", "a", "http://a,*"]);
    }
}
