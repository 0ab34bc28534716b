//! Rows of the fault matrix against the in-process API server: each test carries the name of its row.
//!
//! In every row the files that are wanted throughout are read all the time: none may be missing or hold what it never should.

mod answers;
mod canary;
mod health;
mod idle;
mod list;
mod outside;
mod overload;
mod process;
mod refusals;
mod server;
pub mod stuck;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::projector::Builder;
use crate::support::{ApiServer, Cluster, DEADLINE, Options, Projector, inode, wait_until};

/// For rows in which the program's own patience must run out first: streams 10 s, pages 30 s, Retry-After 30 s.
const LONG: Duration = Duration::from_secs(75);

/// An API server, and a folder to keep.
struct Stage {
    cluster: Cluster,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self { cluster: Cluster::in_process_with(options), folder: TempDir::new().unwrap() }
    }

    fn server(&self) -> &ApiServer {
        self.cluster.server()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.path().join(name)
    }

    /// A launch without finalizers, whose patches would be changes of their own.
    fn builder(&self) -> Builder {
        Projector::on(&self.cluster, self.path()).env("FINALIZERS", "false")
    }

    /// A projector that is in sync.
    fn start(&self) -> Projector {
        let mut projector = self.builder().start();
        projector.wait_ready();
        projector
    }

    /// Creates a ConfigMap `name` with the file `name`, past the network: works while the server is stopped.
    fn create(&self, name: &str, content: &str) {
        self.server().create(&json!({
            "kind": "ConfigMap", "data": {name: content},
            "metadata": {"name": name, "namespace": self.cluster.namespace(), "labels": {"find": "me"}},
        }));
    }

    /// Changes the content of the file of a ConfigMap made by `create`.
    fn edit(&self, name: &str, content: &str) {
        self.server().patch("configmaps", self.cluster.namespace(), name, &json!({"data": {name: content}}));
    }

    fn delete(&self, name: &str) {
        self.server().delete("configmaps", self.cluster.namespace(), name);
    }

    /// Does something while nobody can reach the server; afterwards it no longer knows what happened: whoever goes on gets 410.
    fn in_a_gap(&self, act: impl FnOnce()) {
        self.server().stop();
        act();
        self.server().compact();
        self.server().restart();
    }

    /// Proves that what the server said until now has been worked through: a new object of each kind has its file.
    fn marker(&self, name: &str) {
        self.marker_within(name, DEADLINE);
    }

    fn marker_within(&self, name: &str, deadline: Duration) {
        // Twice: what came before may be in one commit with the first, and files of a commit are written in the order of their names.
        self.create(name, "first");
        wait_content(&self.file(name), b"first", deadline);
        self.edit(name, "marker");
        wait_content(&self.file(name), b"marker", deadline);
    }
}

/// Waits until a file holds this.
fn wait_content(path: &Path, content: &[u8], deadline: Duration) {
    wait_until(&format!("the content of {}", path.display()), deadline, || match std::fs::read(path) {
        Ok(found) if found == content => Ok(()),
        Ok(found) => Err(format!("{} other bytes", found.len())),
        Err(error) => Err(error.to_string()),
    });
}

/// What `/healthz` says of the watch of a kind; nothing before it has begun.
fn row(projector: &Projector, kind: &str) -> Value {
    let (_, body) = projector.health();
    let rows = body["watches"].as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["kind"] == kind).unwrap_or_default()
}

fn relists(projector: &Projector) -> u64 {
    row(projector, "ConfigMap")["relists"].as_u64().unwrap()
}

fn inodes(stage: &Stage, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| inode(&stage.file(name))).collect()
}

/// Reads files in a loop, until it is asked how that went.
struct Presence {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64, String>>>,
}

impl Presence {
    /// These files must be there all the time, whatever they hold.
    fn of(stage: &Stage, names: &[&str]) -> Self {
        Self::checked(stage, names, |_, _| Ok(()))
    }

    /// These files must be there all the time, with content that passes.
    fn checked(stage: &Stage, names: &[&str], mut check: impl FnMut(&str, &[u8]) -> Result<(), String> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, folder) = (Arc::clone(&stop), stage.path().to_owned());
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let thread = std::thread::spawn(move || {
            let mut reads = 0;
            while !asked.load(Ordering::SeqCst) || reads == 0 {
                for name in &names {
                    let bytes = std::fs::read(folder.join(name)).map_err(|error| format!("{name} after {reads} reads: {error}"))?;
                    check(name, &bytes).map_err(|error| format!("{name} after {reads} reads: {error}"))?;
                    reads += 1;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(reads)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Fails if anything was ever missing or wrong.
    fn assert_unbroken(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let result = self.thread.take().map(JoinHandle::join);
        result.unwrap().unwrap().unwrap_or_else(|error| panic!("a wanted file was missing or wrong: {error}"));
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
