//! The content of the server: objects, one counter for all of them, and the log of every change.
//!
//! The log is never shortened: compaction only moves the floor below which nobody may start to read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::check;
use super::failure::Failure;
use super::object::{self, Definition, Stored, text};

/// Where an object is kept: resource, namespace, name.
pub type Key = (&'static str, String, String);

/// Objects by key.
pub type Objects = BTreeMap<Key, Arc<Stored>>;

/// One change: an object's version before and after.
pub struct Change {
    /// resourceVersion of the change.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// What it was, if it existed.
    pub old: Option<Arc<Stored>>,
    /// What it is, unless it is gone.
    pub new: Option<Arc<Stored>>,
}

/// Content and counter at one moment, to which the server can be set back.
#[derive(Clone)]
pub struct Snapshot {
    /// The counter then.
    pub version: u64,
    objects: Objects,
}

/// What a deletion left behind.
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Stored>),
    /// Finalizers keep it.
    Terminating(Arc<Stored>),
}

/// Whether an object comes from a client or from the test, which may set what clients may not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Validated; uid and time stamps are ours.
    Client,
    /// Validated; a creationTimestamp and a uid that are there are kept.
    Test,
    /// As `Test`, and not validated at all.
    Raw,
}

/// The content of the server.
pub struct Store {
    objects: Objects,
    log: Vec<Change>,
    version: u64,
    floor: u64,
    managed_fields: bool,
}

impl Store {
    /// An empty store with a counter that is not near zero.
    pub fn new(managed_fields: bool) -> Self {
        Self { objects: BTreeMap::new(), log: Vec::new(), version: 1_000, floor: 0, managed_fields }
    }

    /// The newest resourceVersion.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The oldest resourceVersion from which a client may still read.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Makes everything before now unreadable for those who start to read.
    pub fn compact(&mut self) {
        // Compaction moves the counter, so that a client that read just before it is too old as well.
        self.version += 1;
        self.floor = self.version;
    }

    /// The object now.
    pub fn get(&self, plural: &'static str, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.objects.get(&(plural, namespace.to_owned(), name.to_owned()))
    }

    /// All objects as they were at a resourceVersion.
    pub fn at(&self, version: u64) -> Cow<'_, Objects> {
        let mut objects = Cow::Borrowed(&self.objects);
        for change in self.log.iter().rev().take_while(|change| change.version > version) {
            match &change.old {
                Some(old) => objects.to_mut().insert(change.key.clone(), Arc::clone(old)),
                None => objects.to_mut().remove(&change.key),
            };
        }
        objects
    }

    /// The changes after a resourceVersion, oldest first.
    pub fn since(&self, version: u64) -> &[Change] {
        let start = self.log.partition_point(|change| change.version <= version);
        self.log.get(start..).unwrap_or_default()
    }

    /// Content and counter now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { version: self.version, objects: self.objects.clone() }
    }

    /// Sets content and counter back, as a restored etcd does; nobody is told.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.objects = snapshot.objects.clone();
        self.version = snapshot.version;
        self.floor = self.floor.min(snapshot.version);
        self.log.retain(|change| change.version <= snapshot.version);
    }

    /// Creates an object.
    pub fn create(&mut self, def: &Definition, namespace: &str, mut value: Value, origin: Origin) -> Result<Arc<Stored>, Failure> {
        if text(&value, "/metadata/name").is_empty() && !text(&value, "/metadata/generateName").is_empty() {
            let suffix = random_uid();
            value["metadata"]["name"] = format!("{}{}", text(&value, "/metadata/generateName"), &suffix[..5]).into();
        }
        object::normalize(def, &mut value);
        if origin != Origin::Raw {
            check::validate(def, &value)?;
        }
        let name = text(&value, "/metadata/name").to_owned();
        if def.namespaced {
            let home = self.get("namespaces", "", namespace).ok_or_else(|| Failure::not_found("namespaces", namespace))?;
            if home.value["metadata"].get("deletionTimestamp").is_some() {
                return Err(Failure::namespace_terminating(def.plural, &name, namespace));
            }
            value["metadata"]["namespace"] = namespace.into();
        }
        if self.get(plural(def), namespace, &name).is_some() {
            return Err(Failure::already_exists(def.plural, &name));
        }
        let metadata = &mut value["metadata"];
        if origin == Origin::Client || metadata.get("creationTimestamp").is_none() {
            metadata["creationTimestamp"] = object::now().into();
        }
        if origin == Origin::Client || metadata.get("uid").is_none() {
            metadata["uid"] = random_uid().into();
        }
        if def.plural == "namespaces" {
            metadata["labels"]["kubernetes.io/metadata.name"] = name.clone().into();
            value["spec"]["finalizers"] = json!(["kubernetes"]);
            value["status"]["phase"] = "Active".into();
        }
        Ok(self.write((plural(def), namespace.to_owned(), name), None, value))
    }

    /// Replaces an object, as PUT and PATCH do. An update that changes nothing is no change.
    pub fn update(&mut self, def: &Definition, namespace: &str, name: &str, mut value: Value) -> Result<Arc<Stored>, Failure> {
        let old = self.get(plural(def), namespace, name).cloned().ok_or_else(|| Failure::not_found(def.plural, name))?;
        let asked = text(&value, "/metadata/resourceVersion");
        if !asked.is_empty() && asked != old.resource_version() {
            return Err(Failure::conflict(def.plural, name));
        }
        let uid = text(&value, "/metadata/uid");
        if !uid.is_empty() && uid != text(&old.value, "/metadata/uid") {
            let message = format!("Invalid value: \"{uid}\": field is immutable");
            return Err(Failure::invalid(def.kind, name, "metadata.uid", "FieldValueInvalid", &message));
        }
        object::normalize(def, &mut value);
        for kept in [
            "name",
            "generateName",
            "namespace",
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "resourceVersion",
            "managedFields",
        ] {
            value["metadata"][kept] = old.value["metadata"].get(kept).cloned().unwrap_or(Value::Null);
        }
        object::normalize(def, &mut value);
        check::validate(def, &value)?;
        let terminating = old.value["metadata"].get("deletionTimestamp").is_some();
        let before = old.finalizers();
        if let Some(added) = object::finalizers(&value).into_iter().find(|finalizer| terminating && !before.contains(finalizer)) {
            let rule = "no new finalizers can be added if the object is being deleted, found new finalizers []string";
            let message = format!("Forbidden: {rule}{{\"{added}\"}}");
            return Err(Failure::invalid(def.kind, name, "metadata.finalizers", "FieldValueForbidden", &message));
        }
        if value == old.value {
            return Ok(old);
        }
        let key = (plural(def), namespace.to_owned(), name.to_owned());
        if terminating && object::finalizers(&value).is_empty() && def.plural != "namespaces" {
            self.remove(key, &old);
            return Ok(Arc::new(Stored::new(value)));
        }
        Ok(self.write(key, Some(old), value))
    }

    /// Deletes an object, or marks it while finalizers keep it.
    pub fn delete(&mut self, def: &Definition, namespace: &str, name: &str, uid: Option<&str>) -> Result<Deleted, Failure> {
        let old = self.get(plural(def), namespace, name).cloned().ok_or_else(|| Failure::not_found(def.plural, name))?;
        let found = text(&old.value, "/metadata/uid");
        if let Some(asked) = uid.filter(|asked| *asked != found) {
            return Err(Failure::wrong_uid(def.kind, name, asked, found));
        }
        let key = (plural(def), namespace.to_owned(), name.to_owned());
        let is_namespace = def.plural == "namespaces";
        if old.finalizers().is_empty() && !is_namespace {
            self.remove(key, &old);
            return Ok(Deleted::Gone(old));
        }
        if old.value["metadata"].get("deletionTimestamp").is_some() {
            return Ok(Deleted::Terminating(old));
        }
        let mut value = old.value.clone();
        value["metadata"]["deletionTimestamp"] = object::now().into();
        if is_namespace {
            value["status"]["phase"] = "Terminating".into();
        } else {
            value["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        }
        let marked = self.write(key, Some(old), value);
        if is_namespace {
            self.empty(name);
        }
        Ok(Deleted::Terminating(marked))
    }

    /// Puts an object there as it is, whatever the rules say. For tests of clients.
    pub fn put_raw(&mut self, def: &Definition, namespace: &str, value: Value) -> Arc<Stored> {
        let name = text(&value, "/metadata/name").to_owned();
        match self.get(plural(def), namespace, &name).cloned() {
            Some(old) => self.write((plural(def), namespace.to_owned(), name), Some(old), value),
            None => self.create(def, namespace, value, Origin::Raw).unwrap_or_else(|failure| panic!("raw object: {}", failure.body())),
        }
    }

    /// Deletes what a dying namespace holds.
    fn empty(&mut self, namespace: &str) {
        let keys: Vec<Key> = self.objects.keys().filter(|key| key.1 == namespace).cloned().collect();
        for (resource, namespace, name) in keys {
            // An object that went meanwhile is as good as deleted.
            drop(self.delete(Definition::named(resource), &namespace, &name, None));
        }
        self.bury(namespace);
    }

    /// Removes a dying namespace once it is empty.
    fn bury(&mut self, namespace: &str) {
        let Some(home) = self.get("namespaces", "", namespace).cloned() else {
            return;
        };
        let dying = home.value["metadata"].get("deletionTimestamp").is_some();
        if dying && !self.objects.keys().any(|key| key.1 == namespace) {
            self.remove(("namespaces", String::new(), namespace.to_owned()), &home);
        }
    }

    fn write(&mut self, key: Key, old: Option<Arc<Stored>>, mut value: Value) -> Arc<Stored> {
        self.version += 1;
        if self.managed_fields {
            value["metadata"]["managedFields"] = object::managed_fields(&value, &object::now());
        }
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        let new = Arc::new(Stored::new(value));
        self.objects.insert(key.clone(), Arc::clone(&new));
        self.log.push(Change { version: self.version, key, old, new: Some(Arc::clone(&new)) });
        new
    }

    fn remove(&mut self, key: Key, old: &Arc<Stored>) {
        self.version += 1;
        self.objects.remove(&key);
        let namespace = key.1.clone();
        self.log.push(Change { version: self.version, key, old: Some(Arc::clone(old)), new: None });
        if !namespace.is_empty() {
            self.bury(&namespace);
        }
    }
}

/// The store's name of a resource: the same for both groups of events.
fn plural(def: &Definition) -> &'static str {
    def.plural
}

/// A random uid in the form of a UUID.
pub fn random_uid() -> String {
    let word = || RandomState::new().hash_one(0_u8);
    let (high, low) = (word(), word());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}
