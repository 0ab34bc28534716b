//! Who gets REQ_USERNAME and REQ_PASSWORD. Acceptance 3 of issue 4.

use crate::common::count;
use crate::sidecar_hooks::{Bench, completed};
use crate::support::projector::Builder;
use crate::support::*;

const PASSWORD: &str = "canary-password";

/// A server that answers every file of these tests.
fn server() -> WebServer {
    let web = WebServer::start();
    web.on("/f", Answer::ok("1"));
    web
}

/// What each request to this server's file carried.
fn carried(web: &WebServer) -> Vec<Option<Vec<u8>>> {
    web.requests_to("/f").iter().map(Received::credentials).collect()
}

/// With credentials, as METHOD=LIST.
fn list(bench: &Bench) -> Builder {
    let builder = bench.plain().env("METHOD", "LIST").env("LOG_LEVEL", "DEBUG");
    builder.env("REQ_USERNAME", "admin").env("REQ_PASSWORD", PASSWORD)
}

fn sent() -> Option<Vec<u8>> {
    Some(format!("admin:{PASSWORD}").into_bytes())
}

#[test]
fn acceptance_3_only_the_origin_of_req_url_gets_credentials() {
    let (bench, foreign) = (Bench::new(), server());
    bench.web.on("/f", Answer::ok("1"));
    bench.far("own", "own", "/f");
    bench.far_at("foreign", "foreign", &foreign.url("/f"));
    // The same server under another name is another origin.
    bench.far_at("named", "named", &bench.web.url("/f?named").replace("127.0.0.1", "localhost"));
    let finished = completed(&list(&bench).env("REQ_URL", &bench.web.url("/reload")));
    assert_tree(&bench.setup.folder(), &tree! { "own" => "1", "foreign" => "1", "named" => "1" });
    assert_eq!(carried(&foreign), [None]);
    let by_query = |query: &str| bench.web.requests_to("/f").into_iter().find(|request| request.query == query).unwrap().credentials();
    assert_eq!((by_query(""), by_query("named"), bench.asked(1)[0].credentials()), (sent(), None, sent()));
    assert_eq!(count(&finished.stderr, "URL_CREDENTIAL_ORIGINS"), 0);
    assert_no_leak("the log", &finished.stderr, &[PASSWORD]);
}

#[test]
fn fix_1_7_url_credential_origins_lists_others_and_an_asterisk_means_everybody() {
    for (listed, expected) in [(true, [sent(), sent(), None]), (false, [sent(), sent(), sent()])] {
        let (bench, friend, foreign) = (Bench::new(), server(), server());
        bench.web.on("/f", Answer::ok("1"));
        bench.far("own", "own", "/f");
        bench.far_at("friend", "friend", &friend.url("/f"));
        bench.far_at("foreign", "foreign", &foreign.url("/f"));
        let origins = if listed { friend.origin() } else { "*".to_owned() };
        completed(&list(&bench).env("REQ_URL", &bench.web.url("/reload")).env("URL_CREDENTIAL_ORIGINS", &origins));
        assert_eq!([&bench.web, &friend, &foreign].map(|web| carried(web)[0].clone()), expected, "{origins}");
    }
}

#[test]
fn keep_1_7_without_req_url_every_server_gets_credentials_with_one_warning() {
    let (bench, one, two) = (Bench::new(), server(), server());
    bench.far_at("one", "one", &one.url("/f"));
    bench.far_at("two", "two", &two.url("/f"));
    let finished = completed(&list(&bench));
    assert_eq!([carried(&one), carried(&two)], [[sent()], [sent()]]);
    let warnings = finished.stderr.lines().filter(|line| line.contains("URL_CREDENTIAL_ORIGINS") && line.contains("WARNING")).count();
    assert_eq!(warnings, 1, "{}", finished.stderr);
    // With the list there is nothing to warn of.
    let (bench, one, two) = (Bench::new(), server(), server());
    bench.far_at("one", "one", &one.url("/f"));
    bench.far_at("two", "two", &two.url("/f"));
    let finished = completed(&list(&bench).env("URL_CREDENTIAL_ORIGINS", &one.origin()));
    assert_eq!([carried(&one), carried(&two)], [[sent()], [None]]);
    assert_eq!(count(&finished.stderr, "go to every server"), 0);
}

#[test]
fn keep_1_7_a_redirect_to_a_foreign_origin_carries_no_credentials() {
    let (bench, foreign) = (Bench::new(), server());
    for status in [301, 302, 303, 307, 308] {
        let path = format!("/{status}");
        bench.web.on(&path, Answer::redirect(&foreign.url("/f")).with_status(status));
        bench.far(&status.to_string(), &status.to_string(), &path);
    }
    completed(&list(&bench).env("REQ_URL", &bench.web.url("/reload")));
    assert_eq!(carried(&foreign), vec![None; 5]);
    assert!(bench.web.requests().iter().all(|request| request.credentials() == sent()));
}

#[test]
fn fix_1_7_credentials_in_a_url_go_to_its_origin_and_never_into_the_log() {
    let (bench, other, foreign) = (Bench::new(), server(), server());
    other.on("/r", Answer::redirect(&foreign.url("/f")));
    let with = |path: &str| other.url(path).replace("http://", "http://someone:canary-in-url@");
    bench.far_at("a", "a", &with("/f?token=canary-query"));
    bench.far_at("b", "b", &with("/r"));
    bench.far_at("c", "c", &with("/missing?token=canary-query"));
    let finished = completed(&list(&bench).env("REQ_URL", &bench.web.url("/reload")));
    assert_eq!((carried(&other), carried(&foreign)), (vec![Some(b"someone:canary-in-url".to_vec())], vec![None]));
    assert_eq!(count(&finished.stderr, &format!("Request sent to {}. Response: 200 OK", other.url("/f"))), 1);
    assert_no_leak("the log", &finished.stderr, &["canary-in-url", "canary-query", PASSWORD]);
}

#[test]
fn keep_1_2_files_of_credentials_are_read_again_for_each_download() {
    let bench = Bench::new();
    bench.web.on("/f", Answer::ok("1"));
    bench.far("f", "f", "/f");
    let file = bench.setup.beside("password");
    crate::common::put(&file, "first\n");
    let builder = bench.plain().env("REQ_URL", &bench.web.url("/reload")).env("REQ_USERNAME", "admin");
    let builder = builder.env("REQ_PASSWORD_FILE", &file.display().to_string()).env("RESYNC", "1");
    let _projector = crate::sidecar_hooks::healthy(&builder);
    bench.web.wait_for("/f", 1);
    crate::common::put(&file, "second\n");
    let second = || carried(&bench.web).contains(&Some(b"admin:second".to_vec()));
    wait_for("a download with the new password", DEADLINE, second);
    assert_eq!(carried(&bench.web)[0], Some(b"admin:first".to_vec()));
}
