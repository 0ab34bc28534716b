//! R14: who is told after a start, of what, and when: REQ_SKIP_INIT, REACT_ON_START, REACT_JITTER.
//!
//! Counts are exact: every change is told by itself (REACT_WINDOW=0), and the one made last is the last that is told.

use std::cell::Cell;

use crate::common::{Setup, count, started};
use crate::sidecar_hooks::{healthy, text};
use crate::support::projector::Builder;
use crate::support::*;

/// A folder and an application that is asked to reload.
struct Bench {
    setup: Setup,
    web: WebServer,
    markers: Cell<usize>,
}

impl Bench {
    fn new() -> Self {
        let web = WebServer::start();
        web.on("/reload", Answer::ok(""));
        Self { setup: Setup::new(), web, markers: Cell::new(0) }
    }

    /// With two objects, one of each kind.
    fn furnished() -> Self {
        let bench = Self::new();
        bench.setup.cluster.configmap("a", &[("a", "1")]).create();
        bench.setup.cluster.secret("s", &[("s", "1")]).create();
        bench
    }

    /// A launch that tells nobody.
    fn plain(&self) -> Builder {
        self.setup.projector().env("FINALIZERS", "false")
    }

    /// An init container: one list, and nobody there to be told.
    fn init(&self, profile: &str) {
        let finished = self.plain().env("PROFILE", profile).env("RESOURCE", "both").env("METHOD", "LIST").run();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }

    /// A sidecar that tells of every change by itself.
    fn sidecar(&self) -> Builder {
        self.plain().env("REQ_URL", &self.web.url("/reload")).env("REQ_METHOD", "POST").env("REACT_WINDOW", "0")
    }

    /// A change is made and told, and that is the last of so many requests.
    fn asked(&self, times: usize) {
        let name = format!("marker-{}", self.markers.replace(self.markers.get() + 1));
        self.setup.cluster.configmap(&name, &[(&name, "")]).create();
        assert_eq!(self.web.wait_for("/reload", times).len(), times);
    }
}

#[test]
fn r14_req_skip_init_tells_what_changed_since_an_init_container_finished() {
    type Change = fn(&Cluster);
    let changes: [(&str, Change); 3] = [
        ("an edit", |cluster| drop(cluster.set_data("a", &[("a", "2")]))),
        ("a new object", |cluster| drop(cluster.configmap("b", &[("b", "1")]).create())),
        ("a deletion", |cluster| cluster.delete("configmaps", "a")),
    ];
    for profile in ["default", "k8s-sidecar"] {
        for (what, change) in changes {
            let bench = Bench::furnished();
            bench.init(profile);
            change(&bench.setup.cluster);
            let _sidecar = healthy(&bench.sidecar().env("PROFILE", profile).env("RESOURCE", "both").env("REQ_SKIP_INIT", "true"));
            assert_eq!(bench.web.wait_for("/reload", 1).len(), 1, "{profile}: {what}");
            bench.asked(2);
        }
    }
}

#[test]
fn r14_a_pass_that_found_nothing_is_finished_too() {
    let bench = Bench::new();
    bench.init("default");
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let _sidecar = started(&bench.sidecar().env("REQ_SKIP_INIT", "true"));
    bench.web.wait_for("/reload", 1);
    bench.asked(2);
}

#[test]
fn r14_req_skip_init_skips_what_the_application_finds_at_its_start() {
    // With nothing before it, and with an init container since which nothing changed.
    for inits in [false, true] {
        let bench = Bench::furnished();
        if inits {
            bench.init("default");
        }
        let _sidecar = started(&bench.sidecar().env("REQ_SKIP_INIT", "true"));
        bench.asked(1);
    }
}

#[test]
fn r14_req_skip_init_tells_what_changed_while_the_sidecar_was_away() {
    let bench = Bench::furnished();
    let builder = bench.sidecar().env("REQ_SKIP_INIT", "true");
    let mut sidecar = started(&builder);
    assert_eq!(sidecar.terminate().code(), Some(0));
    bench.setup.cluster.set_data("a", &[("a", "2")]);
    let _sidecar = started(&builder);
    bench.web.wait_for("/reload", 1);
    bench.asked(2);
}

#[test]
fn r14_react_on_start_tells_once_whatever_changed() {
    for profile in ["default", "k8s-sidecar"] {
        for inits in [false, true] {
            let bench = Bench::furnished();
            if inits {
                bench.init(profile);
            }
            let builder = bench.sidecar().env("PROFILE", profile).env("RESOURCE", "both").env("REACT_ON_START", "true");
            let mut sidecar = healthy(&builder);
            bench.web.wait_for("/reload", 1);
            bench.asked(2);
            assert_eq!(sidecar.terminate().code(), Some(0));
            let _sidecar = healthy(&builder.env("REQ_SKIP_INIT", "true"));
            bench.web.wait_for("/reload", 3);
            bench.asked(4);
        }
    }
}

#[test]
fn r14_react_on_start_names_every_file_and_holds_for_one_list() {
    let bench = Bench::furnished();
    bench.init("default");
    let script = bench.setup.beside("record");
    let runs = bench.setup.beside("runs");
    let source = format!("#!/bin/sh\ncat \"$PROJECTOR_CHANGED\" >> {0}\necho . >> {0}\n", text(&runs));
    crate::sidecar_hooks::write_by_child(&script, &source, "755");
    let builder = bench.sidecar().env("METHOD", "LIST").env("REACT_ON_START", "true").env("PATH", "/usr/bin:/bin");
    let finished = builder.env("SCRIPT", &text(&script)).run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let folder = text(&bench.setup.folder());
    assert_eq!(std::fs::read_to_string(&runs).unwrap(), format!("{folder}/a\n{folder}/s\n.\n"));
    assert_eq!(bench.web.count("/reload"), 1);
}

#[test]
fn r14_react_jitter_delays_what_would_be_told_at_once() {
    let bench = Bench::furnished();
    // A day: that it is over within this test has a chance of one in thousands.
    let mut sidecar = started(&bench.sidecar().env("REACT_JITTER", "86400"));
    assert_eq!(sidecar.terminate().code(), Some(0), "{}", sidecar.output());
    assert_eq!((bench.web.count("/reload"), count(&sidecar.output(), "told the application")), (0, 0));
    // It stays owed.
    let _sidecar = started(&bench.sidecar());
    bench.web.wait_for("/reload", 1);
    bench.asked(2);
}

/// A former run has left something that its application was not told of.
fn owed(bench: &Bench, answer: Answer) {
    bench.web.on("/reload", answer);
    let mut former = started(&bench.sidecar());
    bench.web.wait_for("/reload", 1);
    wait_for("the failure to be noted", DEADLINE, || former.health().1["owed"][0]["attempts"].as_u64() >= Some(1));
    assert_eq!(former.terminate().code(), Some(0));
    bench.web.clear_requests();
    bench.web.on("/reload", Answer::ok(""));
}

#[test]
fn r14_what_a_former_run_owes_is_told_once_whatever_a_start_would_tell() {
    for vars in [&[("REQ_SKIP_INIT", "true")][..], &[("REACT_ON_START", "true")], &[("REACT_JITTER", "1")], &[]] {
        let bench = Bench::furnished();
        owed(&bench, Answer::status(404));
        let _sidecar = started(&vars.iter().fold(bench.sidecar(), |builder, (name, value)| builder.env(name, value)));
        bench.web.wait_for("/reload", 1);
        bench.asked(2);
    }
}

#[test]
fn r14_a_start_that_could_not_be_told_is_owed_like_a_change() {
    let bench = Bench::furnished();
    let credentials = bench.sidecar().env("REQ_USERNAME", "u").env("REQ_PASSWORD", "canary");
    let mut first = started(&credentials);
    bench.web.wait_for("/reload", 1);
    assert_eq!(first.terminate().code(), Some(0));
    bench.web.clear_requests();
    bench.web.on("/reload", Answer::status(401));
    // Nothing changes. Those who start again and again spare the credentials.
    for _ in 0..4 {
        let mut sidecar = started(&credentials.clone().env("REACT_ON_START", "true"));
        wait_for("the request to be owed", DEADLINE, || sidecar.health().1["owed"][0]["reaction"] == "request");
        assert_eq!(sidecar.terminate().code(), Some(0));
    }
    assert_eq!(bench.web.count("/reload"), 1);
    bench.web.clear_requests();
    bench.web.on("/reload", Answer::ok(""));
    // Other credentials, and nobody asks for it any more.
    let _sidecar = started(&credentials.env("REQ_PASSWORD", "other"));
    bench.web.wait_for("/reload", 1);
    bench.asked(2);
}
