//! ON_RELOAD_FAILURE: what health says while the application cannot be told. The files follow all the same.

use serde_json::Value;

use super::*;

/// A reload that always fails, then works again: what `/healthz` and `/readyz` answer meanwhile.
fn a_reload_that_fails(policy: &str, alive: u16, ready: u16) {
    let bench = Bench::new();
    let web = WebServer::start();
    web.on("/reload", Answer::status(503));
    let builder = bench.setup.projector().env("REQ_URL", &web.url("/reload")).env("REQ_SKIP_INIT", "true");
    let builder = builder.env("REQ_RETRY_TOTAL", "1").env("REQ_RETRY_BACKOFF_FACTOR", "0").env("ON_RELOAD_FAILURE", policy);
    let mut projector = builder.start();
    projector.wait_ready();
    for value in ["2", "3"] {
        bench.set(value);
        bench.setup.holds(&tree! { "a" => value });
        wait_until("the failure in health", DEADLINE, || {
            let ((healthz, body), (readyz, also)) = (projector.health(), projector.ready());
            let why = body["reload_failure"].as_str().unwrap_or_default().to_owned();
            let is_told = why.starts_with("request: ") && why.contains("503") && also["reload_failure"] == why;
            if is_told && (healthz, readyz) == (alive, ready) { Ok(()) } else { Err((healthz, readyz, body)) }
        });
    }
    web.on("/reload", Answer::ok(""));
    bench.set("4");
    bench.setup.holds(&tree! { "a" => "4" });
    wait_until("the end of the failure", DEADLINE, || {
        let ((healthz, body), (readyz, _)) = (projector.health(), projector.ready());
        let over = (healthz, readyz) == (200, 200) && body["reload_failure"] == Value::Null;
        if over { Ok(()) } else { Err((healthz, readyz, body)) }
    });
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn by_default_a_failed_reload_is_only_reported() {
    a_reload_that_fails("", 200, 200);
}

#[test]
fn a_failed_reload_makes_unready_if_that_was_asked_for() {
    a_reload_that_fails("unready", 200, 503);
}

#[test]
fn a_failed_reload_makes_unhealthy_if_that_was_asked_for() {
    a_reload_that_fails("unhealthy", 503, 200);
}
