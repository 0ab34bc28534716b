//! Requests against scripted servers.

use super::*;
use crate::config::read::web::{BasicCredentials, Encoding, Headers, Redacted, TextOrFile, WebSettings};
use crate::core::discretion::{Discretion, ReactOutput};
use crate::core::retry::RetryReason;
use crate::web::stub::{Lines, Reply, server};

const RETRY: Retry = Retry { total: 3, connect: 4, read: 5, backoff: Duration::ZERO };

fn web(username: &str, encoding: Encoding) -> WebSettings {
    let given = |text: &str| TextOrFile { file: None, text: Some(Redacted(text.to_owned())) };
    WebSettings {
        timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(5),
        retry: RETRY,
        skip_tls_verify: false,
        ca_bundle: None,
        server_errors_are_final: false,
        headers: Headers::default(),
        credentials: BasicCredentials { username: given(username), password: given("p"), encoding },
    }
}

fn request(url: &str, method: &str, payload: Option<&str>) -> AskUrl {
    request_with(&web("", Encoding::Latin1), url, method, payload, Wording::Own)
}

fn request_with(web: &WebSettings, url: &str, method: &str, payload: Option<&str>, wording: Wording) -> AskUrl {
    let payload = payload.map(|payload| Redacted(payload.to_owned()));
    let call = ReloadRequest { url: Redacted(url.to_owned()), method: method.to_owned(), payload, skips_initial: true };
    AskUrl::new(Asker::new(call, Client::new(web).unwrap(), wording, Discretion::default().listener()), RETRY)
}

#[tokio::test]
async fn a_payload_is_sent_byte_for_byte() {
    let stub = server(|_| Reply::new("204 No Content", "", "")).await;
    let payload = "{\"a\": \"ä\\u0000\",  \"b\":[1 ]}";
    assert_eq!(request(&stub.url("/reload?token=x"), "POST", Some(payload)).fire(&[]).await, Ok(()));
    let asked = &stub.asked()[0];
    let agent = concat!("kube-projector/", env!("CARGO_PKG_VERSION"));
    let head = format!(
        "POST /reload?token=x HTTP/1.1\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: {agent}\r\nhost: {}\r\n\
         content-length: {}\r\n\r\n",
        stub.address,
        payload.len()
    );
    assert_eq!((&*asked.head, &*asked.body), (&*head, payload.as_bytes()));
}

#[tokio::test]
async fn without_a_payload_the_body_is_empty_and_has_no_type() {
    let stub = server(|_| Reply::new("200 OK", "", "fine")).await;
    for method in ["POST", "PUT", "PATCH", "GET"] {
        assert_eq!(request(&stub.url("/"), method, None).fire(&[]).await, Ok(()));
        let asked = stub.asked().pop().unwrap();
        assert_eq!((asked.line(), asked.header("content-type")), (&*format!("{method} /"), None));
        assert_eq!(asked.header("content-length"), (method != "GET").then_some("0"), "{method}");
    }
    assert_eq!(request(&stub.url("/"), "GET", Some("{}")).fire(&[]).await, Ok(()));
    assert_eq!((stub.asked()[4].header("content-type"), stub.asked()[4].body.len()), (None, 0));
}

#[tokio::test]
async fn credentials_go_to_the_url_in_the_encoding_asked_for_and_nowhere_else() {
    let foreign = server(|_| Reply::new("200 OK", "", "")).await;
    let there = foreign.url("/");
    let stub = server(move |_| Reply::redirect(307, &there)).await;
    let mut request = request_with(&web("jörg", Encoding::Latin1), &stub.url("/"), "POST", Some("{}"), Wording::Own);
    assert_eq!(request.fire(&[]).await, Ok(()));
    // printf 'j\xf6rg:p' | base64
    assert_eq!(stub.asked()[0].header("authorization"), Some("Basic avZyZzpw"));
    let asked = &foreign.asked()[0];
    assert_eq!((asked.line(), &*asked.body, asked.header("authorization")), ("POST /", &b"{}"[..], None));
    let mut request = request_with(&web("j€", Encoding::Latin1), &stub.url("/"), "POST", None, Wording::Own);
    assert!(
        matches!(request.fire(&[]).await, Err(Fault { kind: FaultKind::Answered(_), why }) if why.starts_with("REQ_BASIC_AUTH_ENCODING"))
    );
}

#[tokio::test]
async fn redirects_change_methods_as_requests_does() {
    let stub = server(|asked| match asked.path() {
        "/done" => Reply::new("200 OK", "", ""),
        code => Reply::redirect(code[1..].parse().unwrap(), "/done"),
    })
    .await;
    let table = [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 301, "PUT"),
        ("PUT", 303, "GET"),
        ("PATCH", 307, "PATCH"),
        ("POST", 308, "POST"),
    ];
    for (method, code, then) in table {
        assert_eq!(request(&stub.url(&format!("/{code}")), method, Some("{}")).fire(&[]).await, Ok(()));
        let asked = stub.asked().pop().unwrap();
        assert_eq!((asked.line(), asked.body.len()), (&*format!("{then} /done"), if code > 303 { 2 } else { 0 }), "{method} {code}");
    }
}

#[tokio::test]
async fn faults_say_whether_another_attempt_helps() {
    let stub = server(|asked| Reply::new(&format!("{} Odd", &asked.path()[1..4]), "Retry-After: 3\r\n", "canary")).await;
    for (code, trouble) in [(429, Some(RetryReason::Later)), (503, Some(RetryReason::Later)), (404, None), (401, None)] {
        let fault = request(&stub.url(&format!("/{code}?canary")), "POST", None).fire(&[]).await.unwrap_err();
        let name = http::StatusCode::from_u16(code).unwrap().canonical_reason().unwrap();
        let why = format!("{}: answered {code} {name}, 6 bytes said: see the log", stub.url(""));
        let wish = Some(Duration::from_secs(3));
        let kind = match trouble {
            Some(trouble) => FaultKind::Trouble(trouble, wish),
            None if code == 401 => FaultKind::Refused { credentials: None, wish },
            None => FaultKind::Answered(wish),
        };
        assert_eq!(fault, Fault::new(kind, why));
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = request(&format!("http://{nobody}"), "GET", None).fire(&[]).await.unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Trouble(RetryReason::Connect, _)), "{fault:?}");
}

#[test]
fn an_administrator_may_choose_any_address() {
    // Nothing is sent: somebody may listen there.
    assert_eq!(request("http://169.254.0.1/", "GET", None).rules.reach, Reach::Anywhere);
}

#[tokio::test]
async fn answers_are_logged_in_the_words_of_the_original() {
    let (lines, _guard) = Lines::collect();
    let stub = server(|asked| match asked.path().split('?').next().unwrap() {
        "/fine" => Reply::new("200 OK", "", "canary"),
        _ => Reply::new("403 Forbidden", "", "ä".repeat(300)),
    })
    .await;
    let url = |path: &str| stub.url(path).replace("http://", "http://canary:canary@") + "?token=canary";
    for path in ["/fine", "/refused"] {
        let _ = request_with(&web("", Encoding::Latin1), &url(path), "POST", None, Wording::Sidecar).fire(&[]).await;
    }
    let _ = request_with(&web("", Encoding::Latin1), &stub.url("/plain"), "POST", None, Wording::Sidecar).fire(&[]).await;
    let expected = [
        format!("INFO Request sent to {}. Response: 200 OK", stub.url("/fine")),
        // Its words may repeat what it was asked.
        format!("INFO Request sent to {}. Response: 403 Forbidden", stub.url("/refused")),
        format!("INFO Request sent to {}. Response: 403 Forbidden {}", stub.url("/plain"), "ä".repeat(256)),
    ];
    assert_eq!(lines.with("Request sent"), expected);
    assert_eq!(lines.with("canary"), Vec::<String>::new());
}

#[test]
fn the_runner_is_told_what_it_has_to_know() {
    let request = request("http://localhost", "GET", None);
    assert_eq!((request.name(), request.skips_initial(), request.retry()), ("request", true, RETRY));
    assert_eq!(request.exhausted(), "the application was not told, trying again later");
}

#[tokio::test]
async fn s7_c2_the_line_at_the_bounds_of_retries_has_the_path_and_says_why() {
    let stub = server(|_| Reply::new("503 canary", "", "canary")).await;
    let url = stub.url("/a?canary").replace("http://", "http://u:canary@");
    let mut request = request_with(&web("", Encoding::Latin1), &url, "GET", None, Wording::Sidecar);
    let fault = request.fire(&[]).await.unwrap_err();
    assert_eq!(fault.why, format!("{}: answered 503 Service Unavailable, 6 bytes said: see the log", stub.url("")));
    assert_eq!(request.exhausted(), format!("Max retries exceeded for URL {}: answered 503 Service Unavailable", stub.url("/a")));
}

#[tokio::test]
async fn r10_only_who_asks_for_it_has_answers_that_are_final() {
    let stub = server(|asked| Reply::new(&format!("{} Odd", &asked.path()[1..]), "", "")).await;
    let web = WebSettings { server_errors_are_final: true, ..web("", Encoding::Latin1) };
    for (code, is_final) in [(500, true), (503, true), (501, true), (404, false), (429, false)] {
        let fault = request_with(&web, &stub.url(&format!("/{code}")), "POST", None, Wording::Own).fire(&[]).await.unwrap_err();
        assert_eq!(fault.kind == FaultKind::Permanent, is_final, "{code}: {fault:?}");
    }
}

#[tokio::test]
async fn r10_credentials_that_are_refused_are_known_again_and_printed_nowhere() {
    let stub = server(|_| Reply::new("401 X", "", "")).await;
    let mut request = request_with(&web("canary", Encoding::Latin1), &stub.url("/"), "POST", None, Wording::Own);
    let fault = request.fire(&[]).await.unwrap_err();
    let FaultKind::Refused { credentials, .. } = &fault.kind else { panic!("{fault:?}") };
    assert!(credentials.is_some() && request.credentials().await == *credentials);
    assert!(format!("{fault:?}").contains("credentials: Some(***)"), "{fault:?}");
    let mut other = request_with(&web("other", Encoding::Latin1), &stub.url("/"), "POST", None, Wording::Own);
    assert_ne!(other.credentials().await, *credentials);
}

#[tokio::test]
async fn r11_a_request_that_is_not_answered_was_told() {
    let stub = server(|_| Reply::Stall("")).await;
    let web = WebSettings { answer_timeout: Duration::from_millis(50), timeout: Duration::from_millis(50), ..web("", Encoding::Latin1) };
    let fault = request_with(&web, &stub.url("/a?canary"), "POST", None, Wording::Own).fire(&[]).await.unwrap_err();
    let why = format!("{}: no answer within 0.05 s (REQ_ANSWER_TIMEOUT)", stub.url(""));
    assert_eq!(fault, Fault::new(FaultKind::Unanswered, why));
}

/// What the log says of answers with these words to a request of this form, in our own words.
async fn repeated(path: &str, payload: Option<&str>, user: &str, body: &str, output: ReactOutput) -> Vec<String> {
    let (lines, _guard) = Lines::collect();
    let body = body.to_owned();
    let stub = server(move |_| Reply::new("400 Bad Request", "", body.clone())).await;
    let mut request = request_with(&web(user, Encoding::Latin1), &stub.url(path), "POST", payload, Wording::Own);
    request.asker.listener = Discretion::new(output).listener();
    for _ in 0..3 {
        let _ = request.fire(&[]).await;
    }
    lines.with("the application answered")
}

#[tokio::test]
async fn r13_what_the_application_answers_is_told_once_and_cut() {
    let lines = repeated("/-/reload", None, "", &"ä".repeat(300), ReactOutput::Guarded).await;
    assert_eq!(lines.iter().filter(|line| line.starts_with("WARN ")).count(), 1, "{lines:?}");
    assert!(lines[0].contains(&"ä".repeat(256)) && !lines[0].contains(&"ä".repeat(257)), "{lines:?}");
}

#[tokio::test]
async fn r13_an_answer_that_may_repeat_what_was_sent_is_repeated_only_if_that_was_asked_for() {
    for (path, payload, user) in [("/a", Some("\"canary\""), ""), ("/a", None, "canary"), ("/a?canary", None, "")] {
        let lines = repeated(path, payload, user, "who asked: canary", ReactOutput::Guarded).await;
        assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("withheld") && !line.contains("canary")), "{lines:?}");
        let lines = repeated(path, payload, user, "who asked: canary", ReactOutput::Always).await;
        let is_shown = lines.iter().any(|line| line.contains("canary"));
        assert_eq!(is_shown, !path.contains('?'), "of a URL no more than its origin is shown, whatever is set: {lines:?}");
    }
}

#[tokio::test]
async fn r13_the_path_of_the_url_is_not_shown_in_our_own_words() {
    let lines = repeated("/hooks/canary-in-path", None, "", "no /hooks/canary-in-path: canary-in-path", ReactOutput::Guarded).await;
    assert!(lines[0].contains("no …: …"), "{lines:?}");
}

#[tokio::test]
async fn r13_where_a_redirect_leads_to_is_not_told() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stub = server(move |_| Reply::redirect(302, &format!("http://{nobody}/canary"))).await;
    let fault = request(&stub.url("/a"), "POST", None).fire(&[]).await.unwrap_err();
    assert!(fault.why.starts_with(&format!("{}: after a redirect: ", stub.url(""))), "{fault:?}");
    assert!(!fault.why.contains(&nobody.to_string()), "{fault:?}");
}
