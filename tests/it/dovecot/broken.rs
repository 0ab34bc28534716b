//! Watches that break, and rights that are missing.

use serde_json::Value;

use super::Bench;
use crate::common::started;
use crate::support::*;

/// What the pods' watch does, according to the health endpoint.
fn state(projector: &Projector) -> Value {
    projector.health().1["watches"][0]["state"].clone()
}

#[test]
fn what_happens_while_a_watch_is_broken_is_not_lost_and_not_told_twice() {
    let bench = Bench::new();
    bench.dovecot("dovecot-0").ready(false).create();
    bench.dovecot("dovecot-1").ready(true).create();
    bench.tls("tls", "1");
    let projector = bench.start();
    let server = bench.cluster().server();
    let fault = server.fault(Matcher::reads(""), Times::Always, Fault::status(503));
    server.drop_connections();
    wait_for("the outage to be noticed", DEADLINE, || server.hits(fault) > 1);
    bench.cluster().set_ready("dovecot-0", true);
    // Those who come back list again.
    server.compact();
    server.clear(fault);
    bench.ran(1);
    projector.wait_output("\"told the application\"");
    bench.marked(&projector, 2, &["Pod/dovecot-0"]);
}

#[test]
fn without_the_right_to_watch_pods_that_is_said_secrets_go_on_and_it_recovers() {
    let bench = Bench::new();
    let secrets: (&str, &str, &[&str]) = ("", "secrets", &["list", "watch"]);
    let exec: (&str, &str, &[&str]) = ("", "pods/exec", &["get", "create"]);
    let account = bench.cluster().restricted(&[secrets, exec, ("", "pods", &["list"])]);
    let projector = started(&bench.original().kubeconfig(&account.kubeconfig));
    projector.wait_output("/pods: answered 403 Forbidden");
    wait_for("the refusal in the answer of the health endpoint", DEADLINE, || state(&projector) == "refused");
    bench.tls("tls", "1");
    bench.ran(1);
    projector.wait_output("\"told the application\"");
    bench.cluster().grant(&account, &[secrets, exec, ("", "pods", &["list", "watch"])]);
    wait_for("the watch of pods", DEADLINE, || state(&projector) == "watching");
    bench.marked(&projector, 2, &["Secret/tls"]);
    assert_eq!(projector.health().0, 200);
}
