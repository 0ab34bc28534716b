//! When the child starts, and how it is told of changes.

use super::*;

const HUP: &str = "trap 'note hup $(cat $A)' HUP; note up $(cat $A); idle";

#[test]
fn the_first_files_are_there_before_the_child_starts() {
    let bench = Bench::on(Setup::in_process());
    let server = bench.setup.cluster.server();
    server.fault(Matcher::reads("configmaps"), Times::N(2), Fault::retry_after(429, "1"));
    let _projector = bench.child("note $(cat $A || echo nothing); idle").start();
    bench.noted(&["1"]);
}

#[test]
fn a_change_is_told_by_one_hup_once_the_files_are_there() {
    let bench = Bench::new();
    let web = WebServer::start();
    web.on("/reload", Answer::ok(""));
    let mut projector = bench.child(HUP).env("REQ_URL", &web.url("/reload")).start();
    // The request comes after the child: the first pass is told.
    web.wait_for("/reload", 1);
    bench.noted(&["up 1"]);
    bench.set("2");
    bench.noted(&["up 1", "hup 2"]);
    bench.set("3");
    bench.noted(&["up 1", "hup 2", "hup 3"]);
    assert_eq!(projector.terminate().code(), Some(0));
    assert_eq!(bench.log(), ["up 1", "hup 2", "hup 3"]);
}

#[test]
fn the_child_has_our_input_and_outputs_and_a_group_of_its_own() {
    let bench = Bench::new();
    let script = "read -r line; echo \"read $line\"; echo error >&2; note $(cut -d' ' -f5 /proc/$$/stat) $$";
    let piped = ["/bin/sh", "-c", "echo typed | \"$@\"", "sh"];
    let finished = bench.child(script).wrapper(&piped).run();
    assert_eq!((finished.code, &*finished.stdout), (Some(0), "read typed\n"), "{}", finished.stderr);
    assert!(finished.stderr.lines().any(|line| line == "error"), "{}", finished.stderr);
    let log = bench.log().remove(0);
    let (group, pid) = log.split_once(' ').unwrap();
    assert_eq!(group, pid);
}

#[test]
fn another_signal_tells_it_if_that_was_asked_for() {
    let bench = Bench::new();
    let _projector = bench.child("trap 'note usr2' USR2; note up; idle").env("RELOAD_SIGNAL", "USR2").start();
    bench.noted(&["up"]);
    bench.set("2");
    bench.noted(&["up", "usr2"]);
}

#[test]
fn manifests_tell_a_child_too() {
    let home = tempfile::tempdir().unwrap();
    let (source, folder) = (home.path().join("source"), home.path().join("files"));
    let put = |value: &str| {
        let text = format!("kind: ConfigMap\napiVersion: v1\nmetadata: {{name: a, labels: {{find: me}}}}\ndata: {{a: {value:?}}}\n");
        crate::common::put(&source.join("a.yaml"), text);
    };
    put("1");
    let script = format!("cd {}; trap 'cat files/a >> log' HUP; cat files/a >> log; {IDLE}", home.path().display());
    let builder = Projector::builder().folder(&folder).env("SOURCE", &source.display().to_string()).env("LABEL", "find");
    let _projector = builder.env("PATH", "/usr/bin:/bin").args(&["--", "/bin/sh", "-c", &script]).start();
    let holds = |expected: &str| std::fs::read_to_string(home.path().join("log")).unwrap_or_default() == expected;
    wait_for("the child's start", DEADLINE, || holds("1"));
    put("2");
    wait_for("HUP", DEADLINE, || holds("12"));
}

#[test]
fn what_was_owed_when_the_child_starts_needs_no_hup() {
    let bench = Bench::new();
    let web = WebServer::start();
    web.on("/reload", Answer::status(503));
    let asking = |builder: Builder| builder.env("REQ_URL", &web.url("/reload"));
    let mut projector = asking(bench.setup.projector()).start();
    web.wait_for("/reload", 1);
    projector.kill9();
    web.on("/reload", Answer::ok(""));
    web.clear_requests();
    let _projector = asking(bench.child(HUP)).start();
    web.wait_for("/reload", 1);
    bench.noted(&["up 1"]);
    bench.set("2");
    bench.noted(&["up 1", "hup 2"]);
}

#[test]
fn a_child_that_starts_now_is_told_of_the_first_files() {
    let bench = Bench::on(Setup::in_process());
    let server = bench.setup.cluster.server();
    let away = server.fault(Matcher::reads("configmaps"), Times::Always, Fault::retry_after(429, "1"));
    let mut projector = bench.child("trap 'note hup $(cat $A)' HUP; note up; idle").env("CHILD_START", "now").start();
    bench.noted(&["up"]);
    assert_ne!(projector.ready().0, 200);
    server.clear(away);
    projector.wait_ready();
    bench.noted(&["up", "hup 1"]);
}

#[test]
fn a_child_without_a_handler_yet_gets_no_hup() {
    let bench = Bench::new();
    let script = "note up; until [ -e $D/go ]; do sleep 0.02; done; trap 'note hup $(cat $A)' HUP; note ready; idle";
    let mut projector = bench.child(script).env("LOG_LEVEL", "debug").start();
    bench.noted(&["up"]);
    bench.set("2");
    projector.wait_output("has no handler for HUP");
    touch(&bench.setup.beside("go"));
    bench.noted(&["up", "ready", "hup 2"]);
    assert!(projector.is_running());
}

#[test]
fn a_child_that_ignores_hup_is_a_failure_that_is_told() {
    let bench = Bench::new();
    let projector = bench.child("trap '' HUP; note up; idle").env("LOG_LEVEL", "debug").start();
    bench.noted(&["up"]);
    bench.set("2");
    projector.wait_output("ignores HUP");
}

#[test]
fn a_child_can_be_started_again_instead() {
    let bench = Bench::new();
    let script = "echo $$ > $D/pid; trap 'note usr1; exit 4' USR1; note up $(cat $A); idle";
    let mut projector = bench.child(script).env("RELOAD_RESTART", "true").env("KILL_SIGNAL", "USR1").start();
    bench.noted(&["up 1"]);
    bench.set("2");
    bench.noted(&["up 1", "usr1", "up 2"]);
    bench.set("3");
    bench.noted(&["up 1", "usr1", "up 2", "usr1", "up 3"]);
    assert!(projector.is_running(), "an end that we asked for is none");
    assert_eq!(projector.terminate().code(), Some(0));
    gone(bench.pid_in("pid"));
}

#[test]
fn request_and_child_are_told_both() {
    let bench = Bench::new();
    let web = WebServer::start();
    web.on("/reload", Answer::ok(""));
    let _projector = bench.child(HUP).env("REQ_URL", &web.url("/reload")).env("REQ_SKIP_INIT", "true").start();
    bench.noted(&["up 1"]);
    bench.set("2");
    web.wait_for("/reload", 1);
    bench.noted(&["up 1", "hup 2"]);
}
