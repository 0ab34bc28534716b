//! Queue, names and notes, and the writer against a scripted server.

use serde_json::Value;
use tokio::time::timeout;

use super::*;
use crate::api::stub::{Answer, Asked, Stub, server};
use crate::core::object::Kind;
use crate::report::reason::{FILES_REMOVED, FILES_WRITTEN};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::Secret, "n", name)
}

fn report(name: &str, reason: &'static Reason, note: &str) -> EventReport {
    EventReport::new(key(name), "bd24ad0f-0a3e-4a5d-9c3e-5b6c1d1f2a3b", reason, note.to_owned())
}

/// Sends the reports one after the other, each after the one before was dealt with.
async fn written(stub: &Stub, reports: &[EventReport]) -> (Vec<Asked>, u64) {
    let (events, mut writer) = writer(stub.api.clone(), "pod-1".to_owned());
    for report in reports {
        events.send(report.clone());
        writer.drain(Duration::from_secs(20)).await;
    }
    (stub.asked(), events.dropped())
}

#[tokio::test]
async fn full_queue_drops_the_oldest_and_counts_it() {
    let stub = server(|_: &Asked| Answer::json(201, &json!({}))).await;
    let (events, _writer) = writer(stub.api.clone(), "i".to_owned());
    for number in 0..QUEUE_MAX + 3 {
        events.send(report(&number.to_string(), &FILES_WRITTEN, "x"));
    }
    assert_eq!(events.dropped(), 3);
    let state = events.0.lock();
    assert_eq!((state.reports.len(), &*state.reports[0].key.name), (QUEUE_MAX, "3"));
}

#[tokio::test]
async fn waiting_reports_of_one_object_and_reason_are_one() {
    let stub = server(|_: &Asked| Answer::json(201, &json!({}))).await;
    let (events, _writer) = writer(stub.api.clone(), "i".to_owned());
    let long = "y".repeat(1020);
    for (note, expected) in [("one", "one"), ("two", "one; two"), ("two", "one; two"), (long.as_str(), long.as_str())] {
        events.send(report("a", &FILES_WRITTEN, note));
        assert_eq!(events.0.lock().reports[0].note, expected);
    }
    events.send(report("a", &FILES_REMOVED, "x"));
    assert_eq!(events.0.lock().reports.len(), 2);
}

#[test]
fn note_is_cut_between_characters() {
    let note = format!("x{}", "ä".repeat(600));
    let report = report("a", &FILES_WRITTEN, &note);
    assert_eq!(report.note.len(), 1023);
    assert!(note.starts_with(&report.note));
}

#[test]
fn names_fit_objects_of_any_length() {
    assert_eq!(name("a", 0xab), "a.00000000000000ab");
    assert_eq!(name(&"a".repeat(236), 1).len(), 253);
    assert_eq!(name(&"a".repeat(237), 1), "kube-projector.0000000000000001");
    assert_eq!(name(&"a".repeat(253), 1), "kube-projector.0000000000000001");
}

#[test]
fn instance_is_never_empty_or_too_long() {
    for (hostname, expected) in [("pod-1\n", "pod-1"), ("", "kube-projector"), (" \u{1}", "kube-projector")] {
        assert_eq!(instance_name(hostname), expected);
    }
    assert_eq!(instance_name(&"h".repeat(300)).len(), INSTANCE_BYTES_MAX);
}

#[tokio::test]
async fn repeated_event_is_counted_up_and_another_note_is_new() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({}))).await;
    let reports = [
        report("a", &FILES_WRITTEN, "x"),
        report("a", &FILES_WRITTEN, "x"),
        report("a", &FILES_WRITTEN, "x"),
        report("a", &FILES_WRITTEN, "y"),
    ];
    let (asked, dropped) = written(&stub, &reports).await;
    let methods: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!((methods.as_slice(), dropped), (["POST", "PATCH", "PATCH", "POST"].as_slice(), 0));
    let event: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    let name = event["metadata"]["name"].as_str().expect("a name");
    assert_eq!(asked[1].path, format!("/apis/events.k8s.io/v1/namespaces/n/events/{name}?&fieldManager=kube-projector"));
    let counts: Vec<Value> =
        asked[1..3].iter().map(|asked| serde_json::from_str::<Value>(&asked.body).expect("JSON")["series"]["count"].clone()).collect();
    assert_eq!(counts, [2, 3]);
}

#[tokio::test]
async fn expired_series_becomes_a_new_event() {
    let stub = server(|asked: &Asked| Answer::json(if asked.method == "PATCH" { 404 } else { 201 }, &json!({}))).await;
    let (asked, dropped) = written(&stub, &[report("a", &FILES_WRITTEN, "x"), report("a", &FILES_WRITTEN, "x")]).await;
    let methods: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!((methods.as_slice(), dropped), (["POST", "PATCH", "POST"].as_slice(), 0));
}

#[tokio::test]
async fn refused_event_silences_the_namespace() {
    let stub = server(|_: &Asked| Answer::json(403, &json!({"reason": "Forbidden"}))).await;
    let reports: Vec<EventReport> = (0..20).map(|number| report(&number.to_string(), &FILES_WRITTEN, "x")).collect();
    let (asked, dropped) = written(&stub, &reports).await;
    assert_eq!((asked.len(), dropped), (1, 20));
}

#[tokio::test]
async fn one_object_cannot_flood() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({}))).await;
    let reports: Vec<EventReport> = (0..40).map(|number| report("a", &FILES_WRITTEN, &number.to_string())).collect();
    let (asked, dropped) = written(&stub, &reports).await;
    assert_eq!((asked.len(), dropped), (25, 15));
}

#[tokio::test]
async fn outage_is_retried_and_refusal_of_a_namespace_that_ends_is_not() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let stub = server(move |_: &Asked| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer::json(503, &json!({})).with("retry-after", "0"),
        1 => Answer::json(201, &json!({})),
        _ => Answer::json(403, &json!({"reason": "Forbidden", "details": {"causes": [{"reason": "NamespaceTerminating"}]}})),
    })
    .await;
    let (events, mut writer) = writer(stub.api.clone(), "i".to_owned());
    events.send(report("a", &FILES_WRITTEN, "x"));
    events.send(report("b", &FILES_WRITTEN, "x"));
    let done = async {
        while stub.asked().len() < 3 || events.dropped() < 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = writer.run() => panic!("the writer never ends"),
        done = timeout(Duration::from_secs(20), done) => done.expect("waited for three requests and one drop"),
    }
    assert!(writer.muted.is_empty());
}

#[tokio::test]
async fn s15_a_refusal_is_forgotten_though_no_event_follows() {
    let stub = server(|_: &Asked| Answer::json(403, &json!({}))).await;
    let (events, mut writer) = writer(stub.api.clone(), "i".to_owned());
    events.send(report("a", &FILES_WRITTEN, "x"));
    writer.drain(Duration::from_secs(20)).await;
    assert!(!writer.muted.is_empty());
    tokio::time::pause();
    let _ = timeout(crate::report::refusals::LEFT_ALONE * 4, writer.run()).await;
    assert!(writer.muted.is_empty());
}
