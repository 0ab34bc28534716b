//! What behaviour tests share: one cluster, one folder, and projectors on them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::projector::Builder;
use crate::support::*;

/// The finalizer of projectors that `Setup::projector` launches.
pub const OURS: &str = "kube-projector.dev/test";

/// A cluster, FOLDER, and a place beside FOLDER.
pub struct Setup {
    pub cluster: Cluster,
    home: TempDir,
    markers: AtomicUsize,
}

impl Setup {
    /// On the server that the environment asks for.
    pub fn new() -> Self {
        Self::on(Cluster::new())
    }

    /// On the server in this process, for faults and ages.
    pub fn in_process() -> Self {
        Self::on(Cluster::in_process())
    }

    fn on(cluster: Cluster) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("files")).unwrap();
        Self { cluster, home, markers: AtomicUsize::new(0) }
    }

    /// FOLDER.
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("files")
    }

    /// A path in FOLDER.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A path beside FOLDER.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A file of somebody else in FOLDER.
    pub fn foreign(&self, name: &str, bytes: impl AsRef<[u8]>) {
        put(&self.path(name), bytes);
    }

    /// A launch at shipped defaults.
    pub fn projector(&self) -> Builder {
        Projector::on(&self.cluster, &self.folder()).env("FINALIZER_NAME", OURS)
    }

    /// A projector at shipped defaults that has caught up.
    pub fn start(&self) -> Projector {
        started(&self.projector())
    }

    /// Waits for exactly these files.
    pub fn holds(&self, files: &Tree) {
        wait_tree(&self.folder(), files);
    }

    /// Waits until there are these folders and no others: ours go a moment after their last file.
    pub fn has_folders(&self, expected: &[&str]) {
        wait_for(&format!("the folders {expected:?}"), DEADLINE, || folders(&self.folder()) == expected);
    }

    /// Everything that happened in the cluster so far is through: objects created after it have their (hidden) files.
    pub fn caught_up(&self) {
        self.caught_up_in(&self.folder());
    }

    /// As `caught_up`, for a projector on another folder.
    pub fn caught_up_in(&self, folder: &Path) {
        // What came before the first round may be in one commit with it, and files of a commit are written in the order of their names.
        for _ in 0..2 {
            let number = self.markers.fetch_add(1, Ordering::SeqCst);
            let (name, map, secret) = (format!("marker-{number}"), format!(".map-{number}"), format!(".secret-{number}"));
            self.cluster.configmap(&name, &[(&map, "")]).create();
            self.cluster.secret(&name, &[(&secret, "")]).create();
            wait_for("the files of objects created last", DEADLINE, || folder.join(&map).exists() && folder.join(&secret).exists());
        }
    }

    /// Once everything so far is through, there are exactly these files.
    pub fn settles_at(&self, files: &Tree) {
        self.caught_up();
        assert_tree(&self.folder(), files);
    }

    /// Waits until an object carries exactly these finalizers.
    pub fn has_finalizers(&self, plural: &str, name: &str, expected: &[&str]) {
        wait_until(&format!("finalizers {expected:?} on {plural} {name}"), DEADLINE, || {
            let found = self.cluster.finalizers_of(plural, name);
            if found == expected { Ok(()) } else { Err(found) }
        });
    }

    /// Waits for an Event of this reason on an object and returns its note.
    pub fn event(&self, name: &str, reason: &str) -> Value {
        wait_until(&format!("an Event {reason} for {name}"), DEADLINE, || {
            let events = self.cluster.events_for(name);
            let found = events.iter().find(|event| event["reason"] == reason).cloned();
            found.ok_or_else(|| self.cluster.reasons_for(name))
        })
    }
}

/// Launches and waits until it has caught up.
pub fn started(builder: &Builder) -> Projector {
    let mut projector = builder.start();
    projector.wait_ready();
    projector
}

/// Writes a file and the folders above it.
pub fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// How often a text occurs in an output.
pub fn count(output: &str, text: &str) -> usize {
    output.matches(text).count()
}

/// Seconds since 1970 of an object's creation.
pub fn created(object: &Value) -> i64 {
    let text = object["metadata"]["creationTimestamp"].as_str().unwrap();
    text.parse::<Timestamp>().unwrap().as_second()
}

/// Waits until what is created from now on is at least two seconds younger than this object.
pub fn two_seconds_after(object: &Value) {
    let due = u64::try_from(created(object)).unwrap() + 2;
    wait_for("two seconds between creations", DEADLINE, || {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap() >= Duration::from_secs(due)
    });
}
