//! The same with the application as a child, behind `--`.

use super::{Bench, refused};
use crate::common::started;
use crate::support::projector::Builder;
use crate::support::*;

/// Notes that it found the file, each SIGHUP with what the file holds then, and ends with 7 when it finds `end`.
const APPLICATION: &str = "echo \"started with $(cat $A), $1\" >> $D/log; trap 'echo \"told of $(cat $A)\" >> $D/log' HUP; \
                           n=0; while [ ! -e $D/end ] && [ $n -lt 2000 ]; do sleep 0.05; n=$((n+1)); done; exit 7";

impl Bench {
    /// The predecessor's command line in its subprocess mode, with these flags more.
    fn parent(&self, flags: &[&str]) -> Builder {
        let configmap = format!("--configmap={}/settings", self.setup.cluster.namespace());
        let configroot = format!("--configroot={}", self.setup.folder().display());
        let (folder, file) = (self.setup.beside("").display().to_string(), self.setup.path("a").display().to_string());
        let script = format!("D={folder}; A={file}; {APPLICATION}");
        let launch = self.bare().env("PATH", "/usr/local/bin:/usr/bin:/bin").args(&[&configroot, &configmap]).args(flags);
        launch.args(&["--", "/bin/sh", "-c", &script, "app", "--configmap=its-own"])
    }

    fn noted(&self, expected: &[&str]) {
        let log = || std::fs::read_to_string(self.setup.beside("log")).unwrap_or_default();
        wait_until(&format!("{expected:?} in the application's log"), DEADLINE, || {
            let log = log();
            if log.lines().eq(expected.iter().copied()) { Ok(()) } else { Err(log) }
        });
    }

    fn end(&self) {
        std::fs::write(self.setup.beside("end"), "").unwrap();
    }
}

#[test]
fn c6_c17_the_command_gets_its_own_arguments_after_the_first_files_and_no_early_signal() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let _projector = started(&bench.parent(&["-logtostderr"]));
    bench.noted(&["started with 1, --configmap=its-own"]);
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    bench.noted(&["started with 1, --configmap=its-own", "told of 2"]);
    bench.end();
}

#[test]
fn c7_a_url_and_a_command_work_together() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let url = format!("--reload-http={}", bench.web.url("/reload"));
    let _projector = started(&bench.parent(&[&url]));
    bench.noted(&["started with 1, --configmap=its-own"]);
    let before = bench.web.count("/reload");
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    bench.noted(&["started with 1, --configmap=its-own", "told of 2"]);
    bench.web.wait_for("/reload", before + 1);
    bench.end();
}

#[test]
fn c7_a_command_alone_is_enough_and_no_command_at_all_is_not() {
    let bench = Bench::new();
    let stderr = refused(&bench.bare().args(&["--configroot=/nowhere", "--configmap=settings", "--"]));
    assert!(stderr.starts_with("REQ_URL: nobody is told of changes: give a command after --"), "{stderr}");
}

#[test]
fn c18_the_end_of_the_command_ends_us_with_its_code() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let mut projector = started(&bench.parent(&[]));
    bench.noted(&["started with 1, --configmap=its-own"]);
    bench.end();
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(7));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn c19_asked_to_stop_it_stops_the_command_first() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let mut projector = started(&bench.parent(&[]));
    bench.noted(&["started with 1, --configmap=its-own"]);
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn c20_a_reload_that_fails_is_unhealthy_until_one_succeeds() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::status(400));
    bench.create(&[("a", "1")]);
    let projector = bench.launch().start();
    wait_until("/healthz to tell of the reload", DEADLINE, || match projector.health() {
        (503, body) if body.to_string().contains("400") => Ok(()),
        other => Err(other),
    });
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1" });
    bench.web.on("/reload", Answer::status(204));
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    wait_until("/healthz to be well again", DEADLINE, || match projector.health() {
        (200, _) => Ok(()),
        other => Err(other),
    });
}

#[test]
fn the_predecessors_command_line_runs_unchanged_from_the_first_files_to_the_end_of_the_application() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let program = bench.setup.beside("k8s-config-controller");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kube-projector"), &program).unwrap();
    let url = format!("--reload-http={}", bench.web.url("/reload"));
    let launch = bench.parent(&["--logtostderr=true", "--v=2", &url, "--reload-http-method=PUT"]).binary(&program);
    let mut projector = started(&launch);
    bench.noted(&["started with 1, --configmap=its-own"]);
    let before = bench.web.count("/reload");
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    bench.noted(&["started with 1, --configmap=its-own", "told of 2"]);
    assert_eq!(bench.web.wait_for("/reload", before + 1).pop().unwrap().method, "PUT");
    bench.end();
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(7));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "2" });
}
