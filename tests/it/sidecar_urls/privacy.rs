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
