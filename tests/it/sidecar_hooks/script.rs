//! SCRIPT: how it is run, and that nothing it does harms the files.

use super::{Bench, completed, healthy, text, write_by_child};
use crate::common::{count, put};
use crate::support::*;

#[test]
fn fix_565_readiness_comes_before_hooks() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let script = bench.script("waits", "#!/bin/sh\necho $$ > RUNS.pid\nexec sleep 60\n");
    // `healthy` waits for /healthz.
    let mut projector = healthy(&bench.hooked().env("SCRIPT", &text(&script)));
    wait_for("the script", DEADLINE, || bench.setup.beside("runs.pid").exists());
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1" });
    assert_eq!((projector.health().0, bench.web.connections()), (200, 0));
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn fix_1_7_a_script_that_hangs_is_ended_with_its_children_and_the_request_follows() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let script = bench.script("hangs", "#!/bin/sh\nsleep 60 &\necho $! > RUNS.pid\nwait\n");
    let projector = healthy(&bench.hooked().env("SCRIPT", &text(&script)).env("SCRIPT_TIMEOUT", "1"));
    projector.wait_output("killed after 1 s (SCRIPT_TIMEOUT)");
    bench.asked(1);
    let child = std::fs::read_to_string(bench.setup.beside("runs.pid")).unwrap();
    let status = format!("/proc/{}/stat", child.trim());
    let gone = || std::fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
    wait_for("the end of the script's child", DEADLINE, gone);
    assert_eq!((count(&projector.output(), "SCRIPT_TIMEOUT"), projector.health().0), (1, 200));
}

#[test]
fn keep_1_7_a_script_that_fails_or_is_missing_is_an_error_in_the_log_and_nothing_more() {
    let bench = Bench::new();
    let fails = bench.script("fails", "#!/bin/sh\nexit 3\n");
    let no_interpreter = bench.script("python", "#!/no/such/python\n");
    let missing = bench.setup.beside("missing");
    for (number, (script, expected)) in
        [(fails, "exit status: 3"), (missing, "No such file"), (no_interpreter, "its interpreter is not there")].iter().enumerate()
    {
        let name = format!("a{number}");
        bench.setup.cluster.configmap(&name, &[(&name, "1")]).create();
        let builder = bench.hooked().env("SCRIPT", &text(script));
        let finished = completed(&builder.clone().env("METHOD", "LIST"));
        let errors = |log: &str| log.lines().filter(|line| line.contains("\"level\": \"ERROR\"") && line.contains(expected)).count();
        assert_eq!(errors(&finished.stderr), 1, "{}", finished.stderr);
        bench.asked(number * 3 + 1);
        let mut projector = healthy(&builder);
        for (times, value) in [(1, "2"), (2, "3")] {
            bench.setup.cluster.set_data(&name, &[(&name, value)]);
            bench.asked(number * 3 + 1 + times);
            assert_eq!((errors(&projector.output()), projector.health().0), (times, 200), "{}", projector.output());
        }
        assert_eq!(projector.terminate().code(), Some(0));
    }
}

#[test]
fn keep_1_7_a_script_that_cannot_be_executed_is_run_by_sh() {
    let bench = Bench::new();
    let script = bench.setup.beside("plain.sh");
    write_by_child(&script, &super::RECORD.replace("RUNS", &text(&bench.setup.beside("runs"))).replace("#!/bin/sh", "#!/no/such"), "644");
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    completed(&bench.hooked().env("SCRIPT", &text(&script)).env("METHOD", "LIST"));
    bench.ran(&[&["a"]]);
}

#[test]
fn fix_1_7_a_script_without_a_first_line_is_run_by_sh() {
    let bench = Bench::new();
    let script = bench.script("bare", &super::RECORD.replace("#!/bin/sh\n", ""));
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    completed(&bench.hooked().env("SCRIPT", &text(&script)).env("METHOD", "LIST"));
    bench.ran(&[&["a"]]);
}

#[test]
fn keep_1_7_a_script_gets_the_environment_and_no_arguments() {
    let bench = Bench::new();
    let script = bench.script("asks", "#!/bin/sh\necho \"$# $REQ_URL $MINE\" > RUNS.seen\n");
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    completed(&bench.hooked().env("SCRIPT", &text(&script)).env("MINE", "yes").env("METHOD", "LIST"));
    let seen = std::fs::read_to_string(bench.setup.beside("runs.seen")).unwrap();
    assert_eq!(seen, format!("0 {} yes\n", bench.web.url("/reload")));
}

#[test]
fn keep_1_7_output_and_exit_code_of_a_script_are_in_the_log_at_debug() {
    let bench = Bench::new();
    let long = "x".repeat(5000);
    put(&bench.setup.beside("long"), &long);
    let script = bench.script("talks", "#!/bin/sh\necho \"it's\"\ncat \"$LONG\" >&2\nexit 7\n");
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = bench.hooked().env("SCRIPT", &text(&script)).env("METHOD", "LIST").env("LONG", &text(&bench.setup.beside("long")));
    let log = completed(&builder.clone().env("LOG_LEVEL", "DEBUG").env("LOG_FORMAT", "LOGFMT")).stderr;
    for line in ["Script stdout: b\\\"it's\\\\n\\\"", &format!("Script stderr: b'{}'", &long[..4096]), "Script exit code: 7"] {
        assert_eq!(count(&log, line), 1, "{line} in {log}");
    }
    bench.setup.cluster.set_data("a", &[("a", "2")]);
    assert_eq!(count(&completed(&builder).stderr, "Script stdout"), 0);
}
