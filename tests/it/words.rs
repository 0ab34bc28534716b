//! R13: what a script, an answer or a command says reaches a person by the log, and no secret goes with it.
//!
//! Canaries are in the files of Secrets; scripts and servers say them aloud.

mod answers;
mod commands;
mod pod;

use serde_json::{Value, json};

use crate::common::{Setup, put, started, two_seconds_after};
use crate::sidecar_hooks::{text, write_by_child};
use crate::support::projector::Builder;
use crate::support::*;

const CANARY: &str = "Cnry+in-a-secret-51c9aa";
/// What stands where something is not repeated.
const WITHHELD: &str = "REACT_OUTPUT";

/// A cluster, and a script that says what the test wants.
struct Bench {
    setup: Setup,
}

impl Bench {
    /// With a ConfigMap `a` whose file is `a`.
    fn new() -> Self {
        let setup = Setup::in_process();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        Self { setup }
    }

    /// A launch with this script. `$F` is FOLDER, `$D` the folder beside it.
    fn script(&self, source: &str) -> Builder {
        let (folder, beside) = (text(&self.setup.folder()), text(&self.setup.beside("")));
        let script = self.setup.beside("script");
        write_by_child(&script, &format!("#!/bin/sh\nF={folder}\nD={beside}\n{source}\n"), "755");
        // One attempt for each state, so that tests can count.
        self.plain().env("SCRIPT", &text(&script)).env("SCRIPT_RETRIES", "0")
    }

    /// A launch that tells nobody yet.
    fn plain(&self) -> Builder {
        self.setup.projector().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("EVENT_LOGGING", "true")
    }

    /// The same as k8s-sidecar.
    fn as_sidecar(&self, builder: Builder) -> Builder {
        builder.env("PROFILE", "k8s-sidecar").env("RESOURCE", "both").env("LEDGER", &text(&self.setup.beside("ledger")))
    }

    fn secret(&self) -> Value {
        self.setup.cluster.secret("s", &[("secret", CANARY)]).create()
    }

    /// Changes the ConfigMap, and waits for its file.
    fn edit(&self, value: &str) {
        self.setup.cluster.set_data("a", &[("a", value)]);
        wait_for("the edit", DEADLINE, || std::fs::read(self.setup.path("a")).is_ok_and(|bytes| bytes == value.as_bytes()));
    }

    /// The search finds what is there: who asks for everything gets it, in the log alone.
    fn says_all(&self, builder: &Builder) {
        let projector = builder.clone().env("REACT_OUTPUT", "always").start();
        wait_for("the first pass", DEADLINE, || projector.health().0 == 200);
        self.edit("3");
        projector.wait_output(CANARY);
        assert_no_leak("health and Events", self.told(&projector), &[CANARY]);
    }

    /// Everything that health and Events say.
    fn told(&self, projector: &Projector) -> String {
        let events = json!(self.setup.cluster.server().list("events")).to_string();
        format!("{}{}{events}", projector.health().1, projector.ready().1)
    }

    /// Waits until reactions have ended so often.
    fn ended(&self, projector: &Projector, times: usize) {
        let count = |output: &str| output.lines().filter(|line| ENDS.iter().any(|end| line.contains(end))).count();
        wait_until(&format!("{times} ends"), DEADLINE, || {
            let output = projector.output();
            if count(&output) >= times { Ok(()) } else { Err(output) }
        });
    }
}

/// How reactions end, in the log.
const ENDS: [&str; 3] = ["\"told the application\"", "the application was not told\"", "the application was not told, trying again later"];

/// Says every file and fails.
const TREE: &str = "cat $F/*; cat $F/* >&2; exit 3";

#[test]
fn r13_what_a_failing_script_says_is_a_warning_in_the_log_and_a_length_elsewhere() {
    let bench = Bench::new();
    let projector = started(&bench.script("echo 'line 7: no such thing' >&2; exit 3"));
    bench.ended(&projector, 1);
    let output = projector.output();
    let line = output.lines().find(|line| line.contains("line 7: no such thing")).unwrap_or_else(|| panic!("{output}"));
    assert!(line.contains("\"WARN\""), "{line}");
    let expected = "exit status: 3, 22 bytes said: see the log";
    wait_until("the failure in health", DEADLINE, || {
        let told = projector.health().1;
        if told["reload_failure"].as_str().is_some_and(|why| why.ends_with(expected)) { Ok(()) } else { Err(told) }
    });
    assert!(!bench.told(&projector).contains("line 7"), "{}", bench.told(&projector));
}

#[test]
fn r13_of_long_outputs_four_kibibytes_reach_the_log() {
    let bench = Bench::new();
    let projector = started(&bench.script("head -c 100000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' y >&2; exit 3"));
    bench.ended(&projector, 1);
    let output = projector.output();
    assert!(output.contains("200000 bytes said"), "{output}");
    let said = |of: &str| output.lines().filter(|line| line.contains(&of.repeat(100))).map(|line| line.matches(of).count()).sum::<usize>();
    assert!((4096..4200).contains(&(said("x") + said("y"))) && said("y") >= 2048, "{output}");
}

#[test]
fn r13_canary_a_script_that_prints_the_tree_says_nothing_while_an_unchanged_secret_is_ours() {
    for is_sidecar in [false, true] {
        let bench = Bench::new();
        bench.secret();
        let builder = bench.script(TREE).env("LOG_LEVEL", if is_sidecar { "DEBUG" } else { "trace" });
        let builder = if is_sidecar { bench.as_sidecar(builder) } else { builder };
        let mut projector = builder.start();
        bench.ended(&projector, 1);
        bench.edit("2");
        bench.ended(&projector, 2);
        projector.assert_no_leak(&[CANARY]);
        assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
        projector.wait_output(WITHHELD);
        assert!(projector.output().contains("bytes said: see the log"), "{}", projector.output());
        projector.terminate();
        bench.says_all(&builder);
    }
}

#[test]
fn r13_a_secret_that_comes_while_the_script_runs_is_not_said() {
    let bench = Bench::new();
    let projector = started(
        &bench
            .script("touch $D/begun; until [ -e $F/secret ]; do sleep 0.02; done; sleep 0.1; cat $F/secret; exit 3")
            .env("LOG_LEVEL", "trace"),
    );
    wait_for("the script", DEADLINE, || bench.setup.beside("begun").exists());
    bench.secret();
    bench.ended(&projector, 2);
    projector.assert_no_leak(&[CANARY]);
    assert!(projector.output().contains(WITHHELD), "{}", projector.output());
}

#[test]
fn r13_a_secret_that_is_gone_is_not_said_before_that_was_told() {
    let bench = Bench::new();
    bench.secret();
    let source = "[ ! -e $F/secret ] || cp $F/secret $D/kept; cat $D/kept $F/a; [ -e $D/good ]";
    let projector = started(&bench.script(source).env("FINALIZERS", "false").env("LOG_LEVEL", "trace"));
    bench.ended(&projector, 1);
    bench.setup.cluster.delete("secrets", "s");
    bench.ended(&projector, 2);
    bench.edit("2");
    bench.ended(&projector, 3);
    projector.assert_no_leak(&[CANARY]);
    // It knows the state without the Secret now.
    std::fs::write(bench.setup.beside("good"), "").unwrap();
    bench.edit("3");
    bench.ended(&projector, 4);
    projector.assert_no_leak(&[CANARY]);
    std::fs::remove_file(bench.setup.beside("good")).unwrap();
    std::fs::write(bench.setup.beside("kept"), "").unwrap();
    bench.edit("words for people");
    projector.wait_output("words for people");
    projector.assert_no_leak(&[CANARY]);
}

#[test]
fn r13_a_file_that_passes_from_a_secret_to_a_config_map_is_not_said_while_it_holds_the_old_bytes() {
    let bench = Bench::new();
    let secret = bench.secret();
    let mut projector = started(&bench.script(TREE).env("FINALIZERS", "false").env("CONFLICT", "newest").env("LOG_LEVEL", "trace"));
    bench.ended(&projector, 1);
    two_seconds_after(&secret);
    bench.setup.cluster.configmap("heir", &[("secret", "plain")]).create();
    wait_for("the heir's file", DEADLINE, || std::fs::read(bench.setup.path("secret")).is_ok_and(|bytes| bytes == b"plain"));
    bench.ended(&projector, 2);
    bench.edit("2");
    bench.ended(&projector, 3);
    projector.assert_no_leak(&[CANARY]);
    projector.terminate();
}

#[test]
fn r13_a_script_that_knows_our_password_or_our_headers_says_nothing_either() {
    let headers = format!("X-Token: {CANARY}");
    let known: [&[(&str, &str)]; 2] = [&[("REQ_USERNAME", "u"), ("REQ_PASSWORD", CANARY)], &[("REQ_HEADERS", &headers)]];
    for variables in known {
        let bench = Bench::new();
        let web = WebServer::start();
        let builder = bench.script("env; exit 3").env("SCRIPT_ENV", "all").env("REQ_URL", &web.url("/reload")).env("LOG_LEVEL", "trace");
        let projector = started(&variables.iter().fold(builder, |builder, (name, value)| builder.env(name, value)));
        bench.ended(&projector, 1);
        projector.assert_no_leak(&[CANARY]);
        assert!(projector.output().contains(WITHHELD), "{}", projector.output());
    }
}
