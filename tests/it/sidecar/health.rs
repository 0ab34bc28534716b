//! Contract 1.9: `/healthz`, and a port that is somebody else's.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{plain, sidecar};
use crate::common::{Setup, count, started};
use crate::support::http::Client;
use crate::support::*;

/// Status, text and type of an answer of the health server.
fn asked(projector: &Projector, method: &str, path: &str) -> (u16, String, String) {
    let response = Client::http("127.0.0.1", projector.port()).send(method, path, &[], &[]);
    let kind = response.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
    (response.status, response.text(), kind.unwrap_or_default())
}

/// What follows HEAD: headers that announce a body, and no body.
fn head(projector: &Projector) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", projector.port())).unwrap();
    stream.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The texts that probes get, whether or not anybody listens yet.
fn says(projector: &Projector, code: u16, text: &str) {
    wait_until(&format!("{code} {text} from /healthz"), DEADLINE, || {
        if projector.health().0 == 0 {
            return Err((0, String::new()));
        }
        let (status, body, kind) = asked(projector, "GET", "/healthz");
        assert_eq!(kind, "text/plain; charset=utf-8");
        if (status, body.as_str()) == (code, text) { Ok(()) } else { Err((status, body)) }
    });
}

#[test]
fn keep_1_9_healthz_has_the_paths_codes_and_texts_of_the_original() {
    let setup = Setup::new();
    let projector = started(&sidecar(&setup));
    let plain = "text/plain; charset=utf-8";
    let expected = [("/healthz", 200, "OK"), ("/healthz?x=y", 404, "Not Found"), ("/", 404, "Not Found"), ("/healthz/", 404, "Not Found")];
    for (path, code, text) in expected {
        assert_eq!(asked(&projector, "GET", path), (code, text.to_owned(), plain.to_owned()), "{path}");
    }
    for method in ["POST", "PUT"] {
        assert_eq!(asked(&projector, method, "/healthz").0, 501, "{method}");
    }
    assert!(head(&projector).starts_with("HTTP/1.1 501 "), "{}", head(&projector));
    assert!(!projector.output().contains("healthz"), "requests are not logged: {}", projector.output());
}

#[test]
fn keep_1_9_not_ready_until_everything_is_listed_then_ok() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let server = setup.cluster.server();
    let fault = server.fault(Matcher::reads("secrets"), Times::Always, Fault::status(503));
    let projector = sidecar(&setup).start();
    says(&projector, 503, "NOT READY");
    setup.holds(&tree! { "a" => "1" });
    says(&projector, 503, "NOT READY");
    server.clear(fault);
    says(&projector, 200, "OK");
}

#[test]
fn fix_1_9_outage_of_the_api_restarts_nothing_unless_health_stale_after_says_so() {
    let setup = Setup::in_process();
    let server = setup.cluster.server();
    let patient = started(&plain(&setup));
    let other = setup.beside("other");
    let ledger = setup.beside("other-ledger").display().to_string();
    let stale = started(&plain(&setup).folder(&other).env("LEDGER", &ledger).env("HEALTH_STALE_AFTER", "1"));
    server.stop();
    says(&stale, 503, "NOT LIVE (K8s contact lost)");
    says(&patient, 200, "OK");
    server.restart();
    says(&stale, 200, "OK");
}

#[test]
fn fix_1_9_watch_that_is_refused_for_ever_is_told_by_health_stale_after_or_readyz() {
    let setup = Setup::in_process();
    let projector = started(&plain(&setup));
    let fault = setup.cluster.server().fault(Matcher::reads("configmaps"), Times::Always, Fault::status(403));
    setup.cluster.server().drop_connections();
    wait_for("refusals", DEADLINE, || setup.cluster.server().hits(fault) >= 1);
    wait_for("the detail in /readyz", DEADLINE, || {
        projector.ready().1["watches"][0]["last_error"].as_str().is_some_and(|error| error.contains("403"))
    });
    assert!(projector.output().contains("403"), "{}", projector.output());
}

#[test]
fn keep_1_9_both_families_are_served_unless_health_host_names_one() {
    let setup = Setup::new();
    let answers = |projector: &Projector, host: &str| Client::http(host, projector.port()).try_send("GET", "/healthz", &[], &[]).is_ok();
    let both = started(&plain(&setup));
    assert!(answers(&both, "127.0.0.1") && answers(&both, "::1"));
    drop(both);
    let one = started(&plain(&setup).env("HEALTH_HOST", "0.0.0.0"));
    assert_eq!((answers(&one, "127.0.0.1"), answers(&one, "::1")), (true, false));
}

/// A launch whose health endpoint cannot be served works on.
fn harmless(port: &str, host: &str) {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = plain(&setup).env("HEALTH_PORT", port).env("HEALTH_HOST", host).start();
    setup.holds(&tree! { "a" => "1" });
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
    assert_eq!(projector.terminate().code(), Some(0), "HEALTH_PORT={port} HEALTH_HOST={host}: {}", projector.output());
}

#[test]
fn keep_1_1_bad_health_port_or_host_is_harmless() {
    harmless("http", "");
    harmless("tcp://10.0.0.1:8080", "");
    harmless("99999", "");
    harmless("0", "not an address");
    harmless("0", "192.0.2.1");
}

#[test]
fn keep_1_1_copies_with_one_health_port_all_work() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut first = started(&plain(&setup));
    let port = first.port().to_string();
    let copy = |name: &str| {
        let (folder, ledger) = (setup.beside(name), setup.beside(&format!("{name}-ledger")));
        (folder.clone(), plain(&setup).folder(&folder).env("LEDGER", &ledger.display().to_string()).env("HEALTH_PORT", &port).start())
    };
    let mut copies = [copy("second"), copy("third")];
    for (folder, _) in &copies {
        wait_tree(folder, &tree! { "a" => "1" });
    }
    setup.cluster.set_data("a", &[("a", "2")]);
    for (folder, projector) in &mut copies {
        wait_tree(folder, &tree! { "a" => "2" });
        assert_eq!(count(&projector.output(), "health endpoints not served"), 1, "{}", projector.output());
        assert_eq!(projector.terminate().code(), Some(0));
    }
    assert_eq!(first.health().0, 200);
    assert_eq!(first.terminate().code(), Some(0));
}
