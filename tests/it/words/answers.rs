//! What servers answer.

use super::*;

/// Every try at once, and few.
fn quick(builder: Builder, web: &WebServer) -> Builder {
    let builder = builder.env("REQ_URL", &web.url("/reload")).env("REQ_METHOD", "POST");
    builder.env("REQ_RETRY_TOTAL", "1").env("REQ_RETRY_BACKOFF_FACTOR", "0")
}

#[test]
fn r13_what_an_application_answers_is_a_warning_in_the_log_and_a_length_elsewhere() {
    let bench = Bench::new();
    let web = WebServer::start();
    web.on("/reload", Answer::status(503).body(format!("groups[3]: bad expression {}", "x".repeat(1000))));
    let projector = started(&quick(bench.plain(), &web));
    projector.wait_output("groups[3]: bad expression xxx");
    let output = projector.output();
    let line = output.lines().find(|line| line.contains("groups[3]")).unwrap();
    assert!(line.contains("\"WARN\"") && (200..=256).contains(&line.matches('x').count()), "{line}");
    wait_until("the failure in health", DEADLINE, || {
        let told = projector.health().1;
        let why = told["reload_failure"].as_str().unwrap_or_default();
        if why.ends_with("answered 503 Service Unavailable, 1026 bytes said: see the log") { Ok(()) } else { Err(told) }
    });
    assert!(!bench.told(&projector).contains("groups[3]"), "{}", bench.told(&projector));
}

#[test]
fn r13_canary_an_answer_that_echoes_is_not_repeated_while_an_unchanged_secret_is_ours() {
    for is_sidecar in [false, true] {
        for code in [200, 400, 503] {
            let bench = Bench::new();
            bench.secret();
            let web = WebServer::start();
            web.on("/reload", Answer::status(code).body(format!("what I read: {CANARY}")));
            let builder = quick(bench.plain(), &web).env("LOG_LEVEL", if is_sidecar { "DEBUG" } else { "trace" });
            let builder = if is_sidecar { bench.as_sidecar(builder) } else { builder };
            let mut projector = builder.start();
            web.wait_for("/reload", 1);
            bench.edit("2");
            web.wait_for("/reload", 2);
            projector.assert_no_leak(&[CANARY]);
            assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
            if code == 200 {
                continue;
            }
            projector.wait_output(WITHHELD);
            projector.terminate();
            bench.says_all(&builder);
        }
    }
}

#[test]
fn r13_an_answer_that_may_repeat_credentials_or_the_payload_is_not_repeated() {
    for is_sidecar in [false, true] {
        let sent: [&[(&str, &str)]; 2] = [&[("REQ_USERNAME", "u"), ("REQ_PASSWORD", CANARY)], &[("REQ_PAYLOAD", CANARY)]];
        for variables in sent {
            let bench = Bench::new();
            let web = WebServer::start();
            web.on("/reload", Answer::status(400).body(format!("you sent {CANARY}")));
            let builder = quick(bench.plain(), &web).env("LOG_LEVEL", "DEBUG");
            let builder = if is_sidecar { bench.as_sidecar(builder) } else { builder };
            let builder = variables.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
            let projector = builder.start();
            projector.wait_output(WITHHELD);
            projector.assert_no_leak(&[CANARY]);
        }
    }
}

#[test]
fn r13_an_answer_that_may_repeat_a_token_or_headers_is_repeated_never() {
    for is_sidecar in [false, true] {
        let bench = Bench::new();
        let (token, lines) = (bench.setup.beside("token"), bench.setup.beside("lines"));
        put(&token, CANARY);
        let header = format!("X-Token: {CANARY}");
        put(&lines, &header);
        for (name, value) in [("REQ_TOKEN_FILE", &*text(&token)), ("REQ_HEADERS_FILE", &text(&lines)), ("REQ_HEADERS", &header)] {
            let web = WebServer::start();
            web.on("/reload", Answer::status(400).body(format!("you sent {CANARY}")));
            let builder = quick(bench.plain(), &web).env("LOG_LEVEL", "DEBUG").env("REACT_OUTPUT", "always").env(name, value);
            let mut projector = if is_sidecar { bench.as_sidecar(builder) } else { builder }.start();
            projector.wait_output("withheld, as it may repeat what is shown nowhere: 32 bytes");
            projector.assert_no_leak(&[CANARY]);
            assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
            projector.terminate();
        }
    }
}

#[test]
fn r13_what_servers_of_url_keys_answer_is_not_repeated_while_a_secret_is_ours() {
    let bench = Bench::new();
    bench.secret();
    let web = WebServer::start();
    web.on("/far", Answer::status(403).body(format!("who asks: {CANARY}")));
    let builder = bench.as_sidecar(bench.plain()).env("REQ_RETRY_TOTAL", "0").env("LOG_LEVEL", "DEBUG");
    let projector = builder.start();
    wait_for("the Secret's file", DEADLINE, || bench.setup.path("secret").exists());
    bench.setup.cluster.configmap("far", &[("far.url", &web.url("/far"))]).create();
    projector.wait_output("Response: 403 Forbidden");
    projector.assert_no_leak(&[CANARY]);
}

#[test]
fn r13_canary_an_answer_that_echoes_a_secret_is_not_repeated_at_the_slow_pace_nor_after_a_restart() {
    for is_sidecar in [false, true] {
        let bench = Bench::new();
        bench.secret();
        let web = WebServer::start();
        let body = format!("what I read: {CANARY}");
        web.on("/reload", Answer::status(503).body(body.clone()));
        let builder = quick(bench.plain(), &web).env("FINALIZERS", "false").env("LOG_LEVEL", if is_sidecar { "DEBUG" } else { "trace" });
        let builder = if is_sidecar { bench.as_sidecar(builder) } else { builder };
        let mut projector = builder.start();
        let silent = |projector: &Projector, requests: usize| {
            web.wait_for("/reload", web.count("/reload") + requests);
            let why = || projector.ready().1["owed"][0]["why"].clone();
            let expected = format!("{}: answered 503 Service Unavailable, {} bytes said: see the log", web.origin(), body.len());
            wait_until("why it is owed, in health", DEADLINE, || if why() == *expected { Ok(()) } else { Err(why()) });
            projector.assert_no_leak(&[CANARY]);
            assert_no_leak("health and Events", bench.told(projector), &[CANARY]);
            projector.wait_output(WITHHELD);
        };
        // Two quick ones, and the first at the slow pace.
        silent(&projector, 3);
        // It is gone, but who was not told of that may know it still.
        bench.setup.cluster.delete("secrets", "s");
        wait_for("the end of the Secret's file", DEADLINE, || !bench.setup.path("secret").exists());
        silent(&projector, 2);
        projector.terminate();
        // The next process never saw it.
        let projector = builder.start();
        silent(&projector, 3);
        web.on("/reload", Answer::ok(""));
        wait_until("the application was told", DEADLINE, || {
            let body = projector.ready().1;
            if body["owed"].is_null() && body["ready"] == true { Ok(()) } else { Err(body) }
        });
        web.on("/reload", Answer::status(400).body("words for people"));
        bench.edit("2");
        projector.wait_output("words for people");
        projector.assert_no_leak(&[CANARY]);
    }
}

#[test]
fn r13_where_no_secret_was_ours_a_restart_keeps_nothing_from_people() {
    let bench = Bench::new();
    let web = WebServer::start();
    web.on("/reload", Answer::status(400).body("words for people"));
    let builder = quick(bench.plain(), &web);
    for _ in 0..2 {
        let mut projector = builder.start();
        projector.wait_output("words for people");
        projector.terminate();
    }
}

#[test]
fn r13_canary_a_pod_that_is_asked_and_echoes_is_not_repeated_while_an_unchanged_secret_is_ours() {
    let bench = Bench::new();
    bench.secret();
    let (web, cluster) = (WebServer::start(), &bench.setup.cluster);
    let status = json!({"phase": "Running", "podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]});
    cluster.pod("replica").label("app", "web").status(status).create();
    web.on("/reload", Answer::status(400).body(format!("what I read: {CANARY}")));
    let builder = bench.plain().env("REQ_URL", &format!("http://{{pod}}:{}/reload", web.port())).env("LOG_LEVEL", "trace");
    let builder = builder.env("EXEC_LABELS", "app=web").env("EXEC_NAMESPACE", cluster.namespace());
    let mut projector = builder.start();
    projector.wait_output("\"answer\":\"withheld, as files of ours may be a Secret's (REACT_OUTPUT): 36 bytes\"");
    web.wait_for("/reload", 2);
    wait_until("why it is owed, in health", DEADLINE, || {
        let told = projector.health().1;
        let why = told["owed"][0]["why"].as_str().unwrap_or_default();
        if why.starts_with("in 1 of 1 pods, replica: ") && why.ends_with(", 36 bytes said: see the log") { Ok(()) } else { Err(told) }
    });
    projector.assert_no_leak(&[CANARY]);
    assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
    projector.terminate();
    let projector = builder.env("REACT_OUTPUT", "always").start();
    projector.wait_output(CANARY);
    assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
}
