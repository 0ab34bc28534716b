//! Events on our own pod.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

/// Our pod, as our token names it.
const POD: &str = "projector-0";

/// A launch with the token of a pod.
fn in_pod(bench: &Bench, builder: Builder) -> Builder {
    let claims = json!({"kubernetes.io": {"namespace": bench.setup.cluster.namespace(), "pod": {"name": POD, "uid": "u-1"}}});
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    std::fs::write(bench.setup.beside("token"), &token).unwrap();
    bench.setup.cluster.server().set_tokens(&[&token, PROJECTOR_TOKEN]);
    let text = std::fs::read_to_string(bench.setup.cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = json!({"tokenFile": bench.setup.beside("token")});
    std::fs::write(bench.setup.beside("kubeconfig"), config.to_string()).unwrap();
    builder.kubeconfig(&bench.setup.beside("kubeconfig"))
}

/// Waits for an Event of this reason on our pod with this in its note.
fn told(bench: &Bench, reason: &str, note: &str) {
    wait_until(&format!("{reason} with {note:?}"), DEADLINE, || {
        let events = bench.setup.cluster.events_for(POD);
        let fits = |event: &&Value| event["reason"] == reason && event["note"].as_str().is_some_and(|text| text.contains(note));
        let found = events.iter().find(fits).map(|event| event["regarding"].clone());
        match found {
            Some(regarding) if regarding["uid"] == "u-1" && regarding["kind"] == "Pod" => Ok(()),
            _ => Err(events),
        }
    });
}

#[test]
fn r13_our_own_pod_has_an_event_for_each_kind_of_reaction_that_fails_and_that_works_again() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    cluster.pod("director").label("app", "director").ready(true).create();
    let web = WebServer::start();
    web.on("/reload", Answer::status(503).body("no"));
    let good = text(&bench.setup.beside("good"));
    let builder = bench.script("[ -e $D/good ] || { echo no; exit 3; }").env("REQ_URL", &web.url("/reload"));
    let builder = builder.env("REQ_RETRY_TOTAL", "1").env("REQ_RETRY_BACKOFF_FACTOR", "0.02").env("EXEC_RETRIES", "1");
    let builder = builder.env("EXEC_LABELS", "app=director").env("EXEC_NAMESPACE", cluster.namespace());
    let builder = builder.env("EXEC_COMMAND", &format!("[ -e {good} ]"));
    // A shell that has no handler for the signal cannot be told.
    let name = format!("projector-test-{}-{}", "told-by-event", std::process::id());
    let builder = builder.env("SIGNAL_PROCESS", &name).env("SIGNAL", "USR1");
    let builder = in_pod(&bench, builder).args(&["run", "--", "/bin/sh", "-c", "trap '' HUP; sleep 100 & wait"]);
    let _projector = started(&builder);
    bench.edit("2");
    told(&bench, "ReloadFailed", "script: ");
    told(&bench, "ReloadFailed", "exit status: 3, 3 bytes said: see the log");
    told(&bench, "ReloadFailed", "signal: ");
    told(&bench, "ReloadFailed", "request: ");
    told(&bench, "ReloadFailed", "exec: ");
    told(&bench, "ReloadFailed", "child: ");
    std::fs::write(bench.setup.beside("good"), "").unwrap();
    web.on("/reload", Answer::ok(""));
    bench.edit("3");
    for kind in ["script", "request", "exec"] {
        told(&bench, "ReloadSucceeded", &format!("{kind}: told the application"));
    }
}

#[test]
fn r13_failures_are_told_although_much_went_well_before() {
    let bench = Bench::new();
    let builder = bench.script("[ -e $D/good ]").env("REACT_WINDOW", "0");
    std::fs::write(bench.setup.beside("good"), "").unwrap();
    let projector = started(&in_pod(&bench, builder));
    for value in 0..30 {
        bench.edit(&format!("edit {value}"));
        bench.ended(&projector, value + 1);
    }
    std::fs::remove_file(bench.setup.beside("good")).unwrap();
    bench.edit("the last");
    told(&bench, "ReloadFailed", "exit status: 1");
}

#[test]
fn r13_a_failure_that_is_tried_again_and_again_is_one_event_for_each_reason_and_its_end_is_one() {
    let bench = Bench::new();
    let web = WebServer::start();
    let unwell = |body: &str| Answer::status(503).body(body);
    web.on_each("/reload", vec![unwell("1"), unwell("22"), unwell("333"), Answer::status(400).body("4"), unwell("5"), Answer::ok("")]);
    let builder = bench.plain().env("REQ_URL", &web.url("/reload")).env("REQ_RETRY_TOTAL", "1").env("REQ_RETRY_BACKOFF_FACTOR", "0");
    let projector = started(&in_pod(&bench, builder));
    web.wait_for("/reload", 4);
    // What ends a pause is a change.
    bench.edit("2");
    web.wait_for("/reload", 5);
    bench.edit("3");
    wait_until("the application was told", DEADLINE, || {
        let body = projector.health().1;
        if body["owed"].is_null() && web.count("/reload") == 6 { Ok(()) } else { Err(body) }
    });
    told(&bench, "ReloadSucceeded", "request: told the application");
    let events = bench.setup.cluster.events_for(POD);
    let written = |event: &Value| 1 + event["series"]["count"].as_u64().unwrap_or(1).saturating_sub(1);
    let count = |reason: &str| events.iter().filter(|event| event["reason"] == reason).map(written).sum::<u64>();
    assert_eq!((count("ReloadFailed"), count("ReloadSucceeded")), (2, 1), "{events:?}");
}
