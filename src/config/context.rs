//! What the world around tells the settings: the environment of this process, and the few files that it names.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use crate::aside::{self, AT_START};

/// Where a pod finds its own namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// What a command looks at the world for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Looks {
    /// To start and tell others.
    #[default]
    ToAct,
    /// To say what it sees.
    Only,
}

/// What the world around tells a configuration.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Context {
    /// Absolute; relative paths start here.
    pub current_dir: PathBuf,
    /// Decides the default form of the log.
    pub stderr_is_terminal: bool,
    /// The last part of the path by which we were started: the name of a profile picks that.
    pub program: String,
    /// The namespace of the pod that we run in.
    pub own_namespace: Option<String>,
    /// Whether we run in a pod, with or without a service account.
    pub in_pod: bool,
    /// `~/.kube/config`, if there is one.
    pub home_kubeconfig: Option<PathBuf>,
    /// The namespace of the context of the kubeconfig that is used outside of a pod.
    pub kubeconfig_namespace: Option<String>,
    /// What the command is for.
    pub looks: Looks,
    /// Whether something is mounted at `/tmp`.
    pub tmp_is_mounted: bool,
    /// What the file that LOG_CONFIG names holds, or why it cannot be read.
    pub log_config: Option<Result<String, String>>,
}

impl Context {
    /// Looks. `namespace_of` knows the namespace of the context of a kubeconfig. Nothing is waited for longer than it takes a person to notice.
    pub async fn read(looks: Looks, namespace_of: fn(&Path) -> Option<String>) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        // One look each: none of them may spoil the others.
        let text = |path: PathBuf| async move {
            let read = aside::once(AT_START, move || aside::handed(&path).and_then(aside::text)).await;
            read.and_then(|read| read).map_err(|error| error.to_string())
        };
        let home = async {
            let file = Path::new(&set("HOME")?).join(".kube/config");
            aside::once(AT_START, move || file.exists().then_some(file)).await.ok()?
        };
        let planned = async { Some(text(set("LOG_CONFIG")?.into()).await) };
        let (own_namespace, mounts, home_kubeconfig, log_config) =
            tokio::join!(text(NAMESPACE_FILE.into()), text("/proc/self/mountinfo".into()), home, planned);
        let own_namespace = own_namespace.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let in_pod = own_namespace.is_some() || set("KUBERNETES_SERVICE_HOST").is_some();
        // Read only where it may count.
        let kubeconfig = set("KUBECONFIG").map(PathBuf::from).or_else(|| home_kubeconfig.clone());
        let kubeconfig_namespace = match kubeconfig.filter(|_| !in_pod && set("NAMESPACE").is_none()) {
            Some(file) => aside::once(AT_START, move || namespace_of(&file)).await.ok().flatten(),
            None => None,
        };
        Self {
            in_pod,
            kubeconfig_namespace,
            looks,
            current_dir: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            program: program(),
            own_namespace,
            home_kubeconfig,
            log_config,
            tmp_is_mounted: mounts.is_ok_and(|mounts| mounts.lines().any(is_at_tmp)),
        }
    }
}

/// The variables of this process, as [text](as_text).
pub fn vars() -> impl Iterator<Item = (String, String)> {
    as_text(std::env::vars_os())
}

/// Names and values of variables as text. What is not UTF-8 is kept as the replacement character, which no setting accepts.
pub fn as_text(vars: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    vars.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// The name under which we were started: an image may carry us under the name of what we replace.
pub fn program() -> String {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a line of mountinfo (proc(5)) is about `/tmp`.
fn is_at_tmp(line: &str) -> bool {
    line.split(' ').nth(4) == Some("/tmp")
}
