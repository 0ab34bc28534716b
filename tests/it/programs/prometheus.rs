//! Prometheus: HUP, or a POST to /-/reload, which is answered when it has loaded its files or knows why it cannot.

use std::os::unix::fs::symlink;

use super::load::{Talk, http_version};
use super::place::Place;
use super::process::Daemon;
use super::{Files, Program, Told, many_edits};
use crate::support::projector::free_port;

struct Prometheus {
    port: u16,
    program: String,
    main: String,
    data: String,
}

impl Prometheus {
    fn new(place: &Place) -> Self {
        place.keep("prometheus.yml", "rule_files: [files/*.yaml]\n");
        // A name of its own, by which a signal finds no other test's.
        let program = place.shown("prometheus-under-test");
        symlink("/usr/bin/prometheus", &program).unwrap();
        Self { port: free_port(), program, main: place.shown("prometheus.yml"), data: place.shown("data") }
    }

    fn reload(&self) -> String {
        format!("http://127.0.0.1:{}/-/reload", self.port)
    }

    fn script(&self, place: &Place) -> String {
        place.script(&format!("promtool check config {}\ncurl --fail --silent --show-error --request POST {}", self.main, self.reload()))
    }

    fn rules(name: &str, expression: &str) -> Files {
        vec![("rules.yaml", format!("groups:\n- name: {name}\n  rules:\n  - alert: Down\n    expr: {expression}\n"))]
    }
}

impl Program for Prometheus {
    fn name(&self) -> &'static str {
        "Prometheus"
    }

    fn command(&self) -> Vec<String> {
        let (main, data) = (format!("--config.file={}", self.main), format!("--storage.tsdb.path={}", self.data));
        let address = format!("--web.listen-address=127.0.0.1:{}", self.port);
        [&self.program, &main, &data, &address, "--web.enable-lifecycle"].map(str::to_owned).to_vec()
    }

    fn files(&self, version: usize) -> Files {
        Self::rules(&format!("version-{version};"), "up == 0")
    }

    fn broken(&self) -> Files {
        Self::rules("broken", "up ==")
    }

    fn complaint(&self) -> Vec<String> {
        ["files/rules.yaml: 5:11", "could not parse expression", "unexpected end of input"].map(str::to_owned).to_vec()
    }

    fn version(&self) -> Result<usize, String> {
        http_version(self.port, "/api/v1/rules")
    }

    fn tell(&self, daemon: &Daemon) {
        let mut talk = Talk::open(self.port).unwrap();
        talk.say("POST /-/reload HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n").unwrap();
        let answer = talk.hear(None).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}\n{}", daemon.output());
    }
}

#[test]
#[ignore = "needs Prometheus: the stage programs of .ci/run"]
fn as_a_child() {
    let place = Place::new();
    Told::child(&Prometheus::new(&place), &place, &[]).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs Prometheus: the stage programs of .ci/run"]
fn by_a_signal() {
    let place = Place::new();
    let prometheus = Prometheus::new(&place);
    let settings = [("SIGNAL_PROCESS", &*prometheus.program)];
    Told::beside(&prometheus, &place, &settings).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs Prometheus: the stage programs of .ci/run"]
fn by_a_request() {
    let place = Place::new();
    let prometheus = Prometheus::new(&place);
    let url = prometheus.reload();
    let settings = [("REQ_URL", &*url), ("REQ_METHOD", "POST"), ("REQ_SKIP_INIT", "true"), ("REQ_RETRY_TOTAL", "1")];
    Told::beside(&prometheus, &place, &settings).lives_through_a_mistake(&["answered 500"]);
}

#[test]
#[ignore = "needs Prometheus: the stage programs of .ci/run"]
fn by_a_script() {
    let place = Place::new();
    let prometheus = Prometheus::new(&place);
    let script = prometheus.script(&place);
    Told::beside(&prometheus, &place, &[("SCRIPT", &script)]).lives_through_a_mistake(&[&script, "exit status: 1"]);
}

#[test]
#[ignore = "needs Prometheus: the stage programs of .ci/run"]
fn many_edits_by_a_request_cost_no_request() {
    let place = Place::new();
    let prometheus = Prometheus::new(&place);
    let url = prometheus.reload();
    let settings = [("REQ_URL", &*url), ("REQ_METHOD", "POST"), ("REQ_SKIP_INIT", "true")];
    many_edits(Told::beside(&prometheus, &place, &settings), "by a request");
}
