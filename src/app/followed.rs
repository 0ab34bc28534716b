//! What is followed, and where files are written, as the configuration has it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{Config, LedgerPlace, ObjectSource};
use crate::core::files::store::SourceScope;
use crate::core::object::{Kind, NamedObject, ObjectKey, SourceId};
use crate::source::manifests::places::WrittenPlace;
use crate::source::manifests::yaml::ManifestRules;

/// What each source would list, in the order of their ids.
pub(crate) fn scopes(config: &Config) -> Vec<SourceScope> {
    match &config.source {
        ObjectSource::Manifests(_) => vec![SourceScope { kind: None, namespace: None, name: None }],
        ObjectSource::Cluster { .. } => followed(config)
            .into_iter()
            .map(|Followed { kind, namespace, name }| SourceScope {
                kind: Some(kind),
                namespace: namespace.map(Into::into),
                name: name.map(Into::into),
            })
            .collect(),
    }
}

/// What one source of the cluster follows.
#[derive(PartialEq, Eq)]
pub(crate) struct Followed {
    /// The kind.
    pub(crate) kind: Kind,
    /// The namespace, unless it is all.
    pub(crate) namespace: Option<String>,
    /// The only object, where names are given.
    pub(crate) name: Option<String>,
}

/// One source a kind and namespace, or one an object where RESOURCE_NAME gives names, and one an object of OBJECT. A pair for which
/// nothing is meant has no source.
pub(crate) fn followed(config: &Config) -> Vec<Followed> {
    let mut all = if config.named.is_empty() { by_label(config) } else { by_name(config) };
    let by_key =
        |key: &ObjectKey| Followed { kind: key.kind, namespace: Some(key.namespace.to_string()), name: Some(key.name.to_string()) };
    for followed in config.objects.iter().map(by_key) {
        if !all.contains(&followed) {
            all.push(followed);
        }
    }
    all
}

fn pairs(config: &Config) -> Vec<(Kind, Option<String>)> {
    let namespaces = config.namespaces.each();
    config.kinds.iter().flat_map(|kind| namespaces.iter().map(|namespace| (*kind, namespace.clone()))).collect()
}

fn by_label(config: &Config) -> Vec<Followed> {
    let pairs = if config.selector.is_some() { pairs(config) } else { Vec::new() };
    pairs.into_iter().map(|(kind, namespace)| Followed { kind, namespace, name: None }).collect()
}

fn by_name(config: &Config) -> Vec<Followed> {
    let mut all = Vec::new();
    for (kind, namespace) in pairs(config) {
        let meant = |named: &&NamedObject| namespace.as_deref().is_some_and(|namespace| named.is_within(kind, namespace));
        let names: BTreeSet<&String> = config.named.iter().filter(meant).map(|named| &named.name).collect();
        all.extend(names.into_iter().map(|name| Followed { kind, namespace: namespace.clone(), name: Some(name.clone()) }));
    }
    all
}

/// The first source of the same kind and namespace, for each source.
pub(crate) fn groups(config: &Config) -> Vec<SourceId> {
    let same = |left: &SourceScope, right: &SourceScope| (left.kind, &left.namespace) == (right.kind, &right.namespace);
    let scopes = scopes(config);
    let first = |scope: &SourceScope| (0..).map(SourceId).zip(&scopes).find(|(_, other)| same(scope, other)).map(|(id, _)| id);
    scopes.iter().filter_map(first).collect()
}

/// Which objects of a folder of manifests are taken, and how they are read.
pub(crate) fn manifest_rules(config: &Config) -> ManifestRules {
    ManifestRules {
        selector: config.selector.clone(),
        objects: config.objects.clone(),
        kinds: config.kinds.clone(),
        namespaces: config.namespaces.clone(),
        folder_annotation: config.files.folder_annotation.clone(),
    }
}

/// Where files are written, by the setting that says so.
pub(crate) fn written(config: &Config) -> Vec<WrittenPlace> {
    let at = |variable, path: &Path| WrittenPlace { variable, path: path.to_path_buf() };
    // Everything lies in `/`: there it is for each object's own folder to be apart from the manifests.
    let allowed = config.files.allowed_folders.iter().filter(|folder| folder.as_os_str() != "/");
    let ledger = match &config.ownership.ledger {
        LedgerPlace::Path(path) => Some(at("LEDGER", path)),
        LedgerPlace::Default | LedgerPlace::Name(_) | LedgerPlace::In(_) => None,
    };
    let staging = config.ownership.staging.iter().map(|path| at("STAGING", path));
    let allowed = allowed.map(|folder| at("ALLOWED_FOLDERS", folder));
    [at("FOLDER", &config.folder)].into_iter().chain(allowed).chain(ledger).chain(staging).collect()
}
