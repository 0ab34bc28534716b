//! What is no manifest of ours by a letter or two: it is passed over, as the API server would, but not in silence.

use serde_json::Value;

use crate::core::object::Kind;

/// What a kind was meant to be.
pub(super) fn kind(kind: &str, reads: impl Fn(Kind) -> bool) -> Option<&'static str> {
    if kind.eq_ignore_ascii_case("List") {
        return Some("List, with its capital");
    }
    match meant(kind).filter(|kind| reads(*kind))? {
        Kind::ConfigMap => Some("ConfigMap, with its capitals and without an s"),
        Kind::Secret => Some("Secret, with its capital and without an s"),
        Kind::Pod => None,
    }
}

/// What the version of one of our kinds was meant to be: one of another group is meant as it stands.
pub(super) fn version(version: &str, kind: &str, reads: impl Fn(Kind) -> bool) -> Option<&'static str> {
    let is_ours = meant(kind).is_some_and(|kind| kind != Kind::Pod && reads(kind));
    let is_of_core = version.strip_prefix("core/").unwrap_or(version).split('/').count() == 1;
    (is_ours && is_of_core).then_some("v1, the only version of this kind")
}

/// What a bare sequence of manifests was meant to be.
pub(super) fn sequence(items: &[Value]) -> Option<&'static str> {
    let names = |node: &Value, name: &str| node.get(name).is_some();
    let is_manifest = |node: &Value| names(node, "kind") && names(node, "apiVersion");
    items.iter().any(is_manifest).then_some("an object, or a List with these as its items")
}

fn meant(kind: &str) -> Option<Kind> {
    let is = |known: &Kind| kind.strip_suffix(['s', 'S']).unwrap_or(kind).eq_ignore_ascii_case(known.as_str());
    Kind::ALL.into_iter().find(is)
}
