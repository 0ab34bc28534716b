//! PROFILE=k8s-sidecar: the defaults of kiwigrid/k8s-sidecar, and how it reads values.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::profiles::{Dialect, Profile, default};
use crate::config::read::form::Remarked;
use crate::config::read::log::{LogFormat, LogLevel, python_level};
use crate::config::read::parse::{self, Expected, MethodName};
use crate::config::read::reload;
use crate::config::setting::Fallback::{Described, Unset, Value};
use crate::config::{Answers, Wording};
use crate::core::files::project::FileNames;
use crate::core::object::Namespaces;

/// That of kiwigrid/k8s-sidecar.
pub(crate) static PROFILE: Profile = Profile {
    name: "k8s-sidecar",
    defaults: &[
        ("NAMESPACE", Described("the pod's own namespace; outside of a pod that of the kubeconfig's context")),
        ("RESOURCE", Value("configmap")),
        ("KUBECONFIG", Described("~/.kube/config if there is one, else the pod's service account")),
        ("ALLOWED_FOLDERS", Value("/")),
        ("RESYNC", Described("WATCH_SERVER_TIMEOUT")),
        ("CONFLICT", Value("newest")),
        ("LEDGER", Described("a dot-file in /tmp if that is a mount, else in FOLDER")),
        ("WATCH_SERVER_TIMEOUT", Value("60")),
        ("WATCH_CLIENT_TIMEOUT", Value("66")),
        ("FINALIZERS", Value("false")),
        ("URL_KEYS", Value("true")),
        ("SCRIPT_ENV", Value("all")),
        ("SCRIPT_RETRIES", Value("0")),
        ("REACT_WINDOW", Unset),
        ("LOG_FORMAT", Value("json")),
    ],
    dialect: Dialect::Sidecar,
    empty_counts: &["LABEL", "FOLDER_ANNOTATION", "REQ_PAYLOAD"],
    unique: FileNames::UniqueSidecar,
    empty_at_first_failure: true,
    gives_up_lists: true,
    excuses_files: true,
    wording: Wording::Sidecar,
    answers: Answers::Plain,
    ..default::TABLE
};

type AsRead<T> = Result<Remarked<T>, Expected>;

/// Any text.
pub(crate) fn text(text: &str) -> AsRead<String> {
    Ok((text.to_owned(), None))
}

/// Everything but `true` is false.
pub(crate) fn truth(text: &str) -> AsRead<bool> {
    Ok(boolean(text, text.eq_ignore_ascii_case("true")))
}

/// As [`truth`], where it is true only when it is spelled in lower case.
pub(crate) fn exact_truth(text: &str) -> AsRead<bool> {
    Ok(boolean(text, text == "true"))
}

fn boolean(text: &str, is_true: bool) -> Remarked<bool> {
    let is_odd = !is_true && !text.eq_ignore_ascii_case("false");
    (is_true, is_odd.then(|| format!("={text:?} counts as false: only true, in lower case, is true everywhere")))
}

/// METHOD: WATCH unless it is spelled exactly otherwise.
pub(crate) fn method(text: &str) -> AsRead<MethodName> {
    let method = match text {
        "LIST" => MethodName::List,
        "SLEEP" => MethodName::Sleep,
        _ => MethodName::Watch,
    };
    Ok((method, None))
}

/// `None` inside where nothing is named.
pub(crate) fn namespaces(text: &str) -> AsRead<Option<Namespaces>> {
    let names = parse::list(text);
    let namespaces = match names.iter().any(|name| name == "ALL") {
        true => Some(Namespaces::All),
        false if names.is_empty() => None,
        false => parse::some_namespaces(text)?,
    };
    Ok((namespaces, None))
}

/// Octal digits as Python reads them, up to 7777.
pub(crate) fn mode(text: &str) -> AsRead<u32> {
    let digits = text.trim().trim_start_matches("0o").trim_start_matches("0O");
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    mode.map(|mode| (mode, None)).ok_or(Cow::Borrowed("octal digits up to 7777, for example 644"))
}

/// No annotation has the empty name.
pub(crate) fn annotation_key(key: &str) -> AsRead<String> {
    if key.is_empty() { text(key) } else { parse::annotation_key(key).map(|key| (key, None)) }
}

/// REQ_METHOD; nothing where it is one that is never sent.
pub(crate) fn request_method(text: &str) -> AsRead<Option<String>> {
    Ok(match reload::request_method(text) {
        Ok(method) => (method, None),
        Err(_) => (None, Some(format!("={text:?} is none of GET, POST, PUT and PATCH: nothing is sent"))),
    })
}

/// HEALTH_PORT. A Service named `health` gives every pod one that is none; files matter more.
pub(crate) fn port(text: &str) -> AsRead<Option<u16>> {
    Ok(usable(parse::some_port(text)))
}

/// HEALTH_HOST, likewise.
pub(crate) fn ip_address(text: &str) -> AsRead<Option<IpAddr>> {
    Ok(usable(parse::some_ip_address(text)))
}

fn usable<T>(address: Result<Option<T>, Expected>) -> Remarked<Option<T>> {
    match address {
        Ok(address) => (address, None),
        Err(_) => (None, Some(" cannot be used: the health endpoint is not served".to_owned())),
    }
}

/// LOG_LEVEL.
pub(crate) fn level(text: &str) -> AsRead<LogLevel> {
    python_level(text).map(|level| (level, None))
}

/// LOG_FORMAT.
pub(crate) fn format(text: &str) -> AsRead<LogFormat> {
    let words = [("json", LogFormat::SidecarJson), ("logfmt", LogFormat::Logfmt), ("text", LogFormat::Text)];
    parse::choice(text, &words).map(|format| (format, None))
}
