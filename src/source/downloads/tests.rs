//! Downloads against scripted servers, with a mailbox in the engine's place.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::config::read::web::{BasicCredentials, CredentialOrigins, Encoding, Headers, TextOrFile, WebSettings};
use crate::core::object::remote::Remote;
use crate::core::object::{Kind, Payload};
use crate::core::path::Roots;
use crate::web;
use crate::web::stub::{Asked, Lines, Reply, Stub, server};

struct Bench {
    mailbox: Mailbox,
    orders: mpsc::UnboundedSender<DownloadRequest>,
    task: JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy)]
struct Settings {
    refresh: Option<Duration>,
    timeout: Duration,
    retries: u32,
    wording: Wording,
}

const SETTINGS: Settings = Settings { refresh: None, timeout: Duration::from_secs(20), retries: 2, wording: Wording::Own };
const OFTEN: Option<Duration> = Some(Duration::from_millis(1));

fn retry(settings: Settings) -> Retry {
    Retry { total: settings.retries, connect: 100, read: settings.retries, backoff: Duration::ZERO }
}

fn web_of(settings: Settings) -> WebSettings {
    let nothing = TextOrFile { file: None, text: None };
    WebSettings {
        timeout: settings.timeout,
        answer_timeout: Duration::from_secs(5),
        retry: retry(settings),
        skip_tls_verify: false,
        ca_bundle: None,
        server_errors_are_final: false,
        headers: Headers::default(),
        credentials: BasicCredentials { username: nothing.clone(), password: nothing, encoding: Encoding::Latin1 },
    }
}

fn bench(settings: Settings) -> Bench {
    let downloads = Downloads { bytes_max: 4 << 20, refresh: settings.refresh, credential_origins: CredentialOrigins::Any, allow: None };
    let (orders, receiver) = mpsc::unbounded_channel();
    let mailbox = Mailbox::default();
    let downloader = Downloader {
        client: Client::new(&web_of(settings)).unwrap(),
        settings: downloads,
        retry: retry(settings),
        wording: settings.wording,
        discretion: Discretion::default(),
        mailbox: mailbox.clone(),
        metrics: Metrics::default(),
    };
    Bench { mailbox, orders, task: tokio::spawn(download(downloader, receiver)) }
}

fn path(name: &str) -> TargetPath {
    Roots::new("/data", []).file("", name).unwrap()
}

impl Bench {
    /// Orders these files of one object: name, URL and ticket.
    async fn want(&self, files: &[(&str, &str, u64)]) {
        let file =
            |&(name, url, ticket): &(&str, &str, u64)| Remote { path: path(name), url: Payload::from(url.as_bytes().to_vec()), ticket };
        let key = Arc::new(ObjectKey::new(Kind::ConfigMap, "ns", "object"));
        let order = DownloadRequest::Files(RemoteFiles { key, files: files.iter().map(file).collect() });
        assert!(self.orders.send(order).is_ok());
    }

    async fn again(&self, name: &str) {
        let key = Arc::new(ObjectKey::new(Kind::ConfigMap, "ns", "object"));
        assert!(self.orders.send(DownloadRequest::Again { key, path: path(name) }).is_ok());
    }

    /// The next arrivals: name, ticket and what came.
    async fn arrivals(&self, count: usize) -> Vec<(String, u64, String)> {
        let mut seen = Vec::new();
        let collect = async {
            while seen.len() < count {
                self.mailbox.arrived().await;
                seen.extend(self.mailbox.take().into_iter().map(told));
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), collect).await.is_ok(), "{count} arrivals in time");
        seen
    }

    async fn arrival(&self) -> (String, u64, String) {
        self.arrivals(1).await.remove(0)
    }
}

fn told(event: SourceEvent) -> (String, u64, String) {
    let SourceEvent::Arrived { path, ticket, arrival, .. } = event else { panic!("only arrivals") };
    let what = match arrival {
        Arrival::Body(body) if body.bytes().len() > 100 => format!("{} bytes", body.bytes().len()),
        Arrival::Body(body) => String::from_utf8(body.bytes().to_vec()).unwrap(),
        Arrival::Unchanged => "(unchanged)".to_owned(),
        Arrival::Failed => "(failed)".to_owned(),
    };
    (path.to_string(), ticket, what)
}

fn arrived(name: &str, ticket: u64, what: &str) -> (String, u64, String) {
    (name.to_owned(), ticket, what.to_owned())
}

async fn fine() -> Stub {
    server(|asked| Reply::new("200 OK", "", asked.path())).await
}

fn etag(asked: &Asked) -> Reply {
    match asked.header("if-none-match") {
        Some("\"1\"") => Reply::Raw(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        _ => Reply::new("200 OK", "ETag: \"1\"\r\n", "x"),
    }
}

#[tokio::test]
async fn files_arrive_with_the_ticket_of_their_question() {
    let (stub, bench) = (fine().await, bench(SETTINGS));
    bench.want(&[("a", &format!(" {}\n", stub.url("/a")), 7), ("b", &stub.url("/b"), 8)]).await;
    let seen: HashSet<_> = bench.arrivals(2).await.into_iter().collect();
    assert_eq!(seen, HashSet::from([arrived("a", 7, "/a"), arrived("b", 8, "/b")]));
}

#[tokio::test]
async fn what_is_no_url_fails_at_once_and_is_not_shown() {
    let (lines, _guard) = Lines::collect();
    let bench = bench(SETTINGS);
    bench.want(&[("a", "canary", 1)]).await;
    assert_eq!(bench.arrival().await, arrived("a", 1, "(failed)"));
    bench.want(&[("a", "file:///x?canary", 2)]).await;
    assert_eq!(bench.arrival().await, arrived("a", 2, "(failed)"));
    let warning = " WARN a file behind a URL cannot be had, keeping the last good file object=ConfigMap/ns/object path=a error=";
    assert_eq!(
        lines.with("WARN"),
        [format!("{}not a URL", &warning[1..]), format!("{}(not a URL): expected http or https", &warning[1..])]
    );
    assert_eq!(lines.with("canary"), Vec::<String>::new());
}

#[tokio::test]
async fn an_unwell_server_is_asked_again_within_the_bounds() {
    let (lines, _guard) = Lines::collect();
    let stub = server(|_| Reply::new("503 Service Unavailable", "", "")).await;
    let bench = bench(SETTINGS);
    bench.want(&[("a", &stub.url("/"), 1)]).await;
    assert_eq!((bench.arrival().await, stub.asked().len()), (arrived("a", 1, "(failed)"), 3));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.want(&[("b", &format!("http://{nobody}/"), 2)]).await;
    assert_eq!(bench.arrival().await, arrived("b", 2, "(failed)"));
    assert_eq!(lines.with("asking again").len(), 4, "REQ_RETRY_TOTAL bounds connections too");
}

#[tokio::test]
async fn an_answer_that_will_not_change_is_not_asked_for_again() {
    let stub = server(|_| Reply::new("404 Not Found", "", "")).await;
    let bench = bench(SETTINGS);
    bench.want(&[("a", &stub.url("/"), 1)]).await;
    assert_eq!((bench.arrival().await, stub.asked().len()), (arrived("a", 1, "(failed)"), 1));
    // Without a refresh the next order is the next chance.
    bench.want(&[("a", &stub.url("/"), 1)]).await;
    assert_eq!((bench.arrival().await, stub.asked().len()), (arrived("a", 1, "(failed)"), 2));
}

#[tokio::test]
async fn a_question_that_is_the_same_goes_on() {
    let stub = fine().await;
    let bench = bench(SETTINGS);
    bench.want(&[("a", &stub.url("/a"), 1)]).await;
    bench.arrival().await;
    bench.want(&[("a", &stub.url("/a"), 1), ("b", &stub.url("/b"), 2)]).await;
    assert_eq!((bench.arrival().await, stub.asked().len()), (arrived("b", 2, "/b"), 2));
}

#[tokio::test]
async fn files_are_asked_for_again_and_only_if_they_differ() {
    let stub = server(etag).await;
    let bench = bench(Settings { refresh: OFTEN, ..SETTINGS });
    bench.want(&[("a", &stub.url("/"), 1)]).await;
    assert_eq!(bench.arrivals(3).await[..3], [arrived("a", 1, "x"), arrived("a", 1, "(unchanged)"), arrived("a", 1, "(unchanged)")]);
}

#[tokio::test]
async fn the_same_bytes_without_an_etag_are_told_again() {
    let stub = fine().await;
    let bench = bench(Settings { refresh: OFTEN, ..SETTINGS });
    bench.want(&[("a", &stub.url("/a"), 1)]).await;
    assert_eq!(bench.arrivals(2).await[..2], [arrived("a", 1, "/a"), arrived("a", 1, "/a")]);
}

#[tokio::test]
async fn again_means_unconditionally() {
    let stub = server(etag).await;
    let bench = bench(Settings { refresh: Some(Duration::from_secs(3600)), ..SETTINGS });
    bench.want(&[("a", &stub.url("/"), 1)]).await;
    bench.arrival().await;
    bench.again("a").await;
    assert_eq!(bench.arrival().await, arrived("a", 1, "x"));
    bench.again("unknown").await;
    bench.want(&[("a", &stub.url("/"), 2)]).await;
    assert_eq!(bench.arrival().await, arrived("a", 2, "x"));
    assert!(stub.asked().iter().all(|asked| asked.header("if-none-match").is_none()));
}

#[tokio::test]
async fn again_leaves_a_round_that_is_under_way_alone() {
    let (slow, stub) = (server(|_| Reply::Stall("")).await, fine().await);
    let bench = bench(Settings { timeout: Duration::from_secs(3600), ..SETTINGS });
    bench.want(&[("a", &slow.url("/a"), 1), ("b", &slow.url("/b"), 2)]).await;
    slow.asked_times(2).await;
    bench.again("a").await;
    bench.want(&[("a", &slow.url("/a"), 1), ("c", &slow.url("/c"), 3)]).await;
    slow.asked_times(3).await;
    bench.want(&[("a", &slow.url("/a"), 1), ("c", &slow.url("/c"), 3), ("d", &stub.url("/d"), 4)]).await;
    assert_eq!(bench.arrival().await, arrived("d", 4, "/d"));
    assert_eq!(slow.asked().len(), 3, "only b was called off");
}

#[tokio::test]
async fn a_changed_url_calls_the_old_question_off() {
    let (hangs, stub) = (server(|_| Reply::Stall("")).await, fine().await);
    let bench = bench(Settings { timeout: Duration::from_secs(3600), ..SETTINGS });
    // Both slots of the server are taken by questions that nobody wants any more.
    bench.want(&[("a", &hangs.url("/"), 1), ("b", &hangs.url("/"), 2), ("c", &hangs.url("/c"), 3)]).await;
    hangs.asked_times(2).await;
    bench.want(&[("a", &stub.url("/a"), 4), ("c", &hangs.url("/c"), 3)]).await;
    assert_eq!(bench.arrival().await, arrived("a", 4, "/a"));
    hangs.left_times(2).await;
    assert_eq!(hangs.asked_times(3).await[2].path(), "/c");
}

#[tokio::test]
async fn a_server_that_hangs_does_not_keep_others_waiting() {
    let (hangs, stub) = (server(|_| Reply::Stall("")).await, fine().await);
    let bench = bench(Settings { timeout: Duration::from_secs(3600), ..SETTINGS });
    let (hang, fine) = (hangs.url("/"), stub.url("/fine"));
    let names: Vec<String> = (0..10).map(|n| format!("a{n}")).collect();
    let mut files: Vec<(&str, &str, u64)> = names.iter().map(|name| (&**name, &*hang, 1)).collect();
    files.push(("z", &fine, 2));
    bench.want(&files).await;
    assert_eq!(bench.arrival().await, arrived("z", 2, "/fine"));
    assert!(hangs.asked().len() <= 2, "{}", hangs.asked().len());
}

#[tokio::test]
async fn a_server_that_hangs_fails_in_the_end() {
    let hangs = server(|_| Reply::Stall("")).await;
    let bench = bench(Settings { timeout: Duration::from_millis(20), retries: 1, ..SETTINGS });
    bench.want(&[("a", &hangs.url("/"), 1)]).await;
    assert_eq!((bench.arrival().await, hangs.asked().len()), (arrived("a", 1, "(failed)"), 2));
}

#[tokio::test]
async fn pauses_hold_no_slot() {
    let unwell = server(|_| Reply::new("503 Odd", "Retry-After: 30\r\n", "")).await;
    let bench = bench(SETTINGS);
    let files: Vec<(String, String)> = (0..6).map(|n| (format!("a{n}"), unwell.url(&format!("/{n}")))).collect();
    bench.want(&files.iter().map(|(name, url)| (&**name, &**url, 1)).collect::<Vec<_>>()).await;
    assert_eq!(unwell.asked_times(6).await.len(), 6);
}

#[tokio::test]
async fn failures_are_told_each_round_and_logged_once_until_they_end() {
    let (lines, _guard) = Lines::collect();
    let works = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&works);
    let script =
        move |_: &Asked| if switch.load(Ordering::SeqCst) { Reply::new("200 OK", "", "x") } else { Reply::new("404 Gone", "", "") };
    let stub = server(script).await;
    let bench = bench(Settings { refresh: OFTEN, ..SETTINGS });
    bench.want(&[("a", &stub.url("/?canary"), 1)]).await;
    for works_now in [true, false, true, false] {
        works.store(works_now, Ordering::SeqCst);
        let expected = if works_now { "x" } else { "(failed)" };
        // Some in a row: the first may be left over from before the switch.
        let mut row = 0;
        while row < 3 {
            row = bench.arrivals(1).await.iter().fold(row, |row, (_, _, what)| if what == expected { row + 1 } else { 0 });
        }
    }
    assert_eq!((lines.with("WARN").len(), lines.with("INFO").len()), (2, 1));
    assert!(lines.with("WARN")[0].ends_with(&format!("path=a error={}: answered 404 Not Found", stub.url(""))), "{:?}", lines.with("WARN"));
    assert_eq!(lines.with("canary"), Vec::<String>::new());
}

#[tokio::test]
async fn the_words_of_the_original_are_kept() {
    let (lines, _guard) = Lines::collect();
    let stub = server(|asked| match asked.path() {
        "/fine" => Reply::new("200 OK", "", "canary"),
        "/lost" => Reply::new("404 NOT FOUND", "", "no such file"),
        _ => Reply::new("500 INTERNAL SERVER ERROR", "", ""),
    })
    .await;
    let bench = bench(Settings { wording: Wording::Sidecar, retries: 0, ..SETTINGS });
    for (ticket, path) in ["/fine", "/lost", "/broken"].into_iter().enumerate() {
        bench.want(&[("a", &stub.url(path), u64::try_from(ticket).unwrap())]).await;
        bench.arrival().await;
    }
    let sent = |path: &str, rest: &str| format!("INFO Request sent to {}. Response: {rest}", stub.url(path));
    let expected = [sent("/fine", "200 OK"), sent("/lost", "404 NOT FOUND no such file"), sent("/broken", "500 INTERNAL SERVER ERROR")];
    assert_eq!(lines.with("Request sent"), expected);
    assert_eq!(
        lines.with("ERROR Max"),
        [format!("ERROR Max retries exceeded for URL {}: answered 500 Internal Server Error", stub.url("/broken"))]
    );
    assert_eq!(lines.with("canary"), Vec::<String>::new());
}

#[tokio::test]
async fn a_large_body_keeps_its_turn_until_the_engine_has_it() {
    let stub = server(|asked| Reply::new("200 OK", "", vec![b'x'; if asked.path() == "/large" { 3 << 20 } else { 10 }])).await;
    let (mailbox, gate) = (Mailbox::default(), Gate::default());
    let client = Client::new(&web_of(SETTINGS)).unwrap();
    let rules = Terms { reach: Reach::Guarded { allow: None }, credentials: CredentialOrigins::Any };
    let (wording, bytes_max) = (Wording::Own, 4 << 20);
    let listener = Discretion::default().listener();
    let attempt = Attempt {
        client: client.clone(),
        rules: rules.clone(),
        bytes_max,
        wording,
        mailbox: mailbox.clone(),
        gate: gate.clone(),
        listener,
    };
    let mut book = Book::default();
    let files = vec![Remote { path: path("a"), url: Payload::from(stub.url("/large").into_bytes()), ticket: 1 }];
    book.want(RemoteFiles { key: Arc::new(ObjectKey::new(Kind::ConfigMap, "ns", "object")), files }, false, Instant::now());
    let (name, _, asked) = book.due(Instant::now()).unwrap();
    let mut first = std::pin::pin!(attempt.run(&name, &asked));
    tokio::select! {
        _ = &mut first => panic!("it ended before the engine had the body"),
        () = mailbox.arrived() => {}
    }
    let question = web::Question::Download { known: None, bytes_max, gate: &gate };
    let (large, small) = (stub.url("/large"), stub.url("/small"));
    let (large, small) = (web::Ask { url: &large, question, rules: &rules }, web::Ask { url: &small, question, rules: &rules });
    let mut second = std::pin::pin!(client.ask(&large));
    for _ in 0..20 {
        tokio::select! {
            _ = &mut first => panic!("it ended before the engine had the body"),
            _ = &mut second => panic!("two large bodies at once"),
            small = client.ask(&small) => assert_eq!(small.unwrap().body.len(), 10),
        }
    }
    assert_eq!(mailbox.take().len(), 1);
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.is_ok(), second.unwrap().body.len()), (true, 3 << 20));
}

#[tokio::test]
async fn downloads_end_with_their_orders() {
    let Bench { orders, task, .. } = &mut bench(SETTINGS);
    let (closed, _) = mpsc::unbounded_channel();
    drop(std::mem::replace(orders, closed));
    assert!(task.await.is_ok());
}
