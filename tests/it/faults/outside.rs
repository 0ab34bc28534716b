//! Files and programs outside FOLDER that block, or are none: a FIFO, a folder, a file without end.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stuck::{FULL, STOP};
use super::{DEADLINE, Stage, wait_content};
use crate::support::{Answer, PROJECTOR_TOKEN, Projector, WebServer, wait_until};

/// Held by whoever has the name server, which can be there once.
static SILENT: Mutex<()> = Mutex::new(());

/// A folder with what must not be read.
struct Traps(TempDir);

impl Traps {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success(), "mkfifo is there");
        path
    }

    fn folder(&self, name: &str) -> PathBuf {
        std::fs::create_dir(self.path(name)).unwrap();
        self.path(name)
    }

    /// A gibibyte of zeros, none of them on disk.
    fn huge(&self, name: &str) -> PathBuf {
        std::fs::File::create(self.path(name)).unwrap().set_len(1 << 30).unwrap();
        self.path(name)
    }

    fn each(&self) -> [(PathBuf, &'static str); 3] {
        [
            (self.fifo("fifo"), "expected a regular file"),
            (self.folder("folder"), "expected a regular file"),
            (self.huge("huge"), "more than 4 MiB"),
        ]
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The kubeconfig of a stage with another user.
fn kubeconfig(stage: &Stage, traps: &Traps, user: &Value) -> PathBuf {
    let text = std::fs::read_to_string(stage.cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = user.clone();
    std::fs::write(traps.path("kubeconfig"), config.to_string()).unwrap();
    traps.path("kubeconfig")
}

/// Files follow, and a stop ends it.
fn lives(stage: &Stage, mut projector: Projector) {
    stage.edit("a", "2");
    wait_content(&stage.file("a"), b"2", DEADLINE);
    assert_eq!(projector.health().0, 200);
    stage.edit("a", "3");
    wait_content(&stage.file("a"), b"3", DEADLINE);
    projector.signal(Signal::TERM);
    assert_eq!(projector.wait_exit(STOP).code(), Some(0));
}

#[test]
fn s5_a_setting_that_names_no_small_regular_file_is_refused_at_the_start() {
    let stage = Stage::new();
    stage.create("a", "1");
    let traps = Traps::new();
    for (path, why) in traps.each() {
        let path = shown(&path);
        let table = [
            ("KUBECONFIG", stage.builder().env("KUBECONFIG", &path), 2),
            ("LOG_CONFIG", stage.builder().env("PROFILE", "k8s-sidecar").env("LOG_CONFIG", &path), 2),
            ("REQUESTS_CA_BUNDLE", stage.builder().env("REQ_URL", "https://127.0.0.1:1/").env("REQUESTS_CA_BUNDLE", &path), 1),
        ];
        for (name, builder, code) in table {
            let finished = builder.run();
            assert_eq!(finished.code, Some(code), "{name}={path}: {}", finished.stderr);
            assert!(finished.stderr.contains(name) && finished.stderr.contains(why), "{name}={path}: {}", finished.stderr);
        }
    }
    for name in ["certificate-authority", "client-certificate", "client-key"] {
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(stage.cluster.kubeconfig()).unwrap()).unwrap();
        let part = match name.starts_with("certificate") {
            true => &mut config["clusters"][0]["cluster"],
            false => &mut config["users"][0]["user"],
        };
        part.as_object_mut().unwrap().remove("certificate-authority-data");
        part[name] = json!(traps.path("fifo"));
        std::fs::write(traps.path("config"), config.to_string()).unwrap();
        let finished = stage.builder().env("KUBECONFIG", &shown(&traps.path("config"))).run();
        assert_eq!(finished.code, Some(2), "{name}: {}", finished.stderr);
        for part in ["KUBECONFIG", name, "expected a regular file"] {
            assert!(finished.stderr.contains(part), "{name}: {}", finished.stderr);
        }
    }
}

#[test]
fn s5_files_of_standard_input_and_of_descriptors_are_read_at_the_start() {
    let stage = Stage::new();
    stage.create("a", "1");
    let file = shown(&stage.cluster.kubeconfig());
    let given = ["cat \"$0\" | \"$@\"", "{ cat \"$0\" | \"$@\" 7<&0 </dev/null; }"];
    for (script, path) in given.into_iter().zip(["/dev/stdin", "/dev/fd/7"]) {
        let builder = stage.builder().wrapper(&["/bin/sh", "-c", script, &file]).env("PATH", "/usr/bin:/bin");
        let finished = builder.env("KUBECONFIG", path).env("METHOD", "LIST").run();
        assert_eq!(finished.code, Some(0), "{path}: {}", finished.stderr);
        assert_eq!(std::fs::read(stage.file("a")).unwrap(), b"1");
    }
}

#[test]
fn s5_whoever_is_told_by_what_blocks_never_holds_files_up() {
    let traps = Traps::new();
    for (path, why) in traps.each() {
        let path = shown(&path);
        let tables: [(&str, &[(&str, &str)]); 3] = [
            ("SIGNAL_PIDFILE", &[("SIGNAL_PIDFILE", &path)]),
            ("SCRIPT", &[("SCRIPT", &path)]),
            ("REQ_PASSWORD_FILE", &[("REQ_URL", "http://127.0.0.1:1/"), ("REQ_USERNAME", "u"), ("REQ_PASSWORD_FILE", &path)]),
        ];
        // A script may be as large as it likes.
        for (name, variables) in tables.into_iter().filter(|(name, _)| *name != "SCRIPT" || !path.ends_with("huge")) {
            let stage = Stage::new();
            stage.create("a", "1");
            let builder = variables.iter().fold(stage.builder(), |builder, (name, value)| builder.env(name, value));
            let mut projector = builder.env("LOG_LEVEL", "DEBUG").start();
            projector.wait_ready();
            wait_until(&format!("{name} and {why:?} in the output"), DEADLINE, || {
                let output = projector.output();
                output.lines().any(|line| line.contains(name) && line.contains(why)).then_some(()).ok_or(output)
            });
            lives(&stage, projector);
        }
    }
}

#[test]
fn s5_a_token_file_that_blocks_keeps_the_last_good_token() {
    let (stage, traps) = (Stage::new(), Traps::new());
    stage.create("a", "1");
    let token = traps.path("token");
    std::fs::write(&token, PROJECTOR_TOKEN).unwrap();
    let kubeconfig = kubeconfig(&stage, &traps, &json!({"tokenFile": token}));
    let mut projector = stage.builder().kubeconfig(&kubeconfig).start();
    projector.wait_ready();
    std::fs::remove_file(&token).unwrap();
    traps.fifo("token");
    // A 401 makes it read the file at once.
    stage.server().set_tokens(&["another"]);
    stage.server().drop_connections();
    projector.wait_output("expected a regular file");
    stage.server().set_tokens(&[PROJECTOR_TOKEN]);
    lives(&stage, projector);
}

#[test]
fn s5_a_credential_plugin_that_hangs_is_run_once_and_a_stop_ends_us() {
    let (stage, traps) = (Stage::new(), Traps::new());
    stage.create("a", "1");
    let (runs, plugin) = (traps.path("runs"), traps.path("plugin"));
    let user = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
        "env": [{"name": "PATH", "value": "/usr/bin:/bin"}],
    }});
    let kubeconfig = kubeconfig(&stage, &traps, &user);
    // What it gives is due to be renewed at once.
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": PROJECTOR_TOKEN, "expirationTimestamp": "2020-01-01T00:00:00Z"},
    });
    for hangs_from in [0, 2] {
        let script = format!(
            "#!/bin/sh\necho $$ >> {0}\n[ $(wc -l < {0}) -gt {hangs_from} ] && exec sleep 1000\necho '{credential}'\n",
            runs.display()
        );
        std::fs::write(&runs, "").unwrap();
        std::fs::write(&plugin, &script).unwrap();
        std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut projector = stage.builder().kubeconfig(&kubeconfig).start();
        wait_until("a run that hangs", DEADLINE, || {
            let text = std::fs::read_to_string(&runs).unwrap_or_default();
            (text.lines().count() > hangs_from).then_some(()).ok_or(text)
        });
        if hangs_from > 0 {
            // Each source asks again and again meanwhile.
            projector.wait_output("the credential plugin hangs");
            wait_until("several attempts", DEADLINE, || {
                let watches = projector.health().1["watches"].clone();
                let errors = |watch: &Value| watch["errors"].as_u64().unwrap_or_default();
                let total: u64 = watches.as_array().into_iter().flatten().map(errors).sum();
                (total > 3).then_some(()).ok_or(watches.to_string())
            });
            assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), hangs_from + 1, "no second one beside it");
        }
        projector.signal(Signal::TERM);
        let ended = projector.wait_exit(STOP).code();
        let text = std::fs::read_to_string(&runs).unwrap();
        let hanging = text.lines().last().and_then(|pid| Pid::from_raw(pid.parse().ok()?)).unwrap();
        kill_process(hanging, Signal::KILL).unwrap();
        assert_eq!(ended, Some(0));
    }
}

/// Runs what follows with these hosts, and a name server that never answers. The names of this machine are for the program alone.
fn silent_names(traps: &Traps, hosts: &str) -> [String; 7] {
    std::fs::write(traps.path("hosts"), hosts).unwrap();
    std::fs::write(traps.path("resolv.conf"), "nameserver 127.77.0.53\noptions timeout:30 attempts:5\n").unwrap();
    let mounts = "mount --bind $0 /etc/hosts && mount --bind $1 /etc/resolv.conf && shift && exec \"$@\"";
    let (hosts, resolv) = (shown(&traps.path("hosts")), shown(&traps.path("resolv.conf")));
    ["unshare", "--mount", "/bin/sh", "-c", mounts, &hosts, &resolv].map(str::to_owned)
}

/// The name server itself: it takes every question.
fn silent_server() -> UdpSocket {
    UdpSocket::bind("127.77.0.53:53").unwrap()
}

#[test]
fn whatever_blocks_together_keeps_no_file_waiting() {
    // S5, S6 and S10 at once: nobody reads the log, each file that a setting names blocks, no name has an address.
    let _silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    let _server = silent_server();
    let (stage, traps) = (Stage::new(), Traps::new());
    stage.create("a", "1");
    stage.cluster.configmap("u", &[("u.url", "http://nobody.projector.test/"), ("v.url", "http://other.projector.test/")]).create();
    let token = traps.path("token");
    std::fs::write(&token, PROJECTOR_TOKEN).unwrap();
    let kubeconfig = kubeconfig(&stage, &traps, &json!({"tokenFile": token}));
    let blocked = shown(&traps.fifo("fifo"));
    let names = silent_names(&traps, "127.0.0.1 localhost\n");
    let log = shown(&traps.fifo("log"));
    let wrapper: Vec<&str> = names.iter().map(String::as_str).chain(["/bin/sh", "-c", FULL, &log]).collect();
    let settings = [
        ("LOG_LEVEL", "DEBUG"),
        ("URL_KEYS", "true"),
        ("SIGNAL_PIDFILE", &blocked),
        ("SCRIPT", &blocked),
        ("REQ_URL", "http://application.projector.test/"),
        ("REQ_USERNAME", "u"),
        ("REQ_PASSWORD_FILE", &blocked),
    ];
    let builder = settings.iter().fold(stage.builder(), |builder, (name, value)| builder.env(name, value));
    let projector = builder.kubeconfig(&kubeconfig).wrapper(&wrapper).start();
    wait_content(&stage.file("a"), b"1", DEADLINE);
    std::fs::remove_file(&token).unwrap();
    traps.fifo("token");
    lives(&stage, projector);
}

#[test]
fn s10_a_name_server_that_never_answers_keeps_no_file_waiting() {
    let _silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    let _server = silent_server();
    let (stage, traps, web) = (Stage::new(), Traps::new(), WebServer::start());
    web.on("/u", Answer::ok("1"));
    stage.cluster.configmap("u", &[("u.url", &web.url("/u"))]).create();
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(stage.cluster.kubeconfig()).unwrap()).unwrap();
    let port = stage.server().url().rsplit(':').next().unwrap().to_owned();
    config["clusters"][0]["cluster"]["server"] = json!(format!("https://api.projector.test:{port}"));
    config["clusters"][0]["cluster"]["tls-server-name"] = json!("127.0.0.1");
    std::fs::write(traps.path("kubeconfig"), config.to_string()).unwrap();
    let wrapper = silent_names(&traps, "127.0.0.1 localhost api.projector.test\n");
    let builder = stage.builder().wrapper(&wrapper.each_ref().map(String::as_str));
    let namespaces = format!("{},rig-other-1,rig-other-2", stage.cluster.namespace());
    let builder = builder.kubeconfig(&traps.path("kubeconfig")).env("NAMESPACE", &namespaces).env("URL_KEYS", "true").env("RESYNC", "1");
    let mut projector = builder.start();
    projector.wait_ready();
    wait_content(&stage.file("u"), b"1", DEADLINE);
    // From now on nobody knows the API server's name, and six sources ask for it.
    std::fs::write(traps.path("hosts"), "127.0.0.1 localhost\n").unwrap();
    stage.server().drop_connections();
    projector.wait_output("the name server does not answer");
    web.on("/u", Answer::ok("2"));
    wait_content(&stage.file("u"), b"2", DEADLINE);
    assert_ne!(projector.health().0, 0);
    projector.signal(Signal::TERM);
    assert_eq!(projector.wait_exit(STOP).code(), Some(0));
}
