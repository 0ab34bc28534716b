//! REQ_TOKEN_FILE, REQ_HEADERS and REQ_HEADERS_FILE: who gets them, and that nobody else ever sees them.

use crate::common::{Setup, count, put, started};
use crate::support::projector::Builder;
use crate::support::*;

const CANARIES: [&str; 4] = ["canary-token", "canary-header", "canary-in-file", "canary-later"];

/// A projector that asks a server, with all three settings.
struct Bench {
    setup: Setup,
    web: WebServer,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { setup: Setup::new(), web: WebServer::start() };
        bench.web.on("/reload", Answer::ok(""));
        put(&bench.setup.beside("token"), "canary-token\n");
        put(&bench.setup.beside("headers"), "X-File: canary-in-file\n");
        bench
    }

    fn beside(&self, name: &str) -> String {
        self.setup.beside(name).display().to_string()
    }

    /// Without a URL.
    fn plain(&self) -> Builder {
        let builder = self.setup.projector().env("REQ_TOKEN_FILE", &self.beside("token")).env("REQ_HEADERS_FILE", &self.beside("headers"));
        builder.env("REQ_HEADERS", "X-Given: canary-header\nAccept: text/plain").env("REQ_RETRY_BACKOFF_FACTOR", "0.02")
    }

    fn projector(&self) -> Builder {
        self.plain().env("REQ_URL", &self.web.url("/reload")).env("REQ_METHOD", "POST")
    }

    fn change(&self, value: &str) {
        match self.setup.cluster.get("configmaps", "a") {
            None => self.setup.cluster.configmap("a", &[("a", value)]).create(),
            Some(_) => self.setup.cluster.set_data("a", &[("a", value)]),
        };
    }
}

/// What of ours a request carried.
fn carried(request: &Received) -> [Option<&str>; 3] {
    ["authorization", "x-given", "x-file"].map(|name| request.header(name))
}

const ALL: [Option<&str>; 3] = [Some("Bearer canary-token"), Some("canary-header"), Some("canary-in-file")];
const NOTHING: [Option<&str>; 3] = [None, None, None];

#[test]
fn they_go_to_req_url_and_to_origins_that_are_listed_and_to_nobody_else() {
    let bench = Bench::new();
    let [friend, stranger] = [WebServer::start(), WebServer::start()];
    for web in [&bench.web, &friend, &stranger] {
        web.on("/f", Answer::ok("1"));
    }
    friend.on("/away", Answer::redirect(&stranger.url("/f")));
    // Whoever is sent away from REQ_URL finds nothing there.
    bench.web.on("/reload", Answer::redirect(&stranger.url("/reload")).with_status(307));
    stranger.on("/reload", Answer::ok(""));
    let urls = [bench.web.url("/f"), friend.url("/f"), friend.url("/away"), stranger.url("/f")];
    let keys: Vec<(String, &String)> = urls.iter().enumerate().map(|(at, url)| (format!("{at}.url"), url)).collect();
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, url)| (key.as_str(), url.as_str())).collect();
    bench.setup.cluster.configmap("far", &keys).create();
    let builder = bench.projector().env("URL_KEYS", "true").env("URL_CREDENTIAL_ORIGINS", &friend.origin()).env("METHOD", "LIST");
    let finished = builder.env("LOG_LEVEL", "trace").run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    bench.setup.holds(&tree! { "0" => "1", "1" => "1", "2" => "1", "3" => "1" });
    for (web, path, expected) in [(&bench.web, "/f", ALL), (&friend, "/f", ALL), (&friend, "/away", ALL), (&bench.web, "/reload", ALL)] {
        let requests = web.requests_to(path);
        assert_eq!((requests.len(), carried(&requests[0]), requests[0].header("accept")), (1, expected, Some("text/plain")), "{path}");
    }
    let strange = stranger.requests();
    assert_eq!((strange.len(), strange.iter().all(|request| carried(request) == NOTHING)), (3, true));
    assert_no_leak("the log", finished.stderr, &CANARIES);
}

#[test]
fn nothing_is_sent_before_the_files_are_there_and_they_are_read_again_each_time() {
    let bench = Bench::new();
    let token = bench.setup.beside("token");
    std::fs::remove_file(&token).unwrap();
    let projector = started(&bench.projector().env("REQ_RETRY_CONNECT", "100"));
    bench.change("1");
    projector.wait_output(&format!("REQ_TOKEN_FILE=\\\"{}\\\": No such file", token.display()));
    assert_eq!(bench.web.connections(), 0, "{}", projector.output());
    put(&token, "canary-token");
    assert_eq!(carried(&bench.web.wait_for("/reload", 1)[0]), ALL);
    put(&token, "canary-later");
    put(&bench.setup.beside("headers"), "X-File: canary-in-file\nX-Given: canary-later");
    bench.change("2");
    let later = [Some("Bearer canary-later"), Some("canary-later"), Some("canary-in-file")];
    assert_eq!(carried(&bench.web.wait_for("/reload", 2)[1]), later);
    projector.assert_no_leak(&CANARIES);
}

#[test]
fn no_output_shows_them_whatever_a_server_says_of_them() {
    for profile in ["default", "k8s-sidecar"] {
        let bench = Bench::new();
        let repeats = CANARIES[..3].join(" ");
        let answers = [400, 500, 200].map(|status| Answer::status(status).body(&repeats).header("WWW-Authenticate", &repeats));
        bench.web.on_each("/reload", answers.to_vec());
        let builder = bench.projector().env("PROFILE", profile).env("EVENT_LOGGING", "true");
        let builder = builder.env("LOG_LEVEL", if profile == "default" { "trace" } else { "NOTSET" });
        for command in ["check", "plan"] {
            let finished = builder.clone().arg(command).run();
            assert_no_leak(command, finished.stdout + &finished.stderr, &CANARIES);
        }
        let projector = started(&builder);
        for (edit, requests) in [("1", 1), ("2", 3)] {
            bench.change(edit);
            bench.web.wait_for("/reload", requests);
        }
        assert!(bench.web.requests().iter().all(|request| carried(request) == ALL));
        bench.setup.event("a", "FilesWritten");
        projector.assert_no_leak(&CANARIES);
        assert_no_leak("Events", serde_json::Value::from(bench.setup.cluster.events_for("a")).to_string(), &CANARIES);
    }
}

#[test]
fn what_would_tell_everybody_ends_with_2_and_shows_nothing() {
    let bench = Bench::new();
    let url = ("REQ_URL", "http://127.0.0.1:1/reload");
    let table: [(&[(&str, &str)], &str); 6] = [
        (&[], "goes to nobody"),
        (&[("URL_KEYS", "true")], "goes to nobody"),
        (&[url, ("URL_CREDENTIAL_ORIGINS", "*")], "never goes to every server"),
        (&[url, ("REQ_PASSWORD", "canary-token")], "cannot be used together with REQ_PASSWORD"),
        (&[url, ("REQ_PASSWORD_FILE", "/canary")], "cannot be used together with REQ_PASSWORD"),
        (&[url, ("REQ_HEADERS", "canary-header")], "REQ_HEADERS=\"***\": expected `name: value` in line 1"),
    ];
    for (variables, expected) in table {
        let builder = variables.iter().fold(bench.plain(), |builder, (name, value)| builder.env(name, value));
        let finished = builder.run();
        assert_eq!(finished.code, Some(2), "{variables:?}: {}", finished.stderr);
        assert!(count(&finished.stderr, expected) > 0, "{variables:?}: {}", finished.stderr);
        assert_no_leak("the problems", finished.stderr, &CANARIES);
    }
}

#[test]
fn a_script_has_them_only_where_it_is_to_have_everything() {
    for (environment, expected) in [("clean", 0), ("all", 1)] {
        let bench = Bench::new();
        let (script, seen) = (bench.setup.beside("script"), bench.setup.beside("seen"));
        put(&script, format!("env > {0}.new && mv {0}.new {0}\n", seen.display()));
        bench.change("1");
        let builder = bench.projector().env("SCRIPT", &script.display().to_string()).env("SCRIPT_ENV", environment);
        let finished = builder.env("PATH", "/usr/bin:/bin").env("METHOD", "LIST").run();
        let environment = std::fs::read_to_string(&seen).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        assert_eq!(count(&environment, "canary-header"), expected, "{environment}");
    }
}
