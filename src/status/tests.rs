//! The listener over real sockets on loopback, without an engine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::config::{Arguments, Config, Context};
use crate::core::files::plan::Because;
use crate::core::object::ObjectKey;
use crate::core::path::Roots;
use crate::core::tell::pace::{FaultKind, Followup};
use crate::engine::outcome::{Act, Change, Outcome};
use crate::engine::shown::Amiss;
use crate::health::{Health, WatchName, WatchState};
use crate::status::board::{Board, EngineFacts, Facts, STREAMS};
use crate::status::desk::Desk;
use crate::status::document::{WallTime, json};
use crate::status::timeline::Timeline;
use crate::tell::runner::{Telling, TellingState};

/// Anything must come within this.
const DEADLINE: Duration = Duration::from_secs(30);

fn board(health: &Health) -> (Board, Desk) {
    let vars = [("LABEL", "l"), ("FOLDER", "/f")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = Context { current_dir: "/".into(), ..Context::default() };
    let config = Config::from_vars(vars.into_iter(), &Arguments::default(), &context).unwrap();
    Board::new(Facts::new(&config, &Arguments::default(), Roots::new("/f", [])), health.clone())
}

async fn served(board: &Board) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(super::server::serve_on(listener, board.clone()));
    address
}

/// A request with these lines, and what has come of the answer: all of it, where that has an end.
async fn send(address: SocketAddr, request: &str, lines: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\n{lines}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&answer).contains("\r\n\r\n") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "no whole answer to {request}");
        }
    };
    timeout(DEADLINE, read).await.unwrap();
    (stream, String::from_utf8(answer).unwrap())
}

/// Code of the answer.
async fn code(address: SocketAddr, request: &str, lines: &str) -> u16 {
    send(address, request, lines).await.1[9..12].parse().unwrap()
}

#[tokio::test]
async fn only_names_of_this_machine_are_answered() {
    let address = served(&board(&Health::new(None)).0).await;
    for host in ["localhost", "localhost:9090", "LocalHost:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:80"] {
        assert_eq!(code(address, "GET /status", &format!("host: {host}\r\n")).await, 200, "{host}");
    }
    let foreign = [
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost:80.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80",
        "::1",
        "[::1",
        "localhost:",
        "localhost:x",
        "localhost:+80",
        "localhost:65536",
        "localhost@evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
    ];
    for host in foreign {
        for path in ["/", "/status", "/files", "/stream"] {
            assert_eq!(code(address, &format!("GET {path}"), &format!("host: {host}\r\n")).await, 403, "{host} {path}");
        }
    }
    let twice = "host: localhost\r\nhost: evil.example\r\n";
    assert!(matches!(code(address, "GET /status", twice).await, 400 | 403));
    assert_eq!(code(address, "GET http://evil.example/status", "host: localhost\r\n").await, 403);
}

#[tokio::test]
async fn pages_of_other_sites_get_nothing() {
    let address = served(&board(&Health::new(None)).0).await;
    for (site, expected) in [("cross-site", 403), ("Cross-Site", 403), ("same-origin", 200), ("none", 200)] {
        assert_eq!(code(address, "GET /status", &format!("host: localhost\r\nsec-fetch-site: {site}\r\n")).await, expected, "{site}");
    }
}

#[tokio::test]
async fn nothing_can_be_changed_and_nothing_is_kept() {
    let address = served(&board(&Health::new(None)).0).await;
    let host = "host: localhost\r\n";
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let (_, answer) = send(address, &format!("{method} /status"), host).await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"), "{answer}");
    }
    assert_eq!(code(address, "GET /metrics", host).await, 404);
    for path in ["/", "/status", "/status?files=no", "/stream", "/nowhere"] {
        for method in ["GET", "HEAD"] {
            let (_, answer) = send(address, &format!("{method} {path}"), host).await;
            for line in [
                "content-security-policy: default-src 'none'; script-src 'sha256-",
                "require-trusted-types-for 'script'",
                "frame-ancestors 'none'",
                "x-content-type-options: nosniff",
                "cache-control: no-store",
                "referrer-policy: no-referrer",
                "cross-origin-resource-policy: same-origin",
            ] {
                assert!(answer.contains(line), "{method} {path} without {line}: {answer}");
            }
            assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
        }
    }
    let (_, head) = send(address, "HEAD /", "host: localhost\r\nconnection: close\r\n").await;
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn the_ninth_stream_is_refused_until_one_ends() {
    let board = board(&Health::new(None)).0;
    let address = served(&board).await;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let (stream, answer) = send(address, "GET /stream", "host: localhost\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-type: text/event-stream"), "{answer}");
        open.push(stream);
    }
    assert_eq!(code(address, "GET /stream", "host: localhost\r\n").await, 503);
    assert_eq!(code(address, "GET /status", "host: localhost\r\n").await, 200, "who asks once is answered");
    drop(open.pop());
    let refused = async {
        while code(address, "GET /stream", "host: localhost\r\n").await != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, refused).await.expect("one that ended makes room");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_told_with_reason_time_and_what_to_do() {
    let health = Health::new(None);
    let (board, _desk) = board(&health);
    let watch = health.watch(WatchName { kind: Some(crate::core::object::Kind::Secret), namespace: Some("n".into()), name: None });
    let sentence = || board.summary().verdict.sentence;
    assert_eq!((board.summary().verdict.ok, sentence()), (true, "Starting: not everything was listed and written yet.".to_owned()));
    watch.state(WatchState::Refused);
    watch.error(crate::health::overview::WatchTrouble::Refused, "a canary");
    let paths = ["/f/a".to_owned()];
    let telling = |state| board.tell(&Telling { reaction: "request", paths: &paths, attempts: 1, state });
    telling(TellingState::Ended(Some(FaultKind::Answered(None)), Followup::Slow { first: true }));
    assert_eq!(sentence(), "2 problems: 1 refused watch, 1 failing reload.");
    let problems = crate::status::document::json(&board.summary().problems);
    for part in ["secrets in n", "403", "rbac/", "it answers with an error (1 attempt)", "\"since\":\"20"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
    assert!(!problems.contains("canary"), "{problems}");
    watch.state(WatchState::Watching);
    watch.recovered();
    telling(TellingState::Begins);
    assert_eq!(sentence(), "1 problem: 1 failing reload.", "until it is told");
    telling(TellingState::Ended(None, Followup::Told));
    health.set_readiness(crate::health::Readiness::Ready);
    assert_eq!(sentence(), "All is well: 0 files of 0 objects are as they should be.");
}

#[test]
fn an_attempt_tells_of_what_had_changed_when_it_began() {
    let roots = Roots::new("/f", []);
    let (path, paths) = (roots.file("/f", "a").unwrap(), ["/f/a".to_owned()]);
    let written = Act::Written { bytes: 1, because: Because::Content, encoded: false };
    let change = || Outcome { changes: vec![Change { path: path.clone(), object: None, act: written }], ..Outcome::default() };
    let mut timeline = Timeline::default();
    let tell = |timeline: &mut Timeline, state| {
        timeline.tell(&Telling { reaction: "request", paths: &paths, attempts: 1, state }, WallTime::now());
    };
    timeline.commit(&change(), &roots, WallTime::now());
    tell(&mut timeline, TellingState::Begins);
    timeline.commit(&change(), &roots, WallTime::now());
    tell(&mut timeline, TellingState::Ended(None, Followup::Told));
    let told = |timeline: &Timeline| timeline.since(0).iter().map(|entry| json(entry).matches("told\":[{").count()).collect::<Vec<_>>();
    assert_eq!(told(&timeline), [0, 1], "the newest first: it came while the other was told");
    tell(&mut timeline, TellingState::Begins);
    tell(&mut timeline, TellingState::Ended(Some(FaultKind::Answered(None)), Followup::Slow { first: true }));
    let newest = json(&timeline.since(0)[0]);
    assert!(newest.contains("failed"), "{newest}");
}

#[tokio::test]
async fn a_problem_keeps_its_beginning_where_two_objects_have_it() {
    let (board, _desk) = board(&Health::new(None));
    let path = Roots::new("/f", []).file("/f", "a").unwrap();
    let object = |name: &str| Some(std::sync::Arc::new(ObjectKey::new(crate::core::object::Kind::Secret, "n", name)));
    let amiss = [object("one"), object("other")].map(|object| Amiss::Undownloaded { path: path.clone(), object });
    let since = || {
        board.commit(&Outcome::default(), &amiss, EngineFacts::default());
        let problems = json(&board.summary().problems);
        problems.match_indices("\"since\":\"").map(|(at, _)| problems[at..at + 35].to_owned()).take(2).collect::<Vec<_>>()
    };
    let (first, now) = (since(), json(&WallTime::now()));
    while json(&WallTime::now()) == now {}
    assert_eq!(since(), first);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_could_not_have_the_rows_begins_anew() {
    let (board, _desk) = board(&Health::new(None));
    // It is open, and does not answer.
    board.opened();
    let address = served(&board).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let (mut read, mut buffer) = (String::new(), [0; 4096]);
    let both = async {
        while read.matches("event: begin").count() < 2 {
            let length = stream.read(&mut buffer).await.unwrap();
            assert_ne!(length, 0, "it goes on");
            read.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    timeout(4 * DEADLINE, both).await.expect("a second beginning");
    assert!(read.contains(r#"{"complete":false,"total":0}"#), "{read}");
}
