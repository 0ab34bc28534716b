//! The way to a real server.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use tempfile::TempDir;

use super::{Backend, VARIABLE};
use crate::support::api::answer::encode;
use crate::support::api::object::text;
use crate::support::http::Client;

/// Reads a kubeconfig (JSON or YAML) with a token or a client certificate.
pub fn real(path: &Path) -> (Backend, Client) {
    let content = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{VARIABLE}={}: {error}", path.display()));
    let config: Value = serde_json::from_str(&content)
        .or_else(|_| serde_saphyr::from_str(&content))
        .unwrap_or_else(|error| panic!("{VARIABLE}={}: {error}", path.display()));
    let named = |list: &str, name: &str, member: &str| -> Value {
        let items = config[list].as_array().into_iter().flatten();
        items.clone().find(|item| item["name"] == name).or(items.clone().next()).map(|item| item[member].clone()).unwrap_or_default()
    };
    let context = named("contexts", text(&config, "/current-context"), "context");
    let cluster = named("clusters", text(&context, "/cluster"), "cluster");
    let user = named("users", text(&context, "/user"), "user");
    let content_of = |owner: &Value, field: &str| -> Option<String> {
        if let Some(encoded) = owner[&format!("{field}-data")].as_str() {
            return Some(String::from_utf8(BASE64.decode(encoded).expect("base64 in the kubeconfig")).expect("PEM in the kubeconfig"));
        }
        owner[field].as_str().map(|file| std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}")))
    };
    let server = text(&cluster, "/server").trim_end_matches('/').to_owned();
    let address = server.strip_prefix("https://").unwrap_or_else(|| panic!("{server:?} is no https URL"));
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "443"));
    let port = port.parse().unwrap_or_else(|_| panic!("{server:?} has no port that is a number"));
    let authority = content_of(&cluster, "certificate-authority").expect("the kubeconfig names a certificate authority");
    let identity = content_of(&user, "client-certificate").zip(content_of(&user, "client-key"));
    let identity = identity.as_ref().map(|(certificate, key)| (certificate.as_str(), key.as_str()));
    let mut client = Client::https(host, port, &authority, identity);
    if let Some(token) = user["token"].as_str() {
        client = client.with_token(token);
    }
    let folder = TempDir::new().expect("a temporary folder");
    let kubeconfig = path.canonicalize().expect("the kubeconfig was just read");
    (Backend::Real { kubeconfig, server, authority_base64: encode(authority.as_bytes()), folder }, client)
}
