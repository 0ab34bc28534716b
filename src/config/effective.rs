//! The settings in force, for people: what each is, and where it came from. No value that may not be shown is in it.
//!
//! Nothing is kept for it: it is read anew from what [`Config::from_vars`](crate::config::Config::from_vars) reads.
//!
//! ```
//! use kube_projector::config::Arguments;
//! use kube_projector::config::effective::{ValueSource, effective};
//!
//! let vars = [("FOLDER", "/rules"), ("REQ_URL", "http://u:p@localhost:3000/reload?token=t")];
//! let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let url = effective(vars.into_iter(), &Arguments::default(), "").into_iter().find(|setting| setting.name == "REQ_URL").unwrap();
//! assert_eq!((url.value.as_str(), url.from, url.by), ("http://localhost:3000", ValueSource::Environment, Some("REQ_URL")));
//! ```

use serde::Serialize;

use crate::config::profiles::config_controller;
use crate::config::read::numbers::shortened;
use crate::config::read::origin::Origin;
use crate::config::read::{exec, parse};
use crate::config::setting::{Fallback, Setting};
use crate::config::table::{SECRETS, SETTINGS};
use crate::config::texts::{Arguments, GivenText, Texts};

/// Longest value that is shown, in characters.
const VALUE_MAX: usize = 500;
/// What stands for a value that may not be shown.
const MASK: &str = "***";

/// A setting in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EffectiveSetting {
    /// Name of its variable.
    pub name: &'static str,
    /// Its value as it was given or, where a default is no single value, in words. Of a URL its origin, of a command its first word,
    /// of what is secret nothing.
    pub value: String,
    /// What gives it.
    pub from: ValueSource,
    /// The flag, variable or profile that does; `None` for a default.
    pub by: Option<&'static str>,
}

/// What gives a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueSource {
    /// The command line.
    Flag,
    /// A variable, be it one of a program that the profile stands in for.
    Environment,
    /// The profile.
    Profile,
    /// The table of settings.
    Default,
}

/// Every setting that has a value, in the order of the table; `program` is the name under which we were started.
///
/// # Assumptions
/// A configuration could be read from the same.
pub fn effective(vars: impl Iterator<Item = (String, String)>, arguments: &Arguments, program: &str) -> Vec<EffectiveSetting> {
    let texts = Texts::gather(vars, &arguments.flags, program);
    SETTINGS.iter().filter_map(|setting| in_force(setting, &texts)).collect()
}

fn in_force(setting: &'static Setting, texts: &Texts) -> Option<EffectiveSetting> {
    let name = setting.name;
    let made = |value: &str, from, by| Some(EffectiveSetting { name, value: shown(name, value), from, by });
    if let Some(GivenText { text, by }) = texts.given(name) {
        return made(text, source(by), Some(by));
    }
    if let ("OBJECT", Some(GivenText { text, by })) = (name, &texts.configmap) {
        let value = config_controller::configmap(text)
            .map_or_else(|_| text.clone(), |object| format!("{}/{}/{}", object.kind.lower(), object.namespace, object.name));
        return made(&value, source(by), Some(by));
    }
    if name == "HEALTH_PORT" && texts.given("HEALTHCHECK_PORT").is_some() {
        return None;
    }
    let fallback = texts.profile.fallback(setting);
    let is_profiles = name == "PROFILE" || fallback != setting.default;
    let value = match fallback {
        _ if name == "PROFILE" => texts.profile.name,
        Fallback::Value(text) | Fallback::Described(text) => text,
        Fallback::Required | Fallback::Unset => return None,
    };
    match is_profiles && !texts.profile.defaults.is_empty() {
        true => made(value, ValueSource::Profile, Some(texts.profile.name)),
        false => made(value, ValueSource::Default, None),
    }
}

/// What kind of thing gives a text by this name.
fn source(by: &str) -> ValueSource {
    match by {
        _ if by.starts_with('-') => ValueSource::Flag,
        config_controller::IMAGE => ValueSource::Profile,
        _ => ValueSource::Environment,
    }
}

/// A value as anybody may see it.
fn shown(name: &str, value: &str) -> String {
    let value = match name {
        "REQ_URL" => origin(value),
        "EXEC_COMMAND" => first_word(value),
        _ if SECRETS.contains(&name) => MASK.to_owned(),
        // Lists of origins, which may be written as more.
        "URL_ALLOW" | "URL_CREDENTIAL_ORIGINS" if value.contains("://") => {
            parse::list(value).iter().map(|item| origin(item)).collect::<Vec<_>>().join(",")
        }
        _ if value.contains("://") => origin(value),
        _ => value.to_owned(),
    };
    shortened(&value, VALUE_MAX)
}

/// Scheme, host and port of a URL; nothing of what cannot be asked.
fn origin(url: &str) -> String {
    let Some(Origin { scheme, host, port }) = Origin::parse(url) else { return MASK.to_owned() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    match (scheme.as_str(), port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}:{port}"),
    }
}

/// The program of a command, unless the text before it could say more than that.
fn first_word(command: &str) -> String {
    let argv = exec::command(command).unwrap_or_default();
    let program = match argv.as_slice() {
        [shell, flag, text] if shell == "sh" && flag == "-c" => text.split_whitespace().next().unwrap_or_default(),
        argv => argv.first().map(String::as_str).unwrap_or_default(),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+');
    if program.bytes().all(is_plain) { program.to_owned() } else { MASK.to_owned() }
}

#[cfg(test)]
#[path = "effective_tests.rs"]
mod tests;
