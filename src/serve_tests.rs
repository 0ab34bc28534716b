//! The endpoints over real sockets on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{LogFormat, LogLevel};
use crate::core::policy::OnReloadFailure;
use crate::health::{Readiness, WatchName};
use crate::telemetry::tests::captured;

use super::*;

const OWN: Manner = Manner { answers: Answers::Detailed, wording: Wording::Own };

/// Serves `health` on a free port.
async fn served(health: &Health) -> SocketAddr {
    served_as(Answers::Detailed, health).await
}

async fn served_as(answers: Answers, health: &Health) -> SocketAddr {
    let listener = bind(Address { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0 }).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_on(listener, answers, endpoints(health)));
    address
}

fn endpoints(health: &Health) -> Endpoints {
    Endpoints { health: health.clone(), metrics: Metrics::on() }
}

/// Status and body of the answer.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let (head, body) = exchange(address, method, path).await;
    (head[9..12].parse().unwrap(), body)
}

/// Head and body of the answer.
async fn exchange(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    exchange_with(address, method, path, "").await
}

/// The same with more lines of headers.
async fn exchange_with(address: SocketAddr, method: &str, path: &str, more: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.expect("the answer ends").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn paths_and_methods_are_answered_as_promised() {
    let health = Health::new(None);
    let address = served(&health).await;
    assert_eq!(ask(address, "GET", "/healthz").await.0, 200);
    assert_eq!(ask(address, "HEAD", "/healthz").await, (200, String::new()));
    assert_eq!(ask(address, "GET", "/readyz").await.0, 503);
    assert_eq!(ask(address, "GET", "/").await.0, 404);
    assert_eq!(ask(address, "POST", "/healthz").await.0, 405);
    health.set_readiness(Readiness::Ready);
    let (status, body) = ask(address, "GET", "/readyz").await;
    assert_eq!((status, body), (200, serde_json::to_string(&health.report()).unwrap()));
}

#[tokio::test]
async fn a_loop_that_hangs_is_503_with_its_name() {
    let health = Health::new(None);
    let address = served(&health).await;
    health.looped("engine").expect_within(Duration::ZERO);
    let (status, body) = ask(address, "GET", "/healthz").await;
    assert_eq!(status, 503);
    assert!(body.contains("loop engine does not advance"), "{body}");
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_probes_out() {
    let address = served(&Health::new(None)).await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // They are cut after their lifetime, which lets this one in.
    assert_eq!(ask(address, "GET", "/healthz").await.0, 200);
    let mut byte = [0];
    let read = timeout(Duration::from_secs(10), silent[0].read(&mut byte)).await.expect("the silent connection is cut");
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn without_a_host_both_protocols_are_served() {
    let listener = bind(Address { host: None, port: 0 }).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve_on(listener, Answers::Detailed, endpoints(&Health::new(None))));
    assert_eq!(ask((Ipv4Addr::LOCALHOST, port).into(), "GET", "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_and_served_once_it_is_free() {
    let taken = bind(Address { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0 }).await.unwrap();
    let address = taken.local_addr().unwrap();
    let wanted = Address { host: Some(address.ip()), port: address.port() };
    assert_eq!(bind(wanted).await.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    drop(taken);
    let serving = tokio::spawn(serve(wanted, OWN, endpoints(&Health::new(None))));
    let connected = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), connected).await.expect("the port is served");
    assert_eq!(ask(address, "GET", "/healthz").await.0, 200);
    // An open connection does not hold up the end.
    let _open = TcpStream::connect(address).await.unwrap();
    serving.abort();
    timeout(Duration::from_secs(10), serving).await.expect("serving ends").unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_taken_port_is_tried_again() {
    let taken = bind(Address { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0 }).await.unwrap();
    let address = taken.local_addr().unwrap();
    let wanted = Address { host: Some(address.ip()), port: address.port() };
    let waiting = tokio::spawn(bind_at_last(wanted, Wording::Own));
    tokio::time::sleep(RETRY * 3).await;
    assert!(!waiting.is_finished());
    drop(taken);
    tokio::time::sleep(RETRY * 2).await;
    assert_eq!(waiting.await.unwrap().local_addr().unwrap(), address);
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test]
async fn plain_answers_are_the_texts_of_the_sidecar() {
    let health = Health::new(Some(Duration::from_secs(60)));
    let address = served_as(Answers::Plain, &health).await;
    let engine = health.looped("engine");
    assert_eq!(ask(address, "GET", "/healthz").await, answer(503, "NOT READY"));
    health.set_readiness(Readiness::Ready);
    let (head, body) = exchange(address, "GET", "/healthz").await;
    assert_eq!(body, "OK");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/plain; charset=utf-8"), "{head}");
    engine.expect_within(Duration::ZERO);
    assert_eq!(ask(address, "GET", "/healthz").await, answer(503, "NOT LIVE (watcher thread died)"));
    engine.waiting();
    assert_eq!(ask(address, "GET", "/healthz").await, answer(200, "OK"));
}

#[tokio::test]
async fn a_watch_without_contact_is_told_as_lost() {
    let health = Health::new(Some(Duration::ZERO));
    let address = served_as(Answers::Plain, &health).await;
    health.set_readiness(Readiness::Ready);
    let watch = health.watch(WatchName { kind: None, namespace: None, name: None });
    watch.contacted();
    assert_eq!(ask(address, "GET", "/healthz").await, answer(503, "NOT LIVE (K8s contact lost)"));
    watch.expect_within(Duration::ZERO);
    assert_eq!(ask(address, "GET", "/healthz").await, answer(503, "NOT LIVE (watcher thread died)"));
}

#[tokio::test]
async fn a_failed_reload_that_makes_unhealthy_is_told_with_its_reason() {
    let health = Health::new(None);
    let address = served_as(Answers::Plain, &health).await;
    health.set_readiness(Readiness::Ready);
    health.set_reload_failure(Some("script: exit status: 3".into()));
    for (policy, expected) in [
        (OnReloadFailure::Report, answer(200, "OK")),
        (OnReloadFailure::Unready, answer(200, "OK")),
        (OnReloadFailure::Unhealthy, answer(503, "NOT LIVE (reload failed: script: exit status: 3)")),
    ] {
        health.set_on_reload_failure(policy);
        assert_eq!(ask(address, "GET", "/healthz").await, expected, "{policy:?}");
    }
}

#[tokio::test]
async fn plain_paths_and_methods_are_those_of_the_sidecar() {
    let health = Health::new(None);
    let address = served_as(Answers::Plain, &health).await;
    health.set_readiness(Readiness::Ready);
    for path in ["/healthz?", "/healthz?a=b", "/healthz/", "/", "/health"] {
        assert_eq!(ask(address, "GET", path).await, answer(404, "Not Found"), "{path}");
    }
    assert_eq!(ask(address, "HEAD", "/healthz").await, answer(501, ""));
    assert_eq!(ask(address, "POST", "/healthz").await.0, 501);
    assert_eq!(ask(address, "GET", "/readyz").await, (200, serde_json::to_string(&health.report()).unwrap()));
}

#[test]
fn the_start_is_told_in_the_words_of_the_sidecar() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let free = Address { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0 };
    let mut port = 0;
    let log = captured(LogLevel::Info, LogFormat::Logfmt, || {
        let listener = runtime.block_on(bind_at_last(free, Wording::Sidecar));
        port = listener.local_addr().unwrap().port();
    });
    assert!(log.ends_with(&format!("level=INFO msg=\"Starting health server on port {port}\"\n")), "{log}");
}

#[tokio::test]
async fn metrics_are_served_in_the_form_that_is_asked_for_however_health_is_answered() {
    let health = Health::new(None);
    for answers in [Answers::Detailed, Answers::Plain] {
        let address = served_as(answers, &health).await;
        let (head, body) = exchange(address, "GET", "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert!(body.contains("# TYPE projector_file_writes_total counter\nprojector_file_writes_total 0\n"), "{body}");
        // What Prometheus sends.
        let accept = "accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n";
        let (head, body) = exchange_with(address, "GET", "/metrics", accept).await;
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
        assert!(body.contains("# TYPE projector_file_writes counter\n") && body.ends_with("\n# EOF\n"), "{body}");
        assert_eq!(ask(address, "HEAD", "/metrics").await, answer(200, ""));
        assert_eq!(ask(address, "POST", "/metrics").await.0, 405);
    }
}

#[tokio::test]
async fn metrics_that_are_not_wanted_are_another_path() {
    let health = Health::new(None);
    for (answers, body) in [(Answers::Detailed, ""), (Answers::Plain, "Not Found")] {
        let listener = bind(Address { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0 }).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_on(listener, answers, Endpoints { metrics: Metrics::default(), ..endpoints(&health) }));
        assert_eq!(ask(address, "GET", "/metrics").await, answer(404, body));
    }
}
