//! EXEC_LABELS: a command in other pods. In-process only: on a server without nodes no command runs.

mod failures;
mod rights;

use std::path::PathBuf;

use crate::common::{Setup, count, started};
use crate::support::projector::Builder;
use crate::support::*;

/// A cluster, a projector that runs commands in pods labelled `app=director`, and what those commands wrote.
struct Bench {
    setup: Setup,
}

impl Bench {
    fn new() -> Self {
        Self { setup: Setup::in_process() }
    }

    /// A pod that is a target once it is created.
    fn director(&self, name: &str) -> cluster::PodDraft<'_> {
        self.setup.cluster.pod(name).label("app", "director").ready(true)
    }

    /// A path that commands may use.
    fn path(&self, name: &str) -> PathBuf {
        self.setup.beside(name)
    }

    /// A shell command in which `{log}` is the file that [`Self::ran`] reads and `{here}` its folder.
    fn runs(&self, script: &str) -> Builder {
        let script = script.replace("{log}", &self.path("log").display().to_string());
        let script = script.replace("{here}", &self.path("").display().to_string());
        let projector = self.setup.projector().env("EXEC_LABELS", "app=director").env("EXEC_COMMAND", &script);
        let projector = projector.env("EXEC_NAMESPACE", self.setup.cluster.namespace()).env("REQ_RETRY_BACKOFF_FACTOR", "0.02");
        projector.env("EVENT_LOGGING", "true").env("LOG_LEVEL", "debug").env("FINALIZERS", "false")
    }

    /// A change of the files.
    fn change(&self, value: &str) {
        match self.setup.cluster.get("configmaps", "a") {
            None => self.setup.cluster.configmap("a", &[("a", value)]).create(),
            Some(_) => self.setup.cluster.set_data("a", &[("a", value)]),
        };
        self.setup.holds(&tree! { "a" => value });
    }

    /// The lines that commands wrote, sorted.
    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Waits until commands wrote exactly these lines, in any order.
    fn ran(&self, expected: &[&str]) {
        wait_until(&format!("commands that write {expected:?}"), DEADLINE, || {
            let log = self.log();
            if log == expected { Ok(()) } else { Err(log) }
        });
    }
}

const RECORD: &str = "echo \"$POD_NAME\" >> {log}";

#[test]
fn a_change_runs_the_command_once_in_each_target() {
    let bench = Bench::new();
    bench.director("a").create();
    bench.director("b").create();
    bench.director("not-ready").ready(false).create();
    bench.director("terminating").finalizer("rig.dev/hold").create();
    bench.setup.cluster.delete("pods", "terminating");
    bench.director("pending").status(serde_json::Value::Null).create();
    bench.setup.cluster.pod("other").label("app", "other").ready(true).create();
    let _projector = started(&bench.runs(RECORD));
    bench.change("1");
    bench.ran(&["a", "b"]);
    // What should not have run would be here by the time of the next change.
    bench.change("2");
    bench.ran(&["a", "a", "b", "b"]);
    let event = bench.setup.event("a", "ReloadSucceeded");
    assert_eq!((&event["note"], &event["type"], &event["regarding"]["kind"]), (&"exit code 0".into(), &"Normal".into(), &"Pod".into()));
}

#[test]
fn pods_that_are_not_ready_are_targets_where_that_is_wanted() {
    let bench = Bench::new();
    bench.director("a").ready(false).create();
    let _projector = started(&bench.runs(RECORD).env("EXEC_ONLY_READY", "false"));
    bench.change("1");
    bench.ran(&["a"]);
}

#[test]
fn without_any_pod_that_is_told_and_no_failure() {
    let bench = Bench::new();
    let projector = started(&bench.runs(RECORD));
    bench.change("1");
    projector.wait_output("there is no pod to run the command in");
    projector.wait_output("told the application");
    bench.director("a").create();
    bench.change("2");
    bench.ran(&["a"]);
}

#[test]
fn an_array_is_run_without_a_shell() {
    let bench = Bench::new();
    bench.director("a").create();
    let log = bench.path("log").display().to_string();
    let argv = serde_json::json!(["sh", "-c", format!("echo \"$1 $2\" >> {log}"), "sh", "$HOME *", "ä&=+%"]);
    let _projector = started(&bench.runs("").env("EXEC_COMMAND", &argv.to_string()));
    bench.change("1");
    bench.ran(&["$HOME * ä&=+%"]);
}

#[test]
fn the_container_is_the_annotated_one_or_the_first_unless_it_is_named() {
    let bench = Bench::new();
    bench.director("a").container("one").container("two").create();
    bench.director("b").container("one").container("two").annotation("kubectl.kubernetes.io/default-container", "two").create();
    let builder = bench.runs("echo \"$POD_NAME $CONTAINER_NAME\" >> {log}");
    let mut projector = started(&builder);
    bench.change("1");
    bench.ran(&["a one", "b two"]);
    projector.terminate();
    let _projector = started(&builder.env("EXEC_CONTAINER", "two"));
    bench.change("2");
    bench.ran(&["a one", "a two", "b two", "b two"]);
}

#[test]
fn as_many_pods_as_allowed_run_it_at_the_same_time() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.director(name).create();
    }
    // Each of two waits for the other; a third waits for nobody.
    let rendezvous = "touch {here}/$POD_NAME; until [ -e {here}/a ] && [ -e {here}/b ]; do sleep 0.01; done; echo $POD_NAME >> {log}";
    let mut projector = started(&bench.runs(rendezvous).env("EXEC_CONCURRENCY", "2"));
    bench.change("1");
    bench.ran(&["a", "b", "c"]);
    projector.terminate();
    let alone = "mkdir {here}/lock || { echo together >> {log}; exit; }; sleep 0.05; echo $POD_NAME >> {log}; rmdir {here}/lock";
    let _projector = started(&bench.runs(alone).env("EXEC_CONCURRENCY", "1"));
    bench.change("2");
    bench.ran(&["a", "a", "b", "b", "c", "c"]);
}

#[test]
fn a_restart_on_equal_files_runs_nothing() {
    let bench = Bench::new();
    bench.director("a").create();
    let mut projector = started(&bench.runs(RECORD));
    bench.change("1");
    bench.ran(&["a"]);
    projector.wait_output("told the application");
    projector.terminate();
    let _projector = started(&bench.runs(RECORD));
    bench.change("2");
    bench.ran(&["a", "a"]);
}

#[test]
fn the_end_of_what_it_prints_is_in_the_log_and_its_length_in_the_event() {
    let bench = Bench::new();
    bench.director("a").create();
    let script = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo last words; echo trouble >&2";
    let projector = started(&bench.runs(script));
    bench.change("1");
    let note = bench.setup.event("a", "ReloadSucceeded")["note"].as_str().unwrap().to_owned();
    assert_eq!(note, "exit code 0, 100020 bytes said: see the log");
    projector.wait_output("the command ran in the pod");
    let output = projector.output();
    let line = output.lines().find(|line| line.contains("the command ran in the pod")).unwrap();
    assert!(line.contains("last words") && line.contains("trouble") && line.len() < 2000, "{line}");
    assert_eq!(count(&output, "failed in the pod"), 0);
}
