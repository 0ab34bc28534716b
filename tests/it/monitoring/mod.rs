//! The alert rules of `examples/monitoring` in Debian's Prometheus, which scrapes an instance for each fault and some that have none.
//!
//! `promtool` tests the rules with their real spans of time; here every span is divided by sixty, and the metrics are real.
//! Needs Prometheus: the stage `monitoring` of `.ci/run` installs it.

mod bench;
mod broken;
mod healthy;
mod hurried;
mod prometheus;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::monitoring::bench::Bench;
use crate::monitoring::broken::BROKEN;
use crate::monitoring::healthy::HEALTHY;
use crate::monitoring::prometheus::{Firing, Prometheus};
use crate::support::{free_port, wait_until};

/// A file of examples/monitoring.
fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{}/examples/monitoring/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn alerts(rules: &Value) -> BTreeSet<&str> {
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).map(|rule| rule["alert"].as_str().unwrap()).collect()
}

/// Ends all instances, also when the test fails.
struct End<'a>(&'a Bench);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What prometheus-operator has for the reloaders of others.
const SIDECAR_ERRORS: &str = r#"
groups:
- name: config-reloaders
  rules:
  - alert: ConfigReloaderSidecarErrors
    expr: max_over_time(reloader_last_reload_successful{namespace=~".+"}[5m]) == 0
    for: 10m
"#;

#[test]
#[ignore = "needs Prometheus: the stage monitoring of .ci/run"]
fn each_alert_fires_for_its_fault_and_for_nothing_else() {
    let (ours, others) = (hurried::rules(&shipped("alerts.yaml")), hurried::rules(SIDECAR_ERRORS));
    let expected: BTreeSet<Firing> =
        BROKEN.iter().flat_map(|broken| broken.alerts.iter().map(|alert| ((*alert).to_owned(), broken.name.to_owned()))).collect();
    let covered: BTreeSet<&str> = expected.iter().map(|(alert, _)| alert.as_str()).collect();
    assert_eq!(covered, &alerts(&ours) | &alerts(&others), "each alert has an instance that is broken for it");

    let instances: Vec<_> = BROKEN.iter().chain(HEALTHY).collect();
    let ports: Vec<_> = instances.iter().map(|instance| (instance.name, free_port())).collect();
    let rules = json!({"groups": [ours["groups"][0], others["groups"][0]]});
    let patience = hurried::patience(&rules).as_secs_f64();
    let bench = Bench::new(Prometheus::start(&rules, &ports));
    std::thread::scope(|scope| {
        let end = End(&bench);
        for (instance, (name, port)) in instances.iter().zip(&ports) {
            let stand = bench.stand(name, *port);
            std::thread::Builder::new().name((*name).to_owned()).spawn_scoped(scope, move || (instance.live)(&stand)).unwrap();
        }
        wait_until("every alert for its fault", prometheus::PATIENCE, || {
            std::thread::sleep(prometheus::LOOK);
            let fired = bench.prometheus.fired();
            let (left, settled) = (&expected - &fired, bench.settled());
            if left.is_empty() && settled == instances.len() { Ok(()) } else { Err((settled, bench.prometheus.about(left))) }
        });
        // Whatever was done to anybody is over by now: as long again as the slowest rule takes.
        let now = bench.prometheus.wait("vector(time())", |_| true);
        bench.prometheus.wait("vector(time())", |time| time > now + patience);
        let fired = bench.prometheus.fired();
        assert_eq!(fired, expected);
        dashboard(&bench.prometheus);
        println!(
            "monitoring: {} alerts fired {} times for {} broken instances, none of them for {} healthy ones",
            alerts(&rules).len(),
            fired.len(),
            BROKEN.len(),
            HEALTHY.len()
        );
        drop(end);
    });
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_the_manual_has() {
    let manual = std::fs::read_to_string(format!("{}/docs/metrics.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for name in ["alerts.yaml", "dashboard.json"] {
        let text = shipped(name);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics: BTreeSet<_> =
            words.filter(|word| ["projector_", "reloader_", "process_"].iter().any(|prefix| word.starts_with(prefix))).collect();
        assert!(metrics.len() > 10, "{name}: {metrics:?}");
        let missing: Vec<_> =
            metrics.iter().filter(|metric| !manual.contains(&format!("`{}`", metric.trim_end_matches("_bucket")))).collect();
        assert!(missing.is_empty(), "{name} asks for {missing:?}");
    }
}

/// Every expression of the dashboard finds something.
fn dashboard(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(&shipped("dashboard.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let mut empty = Vec::new();
    for target in targets.chain(annotations) {
        let expression =
            target["expr"].as_str().unwrap().replace("$__rate_interval", "1h").replace("$job", ".*").replace("$instance", ".*");
        if prometheus.ask(&expression).is_ok_and(|found| !found.is_empty()) {
            continue;
        }
        empty.push((expression.clone(), prometheus.ask(&expression)));
    }
    assert!(empty.is_empty(), "expressions that find nothing: {empty:#?}");
}
