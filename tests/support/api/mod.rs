//! An API server inside the test process that speaks what the real one speaks, and breaks on request.
//!
//! It runs on a thread of its own; every method here blocks for at most a moment, so that tests need no runtime.
//! Requests with the rig's own token are neither logged nor hit by faults.

pub mod access;
pub mod answer;
mod body;
mod check;
mod event;
pub mod exec;
pub mod failure;
pub mod fault;
mod listen;
pub mod object;
mod patch;
mod pod;
pub mod requests;
pub mod route;
mod script;
mod serve;
pub mod store;
pub mod tls;
mod watch;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch as channel};

use access::{Access, RIG_TOKEN, User};
use fault::{Faults, Injection, Matcher};
use listen::Control;
use object::{Definition, text};
use requests::Record;
use store::{Deleted, Origin, Snapshot, Store};

use crate::support::http::Client;

/// The token in `kubeconfig()`: may do everything.
pub const PROJECTOR_TOKEN: &str = "projector-token";

/// How the server behaves when nothing is broken.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Time between bookmarks of a watch.
    pub bookmark_interval: Duration,
    /// Whether objects carry managedFields, as real ones do.
    pub managed_fields: bool,
    /// Whether `sendInitialEvents` is known; without, it is refused with 422.
    pub streaming_lists: bool,
    /// A watch whose client takes nothing for so long ends without a word.
    pub slow_reader_cut: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { bookmark_interval: Duration::from_millis(500), managed_fields: true, streaming_lists: true, slow_reader_cut: None }
    }
}

/// Everything that requests and tests share. One lock, held for moments, because both sides write.
pub struct State {
    store: Store,
    access: Access,
    faults: Faults,
    injections: Vec<(Matcher, Injection)>,
    requests: Vec<Arc<Record>>,
    connections: Vec<Instant>,
    frozen: bool,
}

/// The state, and the ways to wake those who wait for it.
pub struct Shared {
    state: Mutex<State>,
    tick: channel::Sender<u64>,
    drops: channel::Sender<u64>,
    options: Options,
}

impl Shared {
    /// The state. A test that failed while it held the lock does not stop the server.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.tick.send_modify(|count| *count += 1);
    }
}

/// The server. Dropping it ends it.
pub struct ApiServer {
    shared: Arc<Shared>,
    port: u16,
    authority_pem: String,
    control: mpsc::UnboundedSender<Control>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl ApiServer {
    /// Starts a server with the namespaces `default` and `kube-system`.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a server with other habits.
    pub fn with(options: Options) -> Self {
        let users = [(RIG_TOKEN, "rig"), (PROJECTOR_TOKEN, "projector")];
        let state = State {
            store: Store::new(options.managed_fields),
            access: users.into_iter().map(|(token, name)| (token.to_owned(), User::admin(name))).collect(),
            faults: Faults::default(),
            injections: Vec::new(),
            requests: Vec::new(),
            connections: Vec::new(),
            frozen: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), tick: channel::Sender::new(0), drops: channel::Sender::new(0), options });
        let tls = tls::generate();
        let (control, commands) = mpsc::unbounded_channel();
        let (ready, port) = std_mpsc::channel();
        let (for_thread, acceptor) = (Arc::clone(&shared), tls.acceptor);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the API server");
            runtime.block_on(listen::accept_all(for_thread, acceptor, commands, ready));
        });
        let port = port.recv().expect("the API server listens");
        let folder = TempDir::new().expect("a temporary folder");
        let server = Self { shared, port, authority_pem: tls.authority_pem, control, thread: Some(thread), folder };
        for name in ["default", "kube-system"] {
            server.create(&json!({"kind": "Namespace", "metadata": {"name": name}}));
        }
        server
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig whose user may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_for(PROJECTOR_TOKEN)
    }

    /// A kubeconfig with this token, whether the server knows it or not.
    pub fn kubeconfig_for(&self, token: &str) -> PathBuf {
        let path = self.folder.path().join(format!("kubeconfig-{token}.json"));
        let config = kubeconfig(&self.url(), &answer::encode(self.authority_pem.as_bytes()), token);
        // Whole at any time: a projector that was started a moment ago may be reading it.
        let whole = tempfile::NamedTempFile::new_in(self.folder.path()).expect("a temporary file");
        std::fs::write(whole.path(), config.to_string()).expect("writing a kubeconfig");
        // Other users read it, too.
        std::fs::set_permissions(whole.path(), std::fs::Permissions::from_mode(0o644)).expect("a file of ours");
        whole.persist(&path).expect("renaming a kubeconfig");
        path
    }

    /// A client with the rig's own token.
    pub fn client(&self) -> Client {
        self.client_for(RIG_TOKEN)
    }

    /// A client with this token: logged, and hit by faults.
    pub fn client_for(&self, token: &str) -> Client {
        Client::https("127.0.0.1", self.port, &self.authority_pem, None).with_token(token)
    }

    // ---- objects ----

    /// Creates an object by its `kind`; `creationTimestamp` and `uid` are kept if there. Namespace: `default`.
    pub fn create(&self, value: &Value) -> Value {
        let (def, namespace) = home(value);
        let created = self.shared.state().store.create(def, &namespace, value.clone(), Origin::Test);
        self.shared.wake();
        created.unwrap_or_else(|failure| panic!("creating {}: {}", text(value, "/metadata/name"), failure.body())).value.clone()
    }

    /// Puts an object there unchecked: bad base64, odd names, any time stamp. The counter moves as ever.
    pub fn put_raw(&self, value: &Value) -> Value {
        let (def, namespace) = home(value);
        let written = self.shared.state().store.put_raw(def, &namespace, value.clone());
        self.shared.wake();
        written.value.clone()
    }

    /// Merge-patches an object.
    pub fn patch(&self, plural: &str, namespace: &str, name: &str, merge: &Value) -> Value {
        let def = Definition::named(plural);
        let mut state = self.shared.state();
        let found = state.store.get(def.plural, namespace, name).unwrap_or_else(|| panic!("no {plural} {namespace}/{name} to patch"));
        let mut value = found.value.clone();
        patch::merge_patch(&mut value, merge);
        let patched = state.store.update(def, namespace, name, value);
        drop(state);
        self.shared.wake();
        patched.unwrap_or_else(|failure| panic!("patching {namespace}/{name}: {}", failure.body())).value.clone()
    }

    /// Deletes an object; with finalizers it stays, marked. Whether it is gone.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) -> bool {
        let deleted = self.shared.state().store.delete(Definition::named(plural), namespace, name, None);
        self.shared.wake();
        matches!(deleted.unwrap_or_else(|failure| panic!("deleting {namespace}/{name}: {}", failure.body())), Deleted::Gone(_))
    }

    /// The object now.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared.state().store.get(Definition::named(plural).plural, namespace, name).map(|stored| stored.value.clone())
    }

    /// All objects of a resource, cluster-wide.
    pub fn list(&self, plural: &str) -> Vec<Value> {
        let state = self.shared.state();
        let objects = state.store.at(state.store.version());
        objects.iter().filter(|(key, _)| key.0 == plural).map(|(_, stored)| stored.value.clone()).collect()
    }

    /// The newest resourceVersion.
    pub fn version(&self) -> u64 {
        self.shared.state().store.version()
    }

    /// Content and counter now, for `restore` and `Fault::Stale(snapshot.version)`.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.state().store.snapshot()
    }

    /// Sets content and counter back, as a restored etcd does: open watches hear nothing of it.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.shared.state().store.restore(snapshot);
        self.shared.wake();
    }

    /// Compacts: watches that begin below now get 410 in the stream, continue tokens HTTP 410. Open watches go on.
    pub fn compact(&self) {
        self.shared.state().store.compact();
        self.shared.wake();
    }

    // ---- connections ----

    /// Breaks every connection.
    pub fn drop_connections(&self) {
        self.shared.drops.send_modify(|count| *count += 1);
    }

    /// Stops listening and breaks every connection; the content stays.
    pub fn stop(&self) {
        self.command(Control::Stop);
    }

    /// Listens again on the same port.
    pub fn restart(&self) {
        self.command(Control::Start);
    }

    /// Accepts connections but answers nothing, and keeps open watches silent, until `thaw`.
    pub fn freeze(&self) {
        self.shared.state().frozen = true;
    }

    /// Ends `freeze`.
    pub fn thaw(&self) {
        self.shared.state().frozen = false;
        self.shared.wake();
    }

    fn command(&self, command: impl FnOnce(std_mpsc::Sender<()>) -> Control) {
        let (done, finished) = std_mpsc::channel();
        self.control.send(command(done)).unwrap_or_else(|_| panic!("the API server's thread has ended"));
        finished.recv().expect("the API server obeys");
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // The thread may have ended by a panic, which the join would repeat while we unwind.
        drop(self.control.send(Control::Quit));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A kubeconfig with one cluster and one token.
pub fn kubeconfig(server: &str, authority_base64: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": {"server": server, "certificate-authority-data": authority_base64}}],
        "users": [{"name": "rig", "user": {"token": token}}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
    })
}

fn home(value: &Value) -> (&'static Definition, String) {
    let kind = text(value, "/kind");
    let def = object::RESOURCES.iter().find(|def| def.kind == kind).unwrap_or_else(|| panic!("the in-process server has no kind {kind:?}"));
    let namespace = if text(value, "/metadata/namespace").is_empty() { "default" } else { text(value, "/metadata/namespace") };
    (def, if def.namespaced { namespace.to_owned() } else { String::new() })
}
