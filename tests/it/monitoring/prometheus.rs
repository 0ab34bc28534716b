//! A Prometheus with hurried rules, and what it is asked.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::programs::place::Place;
use crate::programs::process::Daemon;
use crate::support::http::Client;
use crate::support::{DEADLINE, free_port, wait_until};

/// Half a minute of the rules: kube-prometheus scrapes that often.
const INTERVAL: &str = "500ms";
/// Between two questions of one who waits.
pub const LOOK: Duration = Duration::from_millis(100);
/// How long a test waits for what it has brought about: much longer than any rule does.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The program, and the folder that it lives in.
pub struct Prometheus {
    port: u16,
    daemon: Daemon,
    _place: Place,
}

/// An alert and the instance that it fires for.
pub type Firing = (String, String);

impl Prometheus {
    /// One that has these rules and scrapes these instances at their ports.
    pub fn start(rules: &Value, instances: &[(&str, u16)]) -> Self {
        let (place, port) = (Place::new(), free_port());
        place.keep("rules.yaml", &rules.to_string());
        place.keep("prometheus.yml", &configuration(instances));
        let (main, data) =
            (format!("--config.file={}", place.shown("prometheus.yml")), format!("--storage.tsdb.path={}", place.shown("data")));
        let address = format!("--web.listen-address=127.0.0.1:{port}");
        let daemon = Daemon::start(&["prometheus".to_owned(), main, data, address], &place);
        let prometheus = Self { port, daemon, _place: place };
        wait_until("Prometheus", DEADLINE, || prometheus.ask("vector(1)").map_err(|error| (error, prometheus.daemon.output())));
        prometheus
    }

    /// The result of an instant query.
    pub fn ask(&self, query: &str) -> Result<Vec<Value>, String> {
        let path = format!("/api/v1/query?query={}", utf8_percent_encode(query, NON_ALPHANUMERIC));
        let answer = Client::http("127.0.0.1", self.port).try_send("GET", &path, &[], &[]).map_err(|error| error.to_string())?;
        // An error of an expression is told in JSON, too.
        let body = if answer.status == 503 { Value::Null } else { answer.json() };
        match &body["data"]["result"] {
            Value::Array(result) if body["status"] == "success" => Ok(result.clone()),
            _ => Err(format!("{query}: {} {body}", answer.status)),
        }
    }

    /// The sum of what a query finds; nothing where it finds nothing.
    pub fn value(&self, query: &str) -> Option<f64> {
        let result = self.ask(&format!("sum({query})")).unwrap_or_else(|error| panic!("{error}\n{}", self.daemon.output()));
        result.first().map(|sample| sample["value"][1].as_str().unwrap().parse().unwrap())
    }

    /// Waits until what Prometheus knows is so, by looking about as often as it does.
    pub fn wait(&self, query: &str, is_so: impl Fn(f64) -> bool) -> f64 {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.value(query);
            match value {
                Some(value) if is_so(value) => return value,
                _ => assert!(Instant::now() < end, "waited {PATIENCE:?} for {query}; last: {value:?}"),
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What is known of instances that should have fired, for people: how far each of their series came.
    pub fn about(&self, firing: BTreeSet<Firing>) -> Vec<(Firing, Vec<String>)> {
        let line = |sample: Value| format!("{} {}", sample["metric"], sample["value"][1]);
        let series =
            |instance: &str| self.ask(&format!("last_over_time({{instance=\"{instance}\", __name__=~\"projector_.*|ALERTS\"}}[1h]) > 0"));
        let about = |firing: Firing| {
            let series = series(&firing.1).map_or_else(|error| vec![error], |found| found.into_iter().map(line).collect());
            (firing, series)
        };
        firing.into_iter().map(about).collect()
    }

    /// Every alert that ever fired.
    pub fn fired(&self) -> BTreeSet<Firing> {
        let query = r#"max by (alertname, instance) (max_over_time(ALERTS{alertstate="firing"}[1h]))"#;
        let word = |sample: &Value, label: &str| sample["metric"][label].as_str().unwrap_or_default().to_owned();
        let result = self.ask(query).unwrap_or_else(|error| panic!("{error}\n{}", self.daemon.output()));
        result.iter().map(|sample| (word(sample, "alertname"), word(sample, "instance"))).collect()
    }
}

fn configuration(instances: &[(&str, u16)]) -> String {
    let mut text = format!(
        "global: {{scrape_interval: {INTERVAL}, scrape_timeout: {INTERVAL}, evaluation_interval: {INTERVAL}}}\nrule_files: [rules.yaml]\n\
         scrape_configs:\n- job_name: kube-projector\n  static_configs:\n"
    );
    for (name, port) in instances {
        writeln!(text, "  - {{targets: ['127.0.0.1:{port}'], labels: {{instance: {name}, namespace: monitoring}}}}").unwrap();
    }
    text
}
