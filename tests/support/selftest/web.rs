//! The web server does what its answers say, and ends in time whatever hangs on it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::faults::QUIET;
use crate::support::http::Client;
use crate::support::{Answer, DEADLINE, WebServer, free_port, wait_for};

fn client(server: &WebServer) -> Client {
    Client::http("127.0.0.1", server.port())
}

/// A request whose answer the test reads itself.
fn ask(server: &WebServer, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
    socket.set_read_timeout(Some(DEADLINE)).expect("a time-out above zero");
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("a request is taken");
    socket
}

#[test]
fn requests_are_kept_as_they_came() {
    let server = WebServer::start();
    server.on("/reload", Answer::status(204));
    // "user:pässword" in ISO 8859-1.
    let headers = [("Authorization", "Basic dXNlcjpw5HNzd29yZA=="), ("X-Any", "1")];
    assert_eq!(client(&server).send("POST", "/reload?a=1&b", &headers, b"body").status, 204);
    let found = server.wait_for("/reload", 1).remove(0);
    assert_eq!((found.method.as_str(), found.target.as_str(), found.query.as_str()), ("POST", "/reload?a=1&b", "a=1&b"));
    assert_eq!((found.header("x-any"), found.header("x-other"), found.body.as_slice()), (Some("1"), None, b"body".as_slice()));
    assert_eq!(found.credentials(), Some(b"user:p\xe4ssword".to_vec()));
    assert_eq!(client(&server).get("/nothing").status, 404);
    assert_eq!((server.count("/reload"), server.count("/nothing"), server.connections()), (1, 1, 2));
    server.clear_requests();
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn answers_come_in_turn_and_the_last_one_stays() {
    let server = WebServer::start();
    server.on_each("/a", vec![Answer::status(500), Answer::ok(b"\xff\x00"), Answer::ok("last").header("X-Any", "1")]);
    let client = client(&server);
    let seen: Vec<_> = (0..4).map(|_| client.get("/a")).map(|answer| (answer.status, answer.body)).collect();
    assert_eq!(seen, [(500, vec![]), (200, vec![0xff, 0]), (200, b"last".to_vec()), (200, b"last".to_vec())]);
    assert_eq!(server.connections(), 1, "a connection is kept");
    assert_eq!(client.get("/a").headers.iter().find(|(name, _)| name == "x-any").map(|(_, value)| value.as_str()), Some("1"));
}

#[test]
fn whoever_has_the_version_gets_304() {
    let server = WebServer::start();
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    server.on("/a", Answer::ok("x").etag("\"1\"").last_modified(date));
    let status = |headers: &[(&str, &str)]| client(&server).send("GET", "/a", headers, &[]).status;
    assert_eq!(status(&[("If-None-Match", "\"1\"")]), 304);
    assert_eq!(status(&[("If-Modified-Since", date)]), 304);
    assert_eq!(status(&[("If-None-Match", "\"2\""), ("If-Modified-Since", date)]), 200);
    assert_eq!(status(&[]), 200);
}

#[test]
fn a_redirect_names_its_aim() {
    let server = WebServer::start();
    server.on("/loop", Answer::redirect("/loop"));
    let answer = client(&server).get("/loop");
    assert_eq!((answer.status, answer.headers.iter().any(|pair| *pair == ("location".to_owned(), "/loop".to_owned()))), (302, true));
}

#[test]
fn a_cut_body_is_no_whole_answer() {
    let server = WebServer::start();
    server.on("/cut", Answer::cut("0123456789", 4));
    let error = client(&server).try_send("GET", "/cut", &[], &[]).expect_err("the body is not whole");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.requests_to("/cut")[0].sent, 4);
}

#[test]
fn delay_and_trickle_take_their_time() {
    let server = WebServer::start();
    server.on("/late", Answer::ok("x").delay(Duration::from_millis(100)));
    server.on("/slow", Answer::trickle("abc", Duration::from_millis(50)));
    let timed = |path: &str| {
        let from = Instant::now();
        (client(&server).get(path).text(), from.elapsed())
    };
    let (text, time) = timed("/late");
    assert!(text == "x" && time >= Duration::from_millis(100), "{text:?} after {time:?}");
    let (text, time) = timed("/slow");
    assert!(text == "abc" && time >= Duration::from_millis(150), "{text:?} after {time:?}");
}

#[test]
fn a_body_beyond_all_measure_is_sent_only_as_it_is_taken() {
    let server = WebServer::start();
    server.on("/giant", Answer::sized(1 << 30)).on("/endless", Answer::endless());
    for path in ["/giant", "/endless"] {
        let mut socket = ask(&server, path);
        let mut taken = vec![0; 1_000_000];
        socket.read_exact(&mut taken).expect("more than a megabyte comes");
        wait_for("some bytes to be counted", DEADLINE, || server.requests_to(path)[0].sent > 900_000);
        assert!(server.requests_to(path)[0].sent < 1 << 29, "the buffers between us hold less than that");
    }
    wait_for("the end of connections that nobody reads", DEADLINE, || server.open_connections() == 0);
}

#[test]
fn tls_is_spoken_with_a_certificate_of_its_own_authority() {
    let (one, other) = (WebServer::start_tls(), WebServer::start_tls());
    one.on("/a", Answer::ok("secret"));
    let trusting = |authority: &str| Client::https("127.0.0.1", one.port(), authority, None).try_send("GET", "/a", &[], &[]);
    assert_eq!(trusting(one.authority_pem()).expect("its own authority is trusted").text(), "secret");
    assert!(trusting(other.authority_pem()).is_err(), "another authority is not");
    assert_eq!(std::fs::read_to_string(one.authority_file()).expect("the file is there"), one.authority_pem());
    assert!(one.url("/a").starts_with("https://127.0.0.1:"));
}

#[test]
fn servers_end_in_time_with_everybody_hanging_on_them() {
    let port = free_port();
    let from = Instant::now();
    let server = WebServer::start_on(port);
    server.on("/hang", Answer::hang()).on("/endless", Answer::endless()).on("/late", Answer::ok("").delay(DEADLINE));
    let mut hanging = ask(&server, "/hang");
    let others = [ask(&server, "/endless"), ask(&server, "/late")];
    for path in ["/hang", "/endless", "/late"] {
        server.wait_for(path, 1);
    }
    hanging.set_read_timeout(Some(QUIET)).expect("a time-out above zero");
    let error = hanging.read(&mut [0]).expect_err("nothing comes");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    drop(server);
    assert!(from.elapsed() < DEADLINE, "it took {:?}", from.elapsed());
    drop(others);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}
