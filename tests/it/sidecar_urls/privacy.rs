//! What the log and health never show. Acceptance 6 of issue 4.

use crate::sidecar_hooks::{Bench, healthy, text};
use crate::support::*;

const CANARIES: [&str; 8] = [
    "canary-secret-value",
    "canary-secret-later",
    "canary-body-good",
    "canary-body-later",
    "canary-password",
    "canary-token-in-query",
    "canary-user-in-url",
    "canary-payload",
];

#[test]
fn acceptance_6_no_level_of_the_log_shows_secrets_bodies_or_credentials() {
    for level in ["DEBUG", "NOTSET"] {
        let bench = Bench::new();
        bench.web.on("/good", Answer::ok("canary-body-good").etag("\"1\"")).on("/dead", Answer::hang());
        bench.web.on("/cut", Answer::cut("canary-body-good and more of it", 20));
        bench.script("ends", "#!/bin/sh\nexit 1\n");
        let url = |path: &str| bench.web.url(path).replace("http://", "http://canary-user-in-url@") + "?q=canary-token-in-query";
        let (good, dead, cut) = (url("/good"), url("/dead"), url("/cut"));
        bench
            .setup
            .cluster
            .secret("s", &[("plain", "canary-secret-value"), ("good.url", &good), ("dead.url", &dead), ("cut.url", &cut)])
            .create();
        bench.setup.cluster.configmap("m", &[("far.url", &good)]).create();
        let builder = bench.hooked().env("SCRIPT", &text(&bench.setup.beside("ends"))).env("LOG_LEVEL", level).env("RESYNC", "1");
        let builder = builder.env("REQ_USERNAME", "admin").env("REQ_PASSWORD", "canary-password").env("REQ_PAYLOAD", "canary-payload");
        let projector = healthy(&builder.env("REQ_RETRY_TOTAL", "1").env("REQ_TIMEOUT", "0.2"));
        bench.setup.holds(
            &tree! { "plain" => "canary-secret-value", "good" => "canary-body-good", "far" => "canary-body-good", "dead" => "", "cut" => "" },
        );
        bench.web.wait_for("/reload", 2);
        bench.web.on("/good", Answer::ok("canary-body-later").etag("\"2\""));
        bench.setup.cluster.set_secret("s", &[("plain", "canary-secret-later")]);
        bench.setup.holds(&tree! { "plain" => "canary-secret-later", "far" => "canary-body-later" });
        bench.web.clear_requests();
        bench.web.wait_for("/good", 2);
        projector.assert_no_leak(&CANARIES);
        assert!(projector.output().contains(&format!("Request sent to {}. Response: 200 OK\"", bench.web.url("/good"))));
    }
}

#[test]
fn acceptance_6_a_value_that_is_no_url_is_not_shown_either() {
    let bench = Bench::new();
    for (name, value) in
        [("a", "canary-no-url"), ("b", "ftp://canary-user@example.com/x"), ("c", "http://canary-host:port/x"), ("d", "http:canary-odd")]
    {
        bench.setup.cluster.secret(name, &[(format!("{name}.url").as_str(), value)]).create();
    }
    let projector = healthy(&bench.plain().env("LOG_LEVEL", "DEBUG").env("REQ_RETRY_TOTAL", "0").env("REQ_RETRY_CONNECT", "0"));
    bench.setup.holds(&tree! { "a" => "", "b" => "", "c" => "", "d" => "" });
    projector.assert_no_leak(&["canary-no-url", "canary-user", "canary-host:port"]);
}

/// A URL with a canary in each part that may not be shown.
fn planted(url: &str) -> String {
    url.replace("http://", "http://canary-in-user:canary-in-password@") + "/canary-in-path?q=canary-in-query#canary-in-fragment"
}

const IN_PARTS: [&str; 5] = ["canary-in-user", "canary-in-password", "canary-in-path", "canary-in-query", "canary-in-fragment"];

#[test]
fn s7_no_more_of_a_secrets_url_is_shown_than_its_origin() {
    let bench = Bench::new();
    // What servers like to say: what they were asked for.
    bench.web.on("/a/canary-in-path", Answer::status(404).body("no such page: canary-in-path?q=canary-in-query"));
    bench.web.on("/b/canary-in-path", Answer::status(503)).on("/reload/canary-in-path", Answer::status(503));
    bench.web.on(
        "/c/canary-in-path",
        Answer::redirect("http://canary-in-user:canary-in-password@169.254.169.254/canary-in-path?canary-in-query"),
    );
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (name, url) in [("a", bench.web.url("/a")), ("b", bench.web.url("/b")), ("c", bench.web.url("/c")), ("d", nobody.clone())] {
        bench.setup.cluster.secret(name, &[(&format!("{name}.url"), planted(&url).as_str())]).create();
    }
    for (name, value) in [("e", "canary-in-user:canary-in-password"), ("f", "ftp://canary-in-user@files.example/canary-in-path")] {
        bench.setup.cluster.secret(name, &[(&format!("{name}.url"), value)]).create();
    }
    for own_words in [false, true] {
        let builder =
            bench.hooked().env("LOG_LEVEL", "DEBUG").env("REQ_RETRY_TOTAL", "1").env("REQ_URL", &planted(&bench.web.url("/reload")));
        let builder = if own_words {
            builder.env("PROFILE", "").env("LABEL", "find").env("URL_KEYS", "true").env("EVENT_LOGGING", "true")
        } else {
            builder
        };
        let mut projector = builder.start();
        wait_until("every failure", DEADLINE, || {
            let log = projector.output();
            let told = log.lines().filter(|line| line.contains("a file behind a URL cannot be had")).count();
            let reacted = log.contains("Max retries exceeded") || log.contains("the application was not told, trying again later");
            if told == 6 && reacted { Ok(()) } else { Err(log) }
        });
        let log = projector.output();
        let shown: &[&str] =
            if own_words { &IN_PARTS } else { &["canary-in-user", "canary-in-password", "canary-in-query", "canary-in-fragment"] };
        assert_no_leak("the log", &log, shown);
        for line in log.lines().filter(|line| line.contains("canary-in-path")) {
            let is_quote = line.contains("Request sent to") || line.contains("Max retries exceeded for URL");
            assert!(is_quote && line.contains(&bench.web.url("/reload/canary-in-path")), "{line}");
        }
        if own_words {
            bench.setup.cluster.set_secret("a", &[("a.url", planted(&bench.web.url("/a")).as_str()), ("near", "1")]);
            bench.setup.event("a", "FilesWritten");
            let events: Vec<_> = ["a", "b", "c", "d", "e", "f"].into_iter().flat_map(|name| bench.setup.cluster.events_for(name)).collect();
            assert_no_leak("an Event", serde_json::Value::from(events).to_string(), &IN_PARTS);
        }
        assert_no_leak("health", projector.health().1.to_string() + &projector.ready().1.to_string(), &IN_PARTS);
        assert_eq!(projector.terminate().code(), Some(0));
    }
}

#[test]
fn s7_c2_the_quoted_lines_keep_the_path_of_a_config_maps_url_and_say_why() {
    let bench = Bench::new();
    bench.web.on("/a/canary-in-path", Answer::status(503));
    bench.setup.cluster.configmap("a", &[("a.url", &planted(&bench.web.url("/a")))]).create();
    let projector = healthy(&bench.plain().env("REQ_RETRY_TOTAL", "0"));
    let path = bench.web.url("/a/canary-in-path");
    projector.wait_output(&format!("Max retries exceeded for URL {path}: answered 503 Service Unavailable"));
    projector.wait_output(&format!("Request sent to {path}. Response: 503 Service Unavailable"));
    projector.assert_no_leak(&["canary-in-user", "canary-in-password", "canary-in-query", "canary-in-fragment"]);
}
