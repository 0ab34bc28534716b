//! Commands that fail, hang or are cut off, and servers that do not let them run.

use super::{Bench, RECORD};
use crate::common::{count, started};
use crate::support::*;

#[test]
fn a_command_that_fails_is_told_and_tried_again_only_where_it_failed() {
    let bench = Bench::new();
    bench.director("a").create();
    bench.director("b").create();
    let script = "echo $POD_NAME >> {log}; [ $POD_NAME = a ] || [ -e {here}/good ] || { echo no config >&2; exit 3; }";
    let projector = started(&bench.runs(script).env("EXEC_RETRIES", "1000"));
    bench.change("1");
    wait_for("two attempts in b", DEADLINE, || bench.log().iter().filter(|pod| *pod == "b").count() > 1);
    let asked = || bench.log().iter().filter(|pod| *pod == "a").count();
    assert_eq!(asked(), 1);
    let event = bench.setup.event("b", "ReloadFailed");
    assert_eq!((&event["note"], &event["type"]), (&"exit code 3, 10 bytes said: see the log".into(), &"Warning".into()));
    projector.wait_output("the command failed in the pod");
    // Where it worked it is asked again only for what is new.
    bench.change("2");
    wait_for("a second run in a", DEADLINE, || asked() == 2);
    std::fs::write(bench.path("good"), "").unwrap();
    projector.wait_output("told the application");
    assert_eq!(asked(), 2);
    bench.setup.event("b", "ReloadSucceeded");
}

#[test]
fn a_command_that_hangs_is_cut_and_tried_again_and_holds_nobody_up() {
    let bench = Bench::new();
    bench.director("a").create();
    bench.director("b").create();
    let script = "echo begun; [ $POD_NAME = b ] || ! mkdir {here}/once || exec sleep 1000; echo $POD_NAME >> {log}";
    let projector = started(&bench.runs(script).env("EXEC_TIMEOUT", "2"));
    bench.change("1");
    bench.ran(&["a", "b"]);
    projector.wait_output("it did not end within 2 s (EXEC_TIMEOUT)");
    let note = bench.setup.event("a", "ReloadFailed")["note"].clone();
    assert_eq!(note, "it did not end within 2 s (EXEC_TIMEOUT), 6 bytes said: see the log");
}

#[test]
fn a_connection_that_is_cut_is_tried_again() {
    let bench = Bench::new();
    bench.director("a").create();
    let script = "! mkdir {here}/once || { touch {here}/begun; exec sleep 1000; }; echo $POD_NAME >> {log}";
    let projector = started(&bench.runs(script));
    bench.change("1");
    wait_for("the first run", DEADLINE, || bench.path("begun").exists());
    bench.setup.cluster.server().drop_connections();
    bench.ran(&["a"]);
    projector.wait_output("told the application");
}

#[test]
fn a_server_that_is_unwell_is_asked_again() {
    let bench = Bench::new();
    bench.director("a").create();
    let server = bench.setup.cluster.server();
    let unwell = |code| Fault::Status { code, headers: Vec::new(), body: None };
    server.fault(Matcher::list("pods"), Times::Once, unwell(500));
    server.fault(Matcher::exec(), Times::Once, unwell(503));
    server.fault(Matcher::exec(), Times::Once, Fault::Reset);
    let projector = started(&bench.runs(RECORD));
    bench.change("1");
    bench.ran(&["a"]);
    projector.wait_output("told the application");
}

#[test]
fn a_pod_that_went_is_no_failure() {
    let bench = Bench::new();
    bench.director("a").create();
    bench.director("b").create();
    let gone = Fault::Status { code: 404, headers: Vec::new(), body: None };
    bench.setup.cluster.server().fault(Matcher::exec().name("a"), Times::Always, gone);
    let projector = started(&bench.runs(RECORD));
    bench.change("1");
    projector.wait_output("told the application");
    assert_eq!((bench.log(), count(&projector.output(), "failed in the pod")), (vec!["b".to_owned()], 0));
}

#[test]
fn a_container_that_is_not_there_is_named_by_its_setting() {
    let bench = Bench::new();
    bench.director("a").create();
    let projector = started(&bench.runs(RECORD).env("EXEC_CONTAINER", "none"));
    bench.change("1");
    let note = bench.setup.event("a", "ReloadFailed")["note"].to_string();
    assert!(note.contains("answered 400 BadRequest: is EXEC_CONTAINER right?"), "{note}");
    // The command is part of the request's URL and may hold what is nobody's business.
    projector.wait_output("answered 400");
    assert_eq!(count(&projector.output(), "echo"), 0);
}

#[test]
fn a_program_that_is_not_there_is_told_in_the_words_of_the_node() {
    let bench = Bench::new();
    bench.director("a").create();
    let _projector = started(&bench.runs("").env("EXEC_COMMAND", "[\"/no/such/program\"]"));
    bench.change("1");
    let note = bench.setup.event("a", "ReloadFailed")["note"].to_string();
    assert!(note.contains("/no/such/program"), "{note}");
}

#[test]
fn a_reload_that_never_works_leaves_the_files_right_and_is_tried_for_what_is_new() {
    let bench = Bench::new();
    bench.director("a").create();
    let projector = started(&bench.runs("[ -e {here}/good ] && echo $POD_NAME >> {log}").env("EXEC_RETRIES", "1"));
    bench.change("1");
    projector.wait_output("the command did not work in every pod, trying again later");
    bench.change("2");
    std::fs::write(bench.path("good"), "").unwrap();
    bench.change("3");
    bench.ran(&["a"]);
}
