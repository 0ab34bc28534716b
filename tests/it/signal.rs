//! SIGNAL_PROCESS and SIGNAL_PIDFILE: another process gets a signal when its files have changed.
//!
//! It is USR1: HUP is ignored by whatever nohup(1) has started, and a shell cannot change that.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::common::{Setup, put};
use crate::support::*;

/// A process that records what `a` holds whenever it gets a signal, and ends with the test.
struct Application {
    child: Child,
    name: String,
    records: PathBuf,
}

impl Application {
    /// Starts it under a name that is longer than what the kernel keeps of one, and returns when it can be told.
    fn start(setup: &Setup, name: &str) -> Self {
        // Tests that run at once see each other's processes.
        let name = format!("projector-test-{name}-{}", std::process::id());
        let records = setup.beside(&format!("{name}.records"));
        let (file, shown) = (setup.path("a"), records.display());
        let script =
            format!("trap 'echo $(cat {} 2>&1) >> {shown}' HUP USR1; echo up >> {shown}; while :; do sleep 0.05; done", file.display());
        let child = Command::new("sh")
            .arg0(format!("/opt/{name}"))
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let application = Self { child, name, records };
        application.wait_records(&["up"]);
        application
    }

    /// Waits until it has recorded this, and fails when it recorded anything else.
    fn wait_records(&self, wanted: &[&str]) {
        wait_for("the records of the application", DEADLINE, || self.records().len() >= wanted.len());
        assert_eq!(self.records(), wanted);
    }

    fn records(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.records).unwrap_or_default();
        // A line without its end is being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_process_gets_the_signal_when_its_files_are_there_and_after_each_change() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let application = Application::start(&setup, "by-name");
    let mut projector = setup.projector().env("SIGNAL_PROCESS", &application.name).env("SIGNAL", "USR1").start();
    projector.wait_ready();
    application.wait_records(&["up", "1"]);
    setup.cluster.set_data("a", &[("a", "2")]);
    application.wait_records(&["up", "1", "2"]);
    // What changes no file is no reason.
    setup.cluster.relabel("configmaps", "a", &[("other", Some("1"))]);
    setup.cluster.set_data("a", &[("a", "3")]);
    application.wait_records(&["up", "1", "2", "3"]);
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn a_process_that_is_not_there_is_named_in_the_log_and_told_when_it_comes() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let name = format!("projector-test-late-{}", std::process::id());
    let mut projector = setup.projector().env("SIGNAL_PROCESS", &name).env("SIGNAL", "USR1").env("LOG_LEVEL", "debug").start();
    projector.wait_ready();
    projector.wait_output("(SIGNAL_PROCESS)");
    assert!(projector.output().contains(&name), "{}", projector.output());
    let application = Application::start(&setup, "late");
    assert_eq!(application.name, name);
    setup.cluster.set_data("a", &[("a", "2")]);
    wait_for("the signal", DEADLINE, || application.records().last().is_some_and(|last| last == "2"));
    assert_tree(&setup.folder(), &tree! { "a" => "2" });
}

#[test]
fn a_process_of_another_user_is_refused_with_both_numbers() {
    // The kubeconfig of a real cluster may be its owner's alone.
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let application = Application::start(&setup, "foreign");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(setup.folder(), open).expect("the folder is ours");
    let mut projector = setup
        .projector()
        .wrapper(&["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups"])
        .env("SIGNAL_PROCESS", &application.name)
        .env("SIGNAL", "USR1")
        .env("LOG_LEVEL", "debug")
        .start();
    projector.wait_ready();
    projector.wait_output("runs as uid 0 and we as 4711");
    assert_eq!(application.records(), ["up"]);
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn a_pidfile_names_the_process_and_one_that_was_left_behind_names_nobody() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let application = Application::start(&setup, "by-file");
    let pidfile = setup.beside("application.pid");
    put(&pidfile, format!("{}\n", application.pid()));
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    let file = std::fs::File::options().write(true).open(&pidfile).expect("it was just written");
    file.set_modified(long_ago).expect("it is ours");
    let pidfile_name = pidfile.display().to_string();
    let mut projector = setup.projector().env("SIGNAL_PIDFILE", &pidfile_name).env("SIGNAL", "USR1").env("LOG_LEVEL", "debug").start();
    projector.wait_ready();
    projector.wait_output("given to another process");
    assert_eq!(application.records(), ["up"]);
    put(&pidfile, format!("{}\n", application.pid()));
    setup.cluster.set_data("a", &[("a", "2")]);
    wait_for("the signal", DEADLINE, || application.records().last().is_some_and(|last| last == "2"));
}
