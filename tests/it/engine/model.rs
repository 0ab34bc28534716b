//! What the folder must hold, told naively and on its own: the documented rule for conflicts, nothing of the engine.
//!
//! The older object keeps a path, then kind, namespace, name. A file of the same name as another one's folder stands if its
//! object is older than every object that wants something beneath it; otherwise what lies beneath stands.

use std::collections::{BTreeMap, BTreeSet};

use kube_projector::core::object::annotations::Annotations;
use kube_projector::core::object::{Datum, Kind, Object, ObjectKey};

use crate::gzip_keys::gzip;

/// Path and bytes.
pub type Files = BTreeMap<String, Vec<u8>>;
/// Stands for bytes that are wanted and that nobody has.
pub const ABSENT: &[u8] = b"\0absent";
/// What begins so is no gzip file, though its key says so.
pub const BROKEN: u8 = b'!';

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
    pub annotations: Annotations,
    /// Of keys that end in `.gz` what their files are to hold.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Thing {
    /// One line, so that a failing history can be read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let data: Vec<_> = self.data.iter().map(|(key, bytes)| format!("{key}={}", String::from_utf8_lossy(bytes))).collect();
        write!(
            f,
            "{:?}/{}/{} of {} {:?} in {:?} {:?}: {}",
            self.kind,
            self.namespace,
            self.name,
            self.created,
            self.labels,
            self.folder,
            self.annotations,
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
            uid: self.uid,
            resource_version: self.version,
            created: self.created,
            folder: self.folder.map(str::to_owned),
            annotations: self.annotations,
            ..Object::new(
                self.key(),
                self.data
                    .iter()
                    .map(|(key, bytes)| {
                        let is_packed = key.ends_with(".gz") && bytes.first() != Some(&BROKEN);
                        let bytes = if is_packed { gzip(bytes) } else { bytes.clone() };
                        Datum::text(key, bytes)
                    })
                    .collect(),
            )
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
    let mut files = foreign.clone();
    let won = won(things, foreign, &Files::new());
    files.extend(won.into_iter().filter(|(_, (_, bytes))| *bytes != ABSENT).map(|(path, (_, bytes))| (path, bytes.clone())));
    files
}

/// Who has which path, and with what, where these foreign files lie and these stay that nobody may have.
pub fn won<'a>(things: impl IntoIterator<Item = &'a Thing>, foreign: &Files, fixed: &Files) -> BTreeMap<String, (&'a Thing, &'a Vec<u8>)> {
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
    let mut won = BTreeMap::new();
    for path in claims.keys() {
        let covered = claims.keys().any(|other| beneath(path, other) && stands(other));
        // A folder in which a foreign file lies is nobody's to remove.
        let blocked = foreign.keys().chain(fixed.keys()).any(|other| beneath(other, path));
        let stays = fixed.keys().any(|other| other == path || beneath(path, other));
        if stands(path) && !covered && !blocked && !stays {
            won.insert(path.clone(), best(path));
        }
    }
    won
}

/// Whether any of these objects wants a folder where this path is, or a file where a folder above it is.
pub fn is_in_the_way(path: &str, things: &[Thing]) -> bool {
    let claims: Vec<(String, &Thing)> =
        things.iter().flat_map(|thing| thing.data.keys().map(move |key| (thing.path(key), thing))).collect();
    let beneath = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let stands = |name: &str| {
        let rank = claims.iter().filter(|(claimed, _)| claimed == name).map(|(_, thing)| thing.rank()).min().unwrap();
        claims.iter().filter(|(claimed, _)| beneath(claimed, name)).all(|(_, thing)| rank < thing.rank())
    };
    claims.iter().any(|(claimed, _)| beneath(claimed, path) || (beneath(path, claimed) && stands(claimed)))
}

/// The folders that such files need.
pub fn folders(files: &Files) -> BTreeSet<String> {
    let above = |path: &str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
    files.keys().flat_map(|path| above(path)).collect()
}
