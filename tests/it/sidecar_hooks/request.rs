//! REQ_URL on the wire and in the log: method, headers, body, credentials.

use super::{Bench, completed, healthy, text};
use crate::common::{count, put};
use crate::support::projector::Builder;
use crate::support::*;

/// Names and values: variables, or header lines.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Runs METHOD=LIST over one ConfigMap with these variables; the requests that came of it, and the log.
fn listed(bench: &Bench, variables: &[(&str, &str)]) -> (Vec<Received>, String) {
    bench.web.clear_requests();
    let number = bench.markers.replace(bench.markers.get() + 1).to_string();
    bench.setup.cluster.configmap(&format!("c{number}"), &[(&number, "")]).create();
    let builder = bench.plain().env("METHOD", "LIST").env("REQ_URL", &bench.web.url("/reload"));
    let builder = variables.iter().fold(builder, |builder: Builder, (name, value)| builder.env(name, value));
    let finished = completed(&builder);
    (bench.web.requests(), finished.stderr)
}

/// The header lines in their order, but host and agent.
fn headers(request: &Received) -> Vec<(&str, &str)> {
    let all = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| !matches!(*name, "host" | "user-agent")).collect()
}

#[test]
fn keep_1_7_method_headers_and_body_are_those_of_the_original() {
    let bench = Bench::new();
    let json = ("content-type", "application/json");
    let odd = "{\"a\": \"ä\\u0000\",  \"b\":[1 ]}";
    let any = ("accept", "*/*");
    let table: [(Pairs<'_>, &str, Pairs<'_>, &str); 10] = [
        (&[], "GET", &[any], ""),
        (&[("REQ_METHOD", "")], "GET", &[any], ""),
        (&[("REQ_METHOD", "GET"), ("REQ_PAYLOAD", "{}")], "GET", &[any], ""),
        (&[("REQ_METHOD", "POST")], "POST", &[("content-length", "0"), any], ""),
        (&[("REQ_METHOD", "POST"), ("REQ_PAYLOAD", odd)], "POST", &[json, any, ("content-length", "28")], odd),
        (&[("REQ_METHOD", "POST"), ("REQ_PAYLOAD", "hello")], "POST", &[json, any, ("content-length", "7")], "\"hello\""),
        (&[("REQ_METHOD", "POST"), ("REQ_PAYLOAD", "")], "POST", &[json, any, ("content-length", "2")], "\"\""),
        // FIX: any case, and two methods more.
        (&[("REQ_METHOD", "post"), ("REQ_PAYLOAD", "1")], "POST", &[json, any, ("content-length", "1")], "1"),
        (&[("REQ_METHOD", "Put"), ("REQ_PAYLOAD", "1")], "PUT", &[json, any, ("content-length", "1")], "1"),
        (&[("REQ_METHOD", "patch")], "PATCH", &[("content-length", "0"), any], ""),
    ];
    for (variables, method, expected, body) in table {
        let (requests, _) = listed(&bench, variables);
        assert_eq!(requests.len(), 1, "{variables:?}");
        let found = (requests[0].method.as_str(), headers(&requests[0]), String::from_utf8_lossy(&requests[0].body).into_owned());
        assert_eq!(found, (method, expected.to_vec(), body.to_owned()), "{variables:?}");
    }
}

#[test]
fn keep_1_7_a_method_that_nobody_knows_sends_nothing_with_a_warning() {
    let bench = Bench::new();
    let (requests, log) = listed(&bench, &[("REQ_METHOD", "DELETE")]);
    assert_eq!(requests.len(), 0);
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("REQ_METHOD") && line.contains("\"level\": \"WARNING\"")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
}

#[test]
fn keep_1_2_credentials_are_latin1_unless_said_otherwise_and_sent_only_together() {
    let bench = Bench::new();
    let both = [("REQ_USERNAME", "jörg"), ("REQ_PASSWORD", "pä§")];
    let table: [(Pairs<'_>, Option<&[u8]>); 6] = [
        (&both, Some(b"j\xf6rg:p\xe4\xa7")),
        (&[both[0], both[1], ("REQ_BASIC_AUTH_ENCODING", "latin1")], Some(b"j\xf6rg:p\xe4\xa7")),
        (&[both[0], both[1], ("REQ_BASIC_AUTH_ENCODING", "utf-8")], Some("jörg:pä§".as_bytes())),
        (&[both[0]], None),
        (&[both[0], ("REQ_PASSWORD", "")], None),
        (&[], None),
    ];
    for (variables, expected) in table {
        let (requests, _) = listed(&bench, variables);
        let found: Vec<_> = requests.iter().map(Received::credentials).collect();
        assert_eq!(found, [expected.map(<[u8]>::to_vec)], "{variables:?}");
    }
}

#[test]
fn keep_1_2_a_flag_beats_the_file_which_beats_the_plain_one() {
    let bench = Bench::new();
    let file = |name: &str, content: &str| {
        put(&bench.setup.beside(name), content);
        text(&bench.setup.beside(name))
    };
    let (user, password, other) =
        (file("user", " user-of-file\n"), file("password", "password-of-file\n"), file("other", "user-of-flag\n"));
    let gone = text(&bench.setup.beside("gone"));
    let plain = [("REQ_USERNAME", "plain"), ("REQ_PASSWORD", "plain-password")];
    let (requests, _) = listed(&bench, &[plain[0], plain[1], ("REQ_USERNAME_FILE", &user), ("REQ_PASSWORD_FILE", &password)]);
    assert_eq!(requests[0].credentials(), Some(b"user-of-file:password-of-file".to_vec()));
    let (requests, _) = listed(&bench, &[plain[0], plain[1], ("REQ_USERNAME_FILE", &user), ("REQ_PASSWORD_FILE", &gone)]);
    assert_eq!(requests[0].credentials(), Some(b"user-of-file:plain-password".to_vec()));
    bench.web.clear_requests();
    bench.setup.cluster.configmap("flag", &[("flag", "")]).create();
    let builder = bench.plain().env("METHOD", "LIST").env("REQ_URL", &bench.web.url("/reload")).env("REQ_PASSWORD", "plain");
    completed(&builder.env("REQ_USERNAME_FILE", &user).args(&["--req-username-file", &other]));
    assert_eq!(bench.asked(1)[0].credentials(), Some(b"user-of-flag:plain".to_vec()));
}

#[test]
fn keep_1_2_files_of_credentials_are_read_again_for_each_request() {
    let bench = Bench::new();
    let (user, password) = (bench.setup.beside("user"), bench.setup.beside("password"));
    put(&user, "first\n");
    put(&password, "one\n");
    let builder = bench.hooked().env("REQ_USERNAME_FILE", &text(&user)).env("REQ_PASSWORD_FILE", &text(&password));
    let projector = healthy(&builder);
    bench.ran_only(&[]);
    assert_eq!(bench.asked(1)[0].credentials(), Some(b"first:one".to_vec()));
    put(&user, "second\n");
    put(&password, "two-canary\n");
    bench.ran_only(&[]);
    assert_eq!(bench.asked(2)[1].credentials(), Some(b"second:two-canary".to_vec()));
    projector.assert_no_leak(&["two-canary"]);
}

#[test]
fn fix_1_7_the_log_names_each_answer_without_bodies_of_success_queries_and_credentials() {
    let bench = Bench::new();
    let table = [
        (Answer::ok("canary-body"), "200 OK\"".to_owned()),
        (Answer::status(204), "204 No Content\"".to_owned()),
        // What it says may repeat what it was asked.
        (Answer::status(404).body("no such page: canary-token"), "404 Not Found\"".to_owned()),
        (Answer::status(401), "401 Unauthorized\"".to_owned()),
    ];
    for (answer, expected) in table {
        bench.web.on("/reload", answer);
        let target = bench.web.url("/reload?token=canary-token").replace("http://", "http://user:canary-password@");
        let (requests, log) = listed(&bench, &[("REQ_URL", &target), ("REQ_METHOD", "POST"), ("LOG_LEVEL", "DEBUG")]);
        let line = format!("Request sent to {}. Response: {expected}", bench.web.url("/reload"));
        assert_eq!((requests.len(), count(&log, &line), count(&log, "Request sent to")), (1, 1, 1), "{line} in {log}");
        assert_eq!((requests[0].query.as_str(), requests[0].credentials()), ("token=canary-token", Some(b"user:canary-password".to_vec())));
        assert_no_leak("the log", log, &["canary-token", "canary-password", "canary-body"]);
    }
    bench.web.on("/reload", Answer::status(403).body("é".repeat(300)));
    let (_, log) = listed(&bench, &[("REQ_URL", &bench.web.url("/reload")), ("REQ_METHOD", "POST")]);
    assert_eq!(count(&log, &format!("Response: 403 Forbidden {}\"", "é".repeat(256))), 1, "{log}");
}

#[test]
fn keep_1_7_the_request_comes_after_the_script_and_the_script_is_waited_for() {
    let bench = Bench::new();
    bench.script(
        "gated",
        "#!/bin/sh\n[ -e RUNS.ended ] && exit\n: > RUNS.begun\nwhile [ -e RUNS.begun ]; do sleep 0.02; done\n: > RUNS.ended\n",
    );
    let _projector = healthy(&bench.hooked().env("SCRIPT", &text(&bench.setup.beside("gated"))));
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    wait_for("the script", DEADLINE, || bench.setup.beside("runs.begun").exists());
    // Files go on while it runs; requests do not.
    bench.setup.cluster.configmap("b", &[("b", "1")]).create();
    bench.setup.holds(&tree! { "a" => "1", "b" => "1" });
    assert_eq!(bench.web.connections(), 0);
    std::fs::remove_file(bench.setup.beside("runs.begun")).unwrap();
    bench.web.wait_for("/reload", 1);
    assert!(bench.setup.beside("runs.ended").exists());
}

#[test]
fn keep_1_7_a_proxy_of_the_environment_is_asked_with_the_whole_url() {
    let bench = Bench::new();
    let proxy = WebServer::start();
    proxy.on("/reload", Answer::ok(""));
    let variables = [
        ("REQ_URL", "http://grafana.example:3000/reload"),
        ("REQ_METHOD", "POST"),
        ("HTTP_PROXY", &proxy.origin()),
        ("http_proxy", &proxy.origin()),
    ];
    let (requests, log) = listed(&bench, &variables);
    assert_eq!((requests.len(), proxy.requests()[0].target.as_str()), (0, "http://grafana.example:3000/reload"), "{log}");
    let excepted = [("HTTP_PROXY", proxy.origin()), ("NO_PROXY", "127.0.0.1".to_owned())];
    let excepted: Vec<_> = excepted.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (requests, _) = listed(&bench, &excepted);
    assert_eq!((requests.len(), proxy.requests().len()), (1, 1));
}

#[test]
fn keep_1_7_the_application_may_speak_tls_of_a_private_authority_or_of_nobody() {
    let bench = Bench::new();
    let web = WebServer::start_tls();
    web.on("/reload", Answer::ok(""));
    let url = web.url("/reload");
    listed(&bench, &[("REQ_URL", &url), ("REQ_RETRY_TOTAL", "0"), ("REQ_RETRY_CONNECT", "0")]);
    assert_eq!(web.count("/reload"), 0, "an authority that nobody knows");
    listed(&bench, &[("REQ_URL", &url), ("REQUESTS_CA_BUNDLE", &text(&web.authority_file()))]);
    listed(&bench, &[("REQ_URL", &url), ("CURL_CA_BUNDLE", &text(&web.authority_file()))]);
    listed(&bench, &[("REQ_URL", &url), ("REQ_SKIP_TLS_VERIFY", "true")]);
    // What LIST could not tell is told by the next one, together with what is new.
    assert_eq!(web.count("/reload"), 3);
}
