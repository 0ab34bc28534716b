//! The writer against a scripted server: what it asks, how often, and what it leaves alone.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::api::failure::Failure;
use crate::api::stub::{Answer, Asked, Stub, server};

const OURS: &str = "kube-projector.dev/x";

fn ours() -> Finalizers {
    Finalizers { name: OURS.to_owned(), former: Vec::new() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, "n", name)
}

fn guard(name: &str) -> (ObjectKey, FinalizerTask) {
    (key(name), FinalizerTask::new(FinalizerVerb::Guard, 0, Vec::new()))
}

fn release(name: &str, terminating: bool) -> (ObjectKey, FinalizerTask) {
    (key(name), FinalizerTask::release(0, vec![OURS.to_owned()], terminating))
}

/// Runs the writer until the server was asked `count` times and every answer was dealt with.
async fn run_until(writer: &mut FinalizerWriter, stub: &Stub, count: usize) {
    let asked = async {
        while stub.asked().len() < count {
            let turn = timeout(Duration::from_millis(5), writer.run()).await;
            assert!(turn.is_err(), "the writer never ends");
        }
        while !writer.busy.is_empty() {
            let turn = timeout(Duration::from_millis(5), writer.run()).await;
            assert!(turn.is_err(), "the writer never ends");
        }
    };
    timeout(Duration::from_secs(20), asked).await.unwrap_or_else(|_| panic!("waited for {count} requests, saw {:?}", stub.asked()));
}

/// The warnings that this thread logs until the guard is dropped.
fn warnings() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    crate::web::stub::log_by_thread();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Sink(Arc::clone(&lines));
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false).with_writer(move || sink.clone()).finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn latest_wish_of_an_object_counts() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({}))).await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    tasks.send(guard("a"));
    tasks.send((key("a"), FinalizerTask::release(0, Vec::new(), false)));
    tasks.send(guard("b"));
    assert_eq!(tasks.len(), 2);
    run_until(&mut writer, &stub, 1).await;
    let paths: Vec<String> = stub.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/api/v1/namespaces/n/configmaps/b?&fieldManager=kube-projector"]);
}

#[tokio::test]
async fn refused_patch_warns_once_names_the_verb_and_leaves_the_namespace_alone() {
    let (lines, _guard) = warnings();
    let stub = server(|_: &Asked| Answer::json(403, &json!({"reason": "Forbidden"}))).await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    for number in 0..50 {
        tasks.send(guard(&number.to_string()));
    }
    run_until(&mut writer, &stub, 1).await;
    tasks.send(guard("later"));
    let _ = timeout(Duration::from_millis(50), writer.run()).await;
    assert!(stub.asked().len() <= CONCURRENCY, "{}", stub.asked().len());
    assert_eq!((tasks.len(), writer.later.iter().count()), (0, 51));
    let text = String::from_utf8(lines.lock().expect("no panic").clone()).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("verb=\"patch\"") && text.contains("resource=\"configmaps\""), "{text}");
}

#[tokio::test]
async fn refused_objects_are_tried_again_after_five_minutes() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({}))).await;
    let (_, mut writer) = writer(stub.api.clone(), ours(), None);
    let now = Instant::now();
    writer.forbidden.note((Kind::ConfigMap, "n".into()), now);
    writer.inbox.send(guard("a"));
    assert_eq!(writer.launch(now), Some(now + LEFT_ALONE));
    assert_eq!(writer.busy.len(), 0);
    writer.launch(now + LEFT_ALONE);
    assert_eq!(writer.busy.len(), 1);
}

#[tokio::test]
async fn outage_is_waited_out_and_the_wish_kept() {
    let count = AtomicUsize::new(0);
    let stub = server(move |_: &Asked| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::json(503, &json!({})).with("retry-after", "0"),
        1 => Answer::json(429, &json!({})).with("retry-after", "0"),
        _ => Answer::json(200, &json!({})),
    })
    .await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    tasks.send(guard("a"));
    run_until(&mut writer, &stub, 3).await;
    assert_eq!((tasks.len(), writer.outages), (0, 0));
}

#[tokio::test]
async fn wish_during_a_patch_of_the_same_object_follows_it() {
    let (sender, count) = (Arc::new(OnceLock::<FinalizerSender>::new()), AtomicUsize::new(0));
    let tasks_inside = Arc::clone(&sender);
    let stub = server(move |_: &Asked| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            tasks_inside.get().expect("set before").send(release("a", false));
        }
        Answer::json(200, &json!({}))
    })
    .await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    assert!(sender.set(tasks.clone()).is_ok());
    tasks.send(guard("a"));
    run_until(&mut writer, &stub, 2).await;
    let bodies: Vec<String> = stub.asked().into_iter().map(|asked| asked.body).collect();
    assert!(bodies[0].contains(r#""op":"add""#) && bodies[1].contains(r#""op":"remove""#), "{bodies:?}");
}

#[tokio::test]
async fn drain_begins_with_terminating_objects() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({}))).await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    for number in 0..64 {
        tasks.send(release(&format!("left-{number}"), false));
    }
    tasks.send(guard("guarded"));
    let (dying, task) = release("dying", true);
    writer.later.set(dying, Instant::now() + LEFT_ALONE, task);
    let order: Vec<ObjectKey> = writer.leftovers().into_iter().map(|(key, _)| key).collect();
    assert_eq!((order.len(), &order[0]), (65, &key("dying")));
}

#[tokio::test]
async fn drain_releases_everything_guards_nobody_and_reports_it() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({}))).await;
    let (events, mut event_writer) = crate::report::events::writer(stub.api.clone(), "i".to_owned());
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), Some(events));
    tasks.send(guard("guarded"));
    for number in 0..20 {
        tasks.send(release(&number.to_string(), false));
    }
    assert_eq!(writer.drain(Duration::from_secs(20)).await, 0);
    assert_eq!(stub.asked().iter().filter(|asked| asked.body.contains(r#""op":"remove""#)).count(), 20);
    assert_eq!(stub.asked().len(), 20);
    event_writer.drain(Duration::from_secs(20)).await;
    assert_eq!(stub.asked().iter().filter(|asked| asked.body.contains("FinalizerReleased")).count(), 20);
}

#[tokio::test]
async fn drain_without_a_server_gives_up_at_once() {
    let stub = server(|_: &Asked| Answer::json(503, &json!({}))).await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    tasks.send(release("dying", true));
    assert_eq!(writer.drain(Duration::from_secs(20)).await, 0);
    assert_eq!(stub.asked().len(), 1);
}

fn elsewhere(number: usize) -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, format!("short-lived-{number}"), "a")
}

#[tokio::test]
async fn s15_nothing_is_left_of_refusals_in_namespaces_that_are_gone() {
    let stub = server(|_: &Asked| Answer::json(403, &json!({"reason": "Forbidden"}))).await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    for number in 0..200 {
        tasks.send((elsewhere(number), FinalizerTask::new(FinalizerVerb::Guard, 1, Vec::new())));
    }
    run_until(&mut writer, &stub, 200).await;
    for number in 0..200 {
        tasks.send((elsewhere(number), FinalizerTask::new(FinalizerVerb::Forget, 1, Vec::new())));
    }
    let now = Instant::now();
    assert!(writer.launch(now).is_some(), "it looks again by itself");
    assert!(writer.later.is_empty() && tasks.len() == 0, "nobody asks for what is gone");
    assert_eq!(writer.launch(now + LEFT_ALONE * 2), None);
    assert!(writer.forbidden.is_empty() && writer.busy.is_empty(), "nor is it known for ever who refused");
    assert_eq!(stub.asked().len(), 200);
}

/// Requests for an object that is guarded, and of which it is told during the patch that it is gone; the guard is answered so.
async fn gone_while_guarded(code: u16) -> Vec<String> {
    let (sender, count) = (Arc::new(OnceLock::<FinalizerSender>::new()), AtomicUsize::new(0));
    let tasks_inside = Arc::clone(&sender);
    let stub = server(move |_: &Asked| {
        if count.fetch_add(1, Ordering::Relaxed) > 0 {
            return Answer::json(200, &json!({}));
        }
        tasks_inside.get().expect("set before").send((key("a"), FinalizerTask::new(FinalizerVerb::Forget, 0, Vec::new())));
        Answer::json(code, &json!({}))
    })
    .await;
    let (tasks, mut writer) = writer(stub.api.clone(), ours(), None);
    assert!(sender.set(tasks.clone()).is_ok());
    tasks.send(guard("a"));
    run_until(&mut writer, &stub, 1).await;
    let _ = timeout(Duration::from_millis(50), writer.run()).await;
    assert!(writer.later.is_empty() && tasks.len() == 0 && writer.blocked.is_empty());
    stub.asked().into_iter().map(|asked| asked.body).collect()
}

#[tokio::test]
async fn s15_an_object_that_leaves_while_it_is_guarded_is_let_go() {
    let bodies = gone_while_guarded(200).await;
    assert!(bodies.len() == 2 && bodies[1].contains(r#""op":"remove""#), "{bodies:?}");
    for code in [403, 404] {
        let bodies = gone_while_guarded(code).await;
        assert_eq!(bodies.len(), 1, "{code}: {bodies:?}");
    }
}

#[tokio::test]
async fn what_failed_in_an_outage_goes_on_when_that_is_over_for_anybody() {
    let (_, mut writer) = writer(server(|_: &Asked| Answer::json(200, &json!({}))).await.api.clone(), ours(), None);
    let now = Instant::now();
    for (name, pause) in [("a", 60), ("b", 1)] {
        let (key, task) = guard(name);
        let failure =
            Failure::Status { code: 503, reason: String::new(), retry_after: Some(Duration::from_secs(pause)), message: "patching".into() };
        writer.finish(Done { key, task, result: Err(Setback { verb: "patch", failure }) }, now);
    }
    assert_eq!(writer.launch(now), Some(now + Duration::from_secs(1)), "nobody is asked before");
    writer.launch(now + Duration::from_secs(1));
    assert_eq!(writer.busy.len(), 2, "a goes on with b, though it was told to wait for longer");
}
