//! Launches the built binary with a clean environment, and asks it things from outside.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cluster::Cluster;
use crate::support::http::Client;
use crate::support::leak::assert_no_leak;
use crate::support::tree::{DEADLINE, wait_until};

/// The binary under test, where the build has one.
const BINARY: Option<&str> = option_env!("CARGO_BIN_EXE_kube-projector");

/// How long a busy machine may take to write a few lines that wait.
const PRINTING: Duration = Duration::from_secs(5);

/// The lowest port that is taken, and how many there are: all below `ip_local_port_range`, by default.
const FIRST_PORT: u16 = 12_000;
const PORTS: u32 = 20_000;

/// What to launch, and how. Only variables given here are set, and `HEALTH_PORT` (a free port).
#[derive(Clone)]
pub struct Builder {
    binary: PathBuf,
    wrapper: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    folder: Option<PathBuf>,
    working: Option<PathBuf>,
}

/// A running projector. Dropping it kills it.
pub struct Projector {
    child: Child,
    folder: PathBuf,
    port: u16,
    output: TempDir,
}

/// What became of a projector that ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Projector {
    /// Begins a launch of the binary under test.
    pub fn builder() -> Builder {
        let binary = PathBuf::from(BINARY.unwrap_or("kube-projector"));
        Builder { binary, wrapper: Vec::new(), arguments: Vec::new(), variables: Vec::new(), folder: None, working: None }
    }

    /// A launch for the usual test: the cluster's kubeconfig, its namespace, `LABEL=find`, and the folder.
    pub fn on(cluster: &Cluster, folder: &Path) -> Builder {
        Self::builder().folder(folder).kubeconfig(&cluster.kubeconfig()).env("NAMESPACE", cluster.namespace()).env("LABEL", "find")
    }
}

impl Builder {
    /// FOLDER.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self.env("FOLDER", &folder.display().to_string())
    }

    /// KUBECONFIG.
    pub fn kubeconfig(self, path: &Path) -> Self {
        self.env("KUBECONFIG", &path.display().to_string())
    }

    /// Any variable; the last value counts.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a variable away again.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// An argument, such as a subcommand.
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Arguments.
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The working directory.
    pub fn working_directory(mut self, path: &Path) -> Self {
        self.working = Some(path.to_owned());
        self
    }

    /// Another binary.
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = path.to_owned();
        self
    }

    /// A command that ends by executing what follows it: `&["setpriv", "--reuid=472", "--clear-groups"]`, `&["strace", "-f"]`.
    pub fn wrapper(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// Runs with this umask.
    pub fn umask(self, mask: &str) -> Self {
        self.wrapper(&["/bin/sh", "-c", &format!("umask {mask}; exec \"$@\""), "umask"])
    }

    fn command(&self, port: u16) -> Command {
        let binary = self.binary.display().to_string();
        let mut words = self.wrapper.iter().chain([&binary]).chain(&self.arguments);
        let mut command = Command::new(words.next().expect("at least the binary"));
        command.args(words).env_clear().stdin(Stdio::null());
        if !self.variables.iter().any(|(name, _)| name == "HEALTH_PORT" || name == "HEALTHCHECK_PORT") {
            command.env("HEALTH_PORT", port.to_string());
        }
        if let Some(path) = &self.working {
            command.current_dir(path);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The port that health will answer on.
    fn port(&self) -> u16 {
        let set = self.variables.iter().find(|(name, _)| name == "HEALTH_PORT" || name == "HEALTHCHECK_PORT");
        set.and_then(|(_, value)| value.parse().ok()).unwrap_or_else(free_port)
    }

    /// Launches and goes on. Output of both kinds goes to one file.
    pub fn start(&self) -> Projector {
        let output = TempDir::new().expect("a temporary folder");
        let file = File::create(output.path().join("output")).expect("a file for the output");
        let second = file.try_clone().expect("a second handle for the output");
        let port = self.port();
        let child = self.command(port).stdout(file).stderr(second).spawn();
        let child = child.unwrap_or_else(|error| panic!("launching {}: {error}", self.binary.display()));
        Projector { child, folder: self.folder.clone().unwrap_or_default(), port, output }
    }

    /// Launches and waits for the end, by default `DEADLINE`.
    pub fn run(&self) -> Finished {
        self.run_within(DEADLINE)
    }

    /// Launches and waits for the end.
    pub fn run_within(&self, deadline: Duration) -> Finished {
        let output = TempDir::new().expect("a temporary folder");
        let (out, err) = (output.path().join("stdout"), output.path().join("stderr"));
        let mut command = self.command(self.port());
        command.stdout(File::create(&out).expect("a file for the output")).stderr(File::create(&err).expect("a file for the errors"));
        let child = command.spawn().unwrap_or_else(|error| panic!("launching {}: {error}", self.binary.display()));
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let mut running = Projector { child, folder: PathBuf::new(), port: 0, output };
        let status = running.exit_by(Instant::now() + deadline);
        let (stdout, stderr) = (read(&out), read(&err));
        let status = status.unwrap_or_else(|| panic!("waited {deadline:?} for the end of {:?}\n{stdout}{stderr}", self.arguments));
        Finished { code: status.code(), stdout, stderr }
    }
}

impl Projector {
    /// Process id. With a wrapper that forks (strace): the wrapper's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// FOLDER, as it was given.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("sending {signal:?} to {pid:?}: {error}"));
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a running child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// SIGTERM, and waits for the end, by default `DEADLINE`. Prints the output if there is none.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_exit(DEADLINE)
    }

    /// Waits for the end.
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let status = self.exit_by(Instant::now() + deadline);
        status.unwrap_or_else(|| panic!("waited {deadline:?} for the end of the projector; output:\n{}", self.output()))
    }

    fn exit_by(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait().expect("waiting for a child") {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("waiting for a child").is_none()
    }

    /// Everything printed so far, also what followed from what was seen before this was asked: a file is there before it is told of.
    pub fn output(&self) -> String {
        let end = Instant::now() + PRINTING;
        while (0..3).any(|_| self.is_at_work()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8_lossy(&fs::read(self.output.path().join("output")).unwrap_or_default()).into_owned()
    }

    /// Whether any thread has something to do, as far as one look at each of them tells: one that wakes another sleeps only then. The one
    /// that writes the log has no name before it has begun.
    fn is_at_work(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten().flatten();
        let stats: Vec<_> = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok()).collect();
        // "7 (log) S 1 ...": the fields that follow are of no interest.
        let states = || stats.iter().filter_map(|stat| stat.rsplit_once(") ")).filter_map(|(_, state)| state.get(..1));
        let is_starting = || {
            let lives = |stat: &String| stat.contains(" (kube-projector) ") && !stat.contains(") Z") && !stat.contains(") X");
            stats.iter().any(lives) && !stats.iter().any(|stat| stat.contains(" (log) "))
        };
        states().any(|state| !matches!(state, "S" | "Z" | "X")) || is_starting()
    }

    /// Waits until the output contains a text.
    pub fn wait_output(&self, text: &str) {
        wait_until(&format!("{text:?} in the output"), DEADLINE, || if self.output().contains(text) { Ok(()) } else { Err(self.output()) });
    }

    /// The port of the health server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `GET /healthz`: status and body. Status 0: nobody answers.
    pub fn health(&self) -> (u16, Value) {
        self.http("/healthz")
    }

    /// `GET /readyz`: status and body. Status 0: nobody answers.
    pub fn ready(&self) -> (u16, Value) {
        self.http("/readyz")
    }

    /// GET of any path of the health server.
    pub fn http(&self, path: &str) -> (u16, Value) {
        let answer = Client::http("127.0.0.1", self.port).try_send("GET", path, &[], &[]);
        answer.map_or((0, Value::Null), |response| (response.status, response.json()))
    }

    /// Waits until `/readyz` answers 200; fails at once if the process has ended.
    pub fn wait_ready(&mut self) -> &mut Self {
        let end = Instant::now() + DEADLINE;
        loop {
            let (status, body) = self.ready();
            if status == 200 {
                return self;
            }
            let ended = self.child.try_wait().expect("waiting for a child");
            assert!(ended.is_none(), "the projector ended ({ended:?}) before it was ready; output:\n{}", self.output());
            assert!(Instant::now() < end, "waited {DEADLINE:?} for readiness; last: {status} {body}; output:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.status_field("VmRSS:")
    }

    /// The highest resident memory so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.status_field("VmHWM:")
    }

    fn status_field(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_else(|| panic!("the projector has no {field}"));
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("/proc prints numbers")
    }

    /// Fails if output or health show one of these values in any form.
    pub fn assert_no_leak(&self, canaries: &[&str]) {
        assert_no_leak("the output", self.output(), canaries);
        assert_no_leak("/healthz", self.health().1.to_string(), canaries);
        assert_no_leak("/readyz", self.ready().1.to_string(), canaries);
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() && self.port != 0 {
            let output = self.output();
            let start = output.len().saturating_sub(8_000);
            let tail = output.get(start..).unwrap_or(&output);
            eprintln!("--- output of the projector ---\n{tail}\n---");
        }
    }
}

/// A port that was free a moment ago, and that nobody gets by chance: not one of those that the kernel gives to connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test processes that run side by side begin far from each other.
        let at = std::process::id().wrapping_mul(223).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = FIRST_PORT + u16::try_from(at).expect("fewer than there are");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
