//! What the folder must hold, told naively and on its own: the documented rule for conflicts, nothing of the engine.
//!
//! The older object keeps a path, then kind, namespace, name. A file of the same name as another one's folder stands if its
//! object is older than every object that wants something beneath it; otherwise what lies beneath stands.

use std::collections::{BTreeMap, BTreeSet};

use kube_projector::core::object::{Datum, Kind, Object, ObjectKey, Payload};

/// Path and bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One live object.
#[derive(Clone, PartialEq, Eq)]
pub struct Thing {
    pub kind: Kind,
    pub namespace: &'static str,
    pub name: String,
    pub uid: u128,
    pub version: u64,
    pub created: i64,
    /// Labels that it carries.
    pub labels: BTreeSet<&'static str>,
    pub folder: Option<&'static str>,
    pub data: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Thing {
    /// One line, so that a failing history can be read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let data: Vec<_> = self.data.iter().map(|(key, bytes)| format!("{key}={}", String::from_utf8_lossy(bytes))).collect();
        write!(
            f,
            "{:?}/{}/{} of {} {:?} in {:?}: {}",
            self.kind,
            self.namespace,
            self.name,
            self.created,
            self.labels,
            self.folder,
            data.join(" ")
        )
    }
}

impl Thing {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.kind, self.namespace, self.name.as_str())
    }

    pub fn object(&self) -> Box<Object> {
        Box::new(Object {
            key: self.key(),
            uid: self.uid,
            resource_version: self.version,
            created: self.created,
            terminating: false,
            finalizers: Vec::new(),
            held: Vec::new(),
            folder: self.folder.map(str::to_owned),
            data: self
                .data
                .iter()
                .map(|(key, bytes)| Datum { key: key.clone(), payload: Some(Payload(bytes.clone())), encoded: false })
                .collect(),
        })
    }

    fn rank(&self) -> (i64, u8, &str, &str) {
        (self.created, u8::from(self.kind == Kind::Secret), self.namespace, &self.name)
    }

    pub fn path(&self, key: &str) -> String {
        let folder = self.folder.unwrap_or_default().split('/').filter(|part| !part.is_empty() && *part != ".");
        folder.chain([key]).collect::<Vec<_>>().join("/")
    }
}

/// The wanted files of these objects in a folder where these foreign files lie.
pub fn wanted<'a>(things: impl IntoIterator<Item = &'a Thing>, foreign: &Files) -> Files {
    let mut claims: BTreeMap<String, Vec<(&Thing, &Vec<u8>)>> = BTreeMap::new();
    for thing in things {
        for (key, bytes) in &thing.data {
            claims.entry(thing.path(key)).or_default().push((thing, bytes));
        }
    }
    let beneath = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let best = |path: &str| claims[path].iter().min_by_key(|(thing, _)| thing.rank()).copied().unwrap();
    let stands = |path: &str| {
        let rank = best(path).0.rank();
        claims.iter().filter(|(other, _)| beneath(other, path)).all(|(_, those)| those.iter().all(|(thing, _)| rank < thing.rank()))
    };
    let mut files = foreign.clone();
    for path in claims.keys() {
        let covered = claims.keys().any(|other| beneath(path, other) && stands(other));
        // A folder in which a foreign file lies is nobody's to remove.
        let blocked = foreign.keys().any(|other| beneath(other, path));
        if stands(path) && !covered && !blocked {
            files.insert(path.clone(), best(path).1.clone());
        }
    }
    files
}

/// The folders that such files need.
pub fn folders(files: &Files) -> BTreeSet<String> {
    let above = |path: &str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
    files.keys().flat_map(|path| above(path)).collect()
}
