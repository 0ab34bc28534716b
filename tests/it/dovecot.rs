//! PROFILE=dovecot-director, contract D1 to D8, and the settings behind it: when the command runs in pods because of other pods and of
//! Secrets. In-process only: on a server without nodes no command runs.
//!
//! Counts are exact: what happens last has a run of its own, and whatever belongs to earlier events has run by then.

mod beside;
mod broken;
mod example;
mod kept;
mod pods;
mod secrets;

use std::path::PathBuf;

use serde_json::Value;

use crate::common::{Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

/// What the log says when something happened that leads to a run.
const WORTH: &str = "worth telling of";
const TLS: &str = "kubernetes.io/tls";

/// A cluster with one director pod, and what the command wrote in it.
struct Bench {
    setup: Setup,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { setup: Setup::in_process() };
        bench.director("director-0");
        bench
    }

    fn cluster(&self) -> &Cluster {
        &self.setup.cluster
    }

    fn director(&self, name: &str) {
        self.cluster().pod(name).label("app", "director").container("one").container("two").ready(true).create();
    }

    /// A pod of Dovecot once it is created.
    fn dovecot(&self, name: &str) -> cluster::PodDraft<'_> {
        self.cluster().pod(name).label("app", "dovecot").container("imap").container("lmtp")
    }

    /// A Secret with a certificate.
    fn tls(&self, name: &str, certificate: &str) {
        self.cluster().secret(name, &[("tls.crt", certificate), ("tls.key", "canary")]).unlabelled().of_type(TLS).create();
    }

    /// Another certificate.
    fn renew(&self, name: &str, certificate: &str) {
        self.cluster().set_secret(name, &[("tls.crt", certificate), ("tls.key", "canary")]);
    }

    fn log_file(&self) -> PathBuf {
        self.setup.beside("log")
    }

    /// The variables of the Dovecot Director Controller alone, with a command that leaves a line, and no wait after Secrets.
    fn original(&self) -> Builder {
        let builder = Projector::builder().kubeconfig(&self.cluster().kubeconfig()).env("DOVECOT_NAMESPACE", self.cluster().namespace());
        let builder = builder.env("DOVECOT_LABELS", "app=dovecot").env("DOVECOT_DIRECTOR_LABELS", "app in (director)");
        let command = format!("echo \"$POD_NAME $(date +%s%3N)\" >> {}", self.log_file().display());
        builder.env("SYNC_FREQUENCY_DURATION", "0").env("EXEC_COMMAND", &command).env("LOG_LEVEL", "debug")
    }

    /// A projector that has its baseline.
    fn start(&self) -> Projector {
        started(&self.original())
    }

    /// Pods in which the command ran, and when, in milliseconds since 1970.
    fn runs(&self) -> Vec<(String, u128)> {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
        let run = |line: &str| line.split_once(' ').map(|(pod, time)| (pod.to_owned(), time.parse().unwrap()));
        whole.lines().filter_map(run).collect()
    }

    /// Waits until the command ran so often, and fails if it ran more often.
    fn ran(&self, times: usize) {
        wait_until(&format!("{times} runs"), DEADLINE, || if self.runs().len() >= times { Ok(()) } else { Err(self.runs()) });
        assert_eq!(self.runs().len(), times, "{:?}", self.runs());
    }

    /// Another pod becomes ready, and that is the last of so many runs. Nothing but it and these objects was worth telling of.
    fn marked(&self, projector: &Projector, times: usize, worth: &[&str]) {
        self.dovecot("marker").ready(true).create();
        self.ran(times);
        let namespace = self.cluster().namespace();
        let expected: Vec<String> =
            worth.iter().chain(&["Pod/marker"]).map(|object| object.replace('/', &format!("/{namespace}/"))).collect();
        assert_eq!(told(projector), expected);
    }
}

/// Objects that were worth telling of, in the order in which they were.
fn told(projector: &Projector) -> Vec<String> {
    let line = |line: &str| serde_json::from_str::<Value>(line).ok().filter(|line| line.to_string().contains(WORTH));
    let object = |line: Value| find(&line, "object").unwrap_or_default();
    projector.output().lines().filter_map(line).map(object).collect()
}

/// A field of a line of the log, wherever it is.
fn find(line: &Value, name: &str) -> Option<String> {
    match line.get(name) {
        Some(value) => value.as_str().map(str::to_owned),
        None => line.as_object()?.values().find_map(|value| find(value, name)),
    }
}

#[test]
fn the_variables_of_the_original_are_enough_and_one_that_is_missing_is_named() {
    let bench = Bench::new();
    let mut projector = bench.start();
    let rows: Vec<String> =
        projector.health().1["watches"].as_array().unwrap().iter().map(|row| format!("{} {}", row["kind"], row["namespace"])).collect();
    let namespace = bench.cluster().namespace();
    assert_eq!(rows, [format!("\"Pod\" \"{namespace}\""), format!("\"Secret\" \"{namespace}\"")]);
    assert_eq!(projector.terminate().code(), Some(0));
    for name in ["DOVECOT_NAMESPACE", "DOVECOT_LABELS", "DOVECOT_DIRECTOR_LABELS"] {
        let ended = bench.original().env(name, "").run();
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.starts_with(&format!("{name} is required: ")), "{ended:?}");
    }
}

#[test]
fn plan_and_check_know_that_nothing_is_projected() {
    let bench = Bench::new();
    let plan = bench.original().arg("plan").run();
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), "Nothing to do.\n"), "{plan:?}");
    let check = bench.original().arg("check").run();
    assert_eq!(check.code, Some(0), "{check:?}");
    for line in ["settings: nothing is projected", "may watch pods in", "may list secrets in"] {
        assert!(check.stdout.contains(line), "{line}: {check:?}");
    }
    assert!(!check.stdout.contains("FOLDER") && !check.stdout.contains("configmaps"), "{check:?}");
}
