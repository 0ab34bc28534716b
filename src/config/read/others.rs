//! Settings about servers other than the API, scripts, and objects followed by name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Verify;
use crate::config::profiles::Reading;
use crate::config::read::Reader;
use crate::config::read::parse::{self, Expected};
use crate::config::read::reload::{self, Script, Signalling, Timing};
use crate::config::read::web::{Call, CredentialOrigins, Credentials, Downloads, Encoding, Given, Origin, Redacted, Web};
use crate::config::read::{numbers, paths};
use crate::core::files::project::Urls;
use crate::core::object::{Kind, NamedObject, Namespaces};
use crate::core::retry::Retry;
use crate::web::address::origin;

/// What files behind URLs need.
pub(crate) struct UrlSettings {
    pub(crate) urls: Urls,
    pub(crate) downloads: Downloads,
}

/// What follows a change.
pub(crate) struct Reactions {
    pub(crate) signal: Option<Signalling>,
    pub(crate) call: Option<Call>,
    pub(crate) script: Option<Script>,
    pub(crate) timing: Timing,
}

impl Reader<'_> {
    pub(crate) fn web(&mut self, current_dir: &Path) -> Option<Web> {
        let timeout = self.number("REQ_TIMEOUT", &self.raw.req_timeout, numbers::decimal_seconds);
        let answer = self.number("REQ_ANSWER_TIMEOUT", &self.raw.req_answer_timeout, numbers::decimal_seconds);
        let total = self.number("REQ_RETRY_TOTAL", &self.raw.req_retry_total, numbers::count);
        let connect = self.number("REQ_RETRY_CONNECT", &self.raw.req_retry_connect, numbers::count);
        let read = self.number("REQ_RETRY_READ", &self.raw.req_retry_read, numbers::count);
        let backoff = self.number("REQ_RETRY_BACKOFF_FACTOR", &self.raw.req_retry_backoff_factor, numbers::decimal_seconds);
        let server_errors_are_final = self.truth("ENABLE_5XX", &self.raw.enable_5xx);
        let skip_tls_verify = self.exact_truth("REQ_SKIP_TLS_VERIFY", &self.raw.req_skip_tls_verify);
        let encoding = self.value("REQ_BASIC_AUTH_ENCODING", &self.raw.req_basic_auth_encoding, encoding);
        let as_path = |text: &str| Ok(paths::path(text, current_dir));
        let bundle = self.optional("REQUESTS_CA_BUNDLE", &self.raw.requests_ca_bundle, as_path);
        let other_bundle = self.optional("CURL_CA_BUNDLE", &self.raw.curl_ca_bundle, as_path);
        let username =
            self.given(("REQ_USERNAME", &self.raw.req_username), ("REQ_USERNAME_FILE", &self.raw.req_username_file), current_dir);
        let password =
            self.given(("REQ_PASSWORD", &self.raw.req_password), ("REQ_PASSWORD_FILE", &self.raw.req_password_file), current_dir);
        let headers = self.headers(current_dir);
        let retry = Retry { total: total?, connect: connect?, read: read?, backoff: backoff? };
        let timeout = timeout?.max(Duration::from_millis(1));
        Some(Web {
            timeout,
            answer_timeout: answer?.max(timeout),
            retry,
            skip_tls_verify: skip_tls_verify?,
            ca_bundle: bundle?.or(other_bundle?),
            server_errors_are_final: server_errors_are_final?,
            headers: headers?,
            credentials: Credentials { username: username?, password: password?, encoding: encoding? },
        })
    }

    fn given(&mut self, text: (&'static str, &Option<String>), file: (&'static str, &Option<String>), current_dir: &Path) -> Option<Given> {
        let text = self.optional(text.0, text.1, |text| Ok(Redacted(text.to_owned())));
        let file: Option<Option<PathBuf>> = self.optional(file.0, file.1, |text| Ok(paths::path(text, current_dir)));
        Some(Given { text: text?, file: file? })
    }

    pub(crate) fn urls(&mut self, resync: Option<Duration>, web: Option<&Web>) -> Option<UrlSettings> {
        let follow = self.value("URL_KEYS", &self.raw.url_keys, parse::boolean);
        let allow = self.optional("URL_ALLOW", &self.raw.url_allow, origins);
        let listed = self.optional("URL_CREDENTIAL_ORIGINS", &self.raw.url_credential_origins, credential_origins);
        let bytes_max = self.number("URL_MAX_BYTES", &self.raw.url_max_bytes, numbers::count);
        let once = self.truth("IGNORE_ALREADY_PROCESSED", &self.raw.ignore_already_processed);
        let own = self.raw.req_url.as_deref().and_then(origin);
        let has_credentials = web.is_some_and(|web| web.credentials.are_given());
        let (follow, listed) = (follow?, listed?);
        if let Some(web) = web {
            self.headers_have_an_addressee(&web.headers, listed.as_ref());
        }
        let credential_origins = match (listed, own) {
            (Some(CredentialOrigins::Any), _) => CredentialOrigins::Any,
            // Pods behind REQ_URL have no origin that a .url key could name.
            (listed, Some(own)) if own.is_pods() => listed.unwrap_or_else(|| CredentialOrigins::Only(Vec::new())),
            (Some(CredentialOrigins::Only(listed)), own) => CredentialOrigins::Only(listed.into_iter().chain(own).collect()),
            (None, Some(own)) => CredentialOrigins::Only(vec![own]),
            (None, None) => {
                if follow && has_credentials {
                    self.warnings.push(
                        "REQ_USERNAME and REQ_PASSWORD go to every server that a .url key names: list those in URL_CREDENTIAL_ORIGINS"
                            .to_owned(),
                    );
                }
                CredentialOrigins::Any
            }
        };
        let refresh = if once? { None } else { resync };
        let downloads =
            Downloads { bytes_max: usize::try_from(bytes_max?).unwrap_or(usize::MAX), refresh, credential_origins, allow: allow? };
        let urls = match follow {
            true => Urls::Follow { empty_at_first_failure: self.profile.empty_at_first_failure },
            false => Urls::Plain,
        };
        Some(UrlSettings { urls, downloads })
    }

    pub(crate) fn reactions(&mut self, current_dir: &Path) -> Option<Reactions> {
        let url = self.optional("REQ_URL", &self.raw.req_url, |text| match origin(text) {
            Some(origin) if origin.is_pods() || !origin.host.contains(['{', '}']) => Ok(Redacted(text.trim().to_owned())),
            Some(_) => Err("a URL that begins with http:// or https://, and {pod} alone as its host if it is to ask pods".into()),
            None => Err("a URL that begins with http:// or https://".into()),
        });
        let method = self.request_method();
        let payload = self.optional("REQ_PAYLOAD", &self.raw.req_payload, |text| Ok(Redacted(as_json(text))));
        let skips_initial = self.truth("REQ_SKIP_INIT", &self.raw.req_skip_init);
        let script = self.optional("SCRIPT", &self.raw.script, |text| Ok(paths::path(text, current_dir)));
        let timeout = self.number("SCRIPT_TIMEOUT", &self.raw.script_timeout, numbers::seconds);
        let environment = self.value("SCRIPT_ENV", &self.raw.script_env, reload::environment);
        let retries = self.number("SCRIPT_RETRIES", &self.raw.script_retries, numbers::count);
        let signal = self.signalling(current_dir);
        let timing = self.timing();
        let (url, method, payload, skips_initial) = (url?, method?, payload?, skips_initial?);
        let (timeout, environment, retries) = (timeout?, environment?, retries?);
        let timing = timing?;
        if skips_initial && timing.on_start && url.is_some() {
            self.warnings.push("REQ_SKIP_INIT has no effect with REACT_ON_START=true".to_owned());
        }
        Some(Reactions {
            signal: signal?,
            call: url.zip(method).map(|(url, method)| Call { url, method, payload, skips_initial }),
            script: script?.map(|path| Script { path, timeout, environment, retries }),
            timing,
        })
    }

    /// Notes what is to be told of files where there are none.
    pub(crate) fn tells_of_files(&mut self) {
        if self.projects() {
            return;
        }
        let raw = self.raw;
        let given = [
            ("REQ_URL", raw.req_url.is_some()),
            ("SCRIPT", raw.script.is_some()),
            ("SIGNAL_PROCESS", raw.signal_process.is_some()),
            ("SIGNAL_PIDFILE", raw.signal_pidfile.is_some()),
        ];
        for (name, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            self.note(name, "is told of files, and there are none: set FOLDER, and LABEL or OBJECT");
        }
    }

    /// Notes a problem where a profile asks for somebody who is told of changes and there is nobody: `None` if somebody else is.
    /// Commands that only look need nobody.
    pub(crate) fn somebody_is_told(&mut self, reactions: Option<&Reactions>) {
        let is_missing = |reactions: &Reactions| reactions.call.is_none() && reactions.script.is_none() && reactions.signal.is_none();
        if self.profile.reading == Reading::Controller && reactions.is_some_and(is_missing) {
            self.note("REQ_URL", "nobody is told of changes: give a command after --, or a URL as --reload-http or REQ_URL");
        }
    }

    /// REQ_METHOD; `None` inside where it is one that k8s-sidecar never sends.
    fn request_method(&mut self) -> Option<Option<String>> {
        match (&self.raw.req_method, self.profile.reading) {
            (Some(text), Reading::Sidecar) if request_method(text).is_err() => {
                self.warnings.push(format!("REQ_METHOD={text:?} is none of GET, POST, PUT and PATCH: nothing is sent"));
                Some(None)
            }
            (given, _) => self.value("REQ_METHOD", given, request_method).map(Some),
        }
    }

    /// What is checked of the API server's certificate.
    pub(crate) fn connection(&mut self) -> Option<Verify> {
        let skip = self.exact_truth("SKIP_TLS_VERIFY", &self.raw.skip_tls_verify);
        self.optional("ERROR_THROTTLE_SLEEP", &self.raw.error_throttle_sleep, |_| Ok(()));
        let strict = self.truth("DISABLE_X509_STRICT_VERIFICATION", &self.raw.disable_x509_strict_verification);
        if strict == Some(true) {
            self.warnings.push("DISABLE_X509_STRICT_VERIFICATION has no effect".to_owned());
        }
        Some(if skip? { Verify::Nothing } else { Verify::AsConfigured })
    }

    /// Items of RESOURCE_NAME.
    pub(crate) fn resource_names(&mut self) -> Option<Vec<NamedObject>> {
        self.optional("RESOURCE_NAME", &self.raw.resource_name, named_objects).map(Option::unwrap_or_default)
    }

    /// Those of them that mean something among these namespaces and kinds.
    pub(crate) fn fitting(&mut self, names: Vec<NamedObject>, namespaces: &Namespaces, kinds: &[Kind]) -> Option<Vec<NamedObject>> {
        if names.is_empty() {
            return Some(names);
        }
        let Namespaces::Only(namespaces) = namespaces else {
            self.warnings.push("RESOURCE_NAME has no effect with NAMESPACE=ALL".to_owned());
            return Some(Vec::new());
        };
        let fits = |named: &NamedObject| kinds.iter().any(|kind| namespaces.iter().any(|namespace| named.is_within(*kind, namespace)));
        if !names.iter().any(fits) {
            self.note("RESOURCE_NAME", "no item is of a kind in RESOURCE and of a namespace in NAMESPACE");
            return None;
        }
        Some(names)
    }
}

fn encoding(text: &str) -> Result<Encoding, Expected> {
    match text.to_ascii_lowercase().replace(['-', '_', ' '], "").as_str() {
        "latin1" | "iso88591" | "l1" => Ok(Encoding::Latin1),
        "utf8" | "u8" => Ok(Encoding::Utf8),
        "ascii" | "usascii" => Ok(Encoding::Ascii),
        _ => Err("latin1, utf-8 or ascii".into()),
    }
}

fn request_method(text: &str) -> Result<String, Expected> {
    let method = text.to_ascii_uppercase();
    match method.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" => Ok(method),
        _ => Err("GET, POST, PUT or PATCH".into()),
    }
}

/// JSON stays as it is; any other text becomes a JSON string.
fn as_json(text: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => text.to_owned(),
        Err(_) => serde_json::Value::from(text).to_string(),
    }
}

fn credential_origins(text: &str) -> Result<CredentialOrigins, Expected> {
    match text.trim() {
        "*" => Ok(CredentialOrigins::Any),
        list => Ok(CredentialOrigins::Only(origins(list).map_err(|expected| format!("{expected}, or *"))?)),
    }
}

fn origins(text: &str) -> Result<Vec<Origin>, Expected> {
    let origins: Option<Vec<Origin>> = parse::list(text).iter().map(|text| origin(text)).collect();
    origins
        .filter(|origins| !origins.is_empty())
        .ok_or_else(|| "origins with commas between them, for example https://example.com:8443".into())
}

fn named_objects(text: &str) -> Result<Vec<NamedObject>, Expected> {
    let kind = |text: &str| match text {
        "configmap" => Some(Kind::ConfigMap),
        "secret" => Some(Kind::Secret),
        _ => None,
    };
    let item = |item: &String| {
        let parts: Vec<&str> = item.split('/').map(str::trim).collect();
        let (namespace, kind, name) = match parts.as_slice() {
            [name] => (None, None, *name),
            [of, name] => (None, Some(kind(of)?), *name),
            [namespace, of, name] => (Some((*namespace).to_owned()), Some(kind(of)?), *name),
            _ => return None,
        };
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let is_good = !name.is_empty() && name.len() <= 253 && name.bytes().all(is_plain);
        is_good.then(|| NamedObject { namespace, kind, name: name.to_owned() })
    };
    let items: Option<Vec<NamedObject>> = parse::list(text).iter().map(item).collect();
    items.ok_or_else(|| "NAME, KIND/NAME or NAMESPACE/KIND/NAME with commas between them, where KIND is configmap or secret".into())
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
            assert_eq!(origin(url), expected, "{url}");
        }
        let listed = CredentialOrigins::Only(vec![at("http", "a", 80)]);
        check(credential_origins, &[(" * ", CredentialOrigins::Any), ("http://a", listed)], &["", "a", "http://a,*"]);
    }

    #[test]
    fn payloads_are_json_or_become_a_json_string() {
        for (text, expected) in [("{\"a\": 1}", "{\"a\": 1}"), ("hello", "\"hello\""), ("", "\"\""), ("1", "1"), ("a\"b", "\"a\\\"b\"")] {
            assert_eq!(as_json(text), expected);
        }
    }

    #[test]
    fn names_of_objects_have_one_two_or_three_parts() {
        let named =
            |namespace: Option<&str>, kind, name: &str| NamedObject { namespace: namespace.map(Into::into), kind, name: name.into() };
        let good = [
            ("a", vec![named(None, None, "a")]),
            ("secret/a , b", vec![named(None, None, "b"), named(None, Some(Kind::Secret), "a")]),
            ("n/configmap/a.b", vec![named(Some("n"), Some(Kind::ConfigMap), "a.b")]),
        ];
        check(named_objects, &good, &["pod/a", "a/b/c/d", "n/a/b", "/", "A"]);
    }

    #[test]
    fn methods_and_encodings_are_taken_in_any_case() {
        check(request_method, &[("post", "POST".to_owned()), ("Get", "GET".to_owned())], &["DELETE", ""]);
        check(encoding, &[("Latin1", Encoding::Latin1), ("UTF-8", Encoding::Utf8), ("us-ascii", Encoding::Ascii)], &["ebcdic"]);
    }
}
