//! One question at a time against scripted servers.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use reqwest::dns::Resolve as _;

use super::stub::{Asked, Reply, Stub, serve, server};
use super::*;
use crate::config::read::web::{BasicCredentials, Encoding, Headers, Redacted, TextOrFile};
use crate::core::retry::Retry;

const BYTES_MAX: usize = 3 << 20;
/// `u:p`
const OURS: &str = "Basic dTpw";

fn web() -> WebSettings {
    let given = |text: &str| TextOrFile { file: None, text: Some(Redacted(text.to_owned())) };
    WebSettings {
        timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(5),
        retry: Retry { total: 0, connect: 0, read: 0, backoff: Duration::ZERO },
        skip_tls_verify: false,
        ca_bundle: None,
        server_errors_are_final: false,
        headers: Headers::default(),
        credentials: BasicCredentials { username: given("u"), password: given("p"), encoding: Encoding::Latin1 },
    }
}

fn rules(credentials: &[&Stub]) -> Terms {
    let credentials = credentials.iter().map(|stub| Origin::parse(&stub.url("/")).unwrap()).collect();
    Terms { reach: Reach::Guarded { allow: None }, credentials: CredentialOrigins::Only(credentials) }
}

async fn get(url: &str, rules: &Terms) -> Result<Answer, WebError> {
    get_with(&Client::new(&web()).unwrap(), url, rules).await
}

async fn get_with(client: &Client, url: &str, rules: &Terms) -> Result<Answer, WebError> {
    let question = Question::Download { known: None, bytes_max: BYTES_MAX, gate: &Gate::default() };
    let ask = Ask { url, question, rules };
    tokio::time::timeout(Duration::from_secs(15), client.ask(&ask)).await.expect("in time: an attempt that ends")
}

/// The error of a question that gets no answer.
async fn refused(url: &str, rules: &Terms) -> WebError {
    get(url, rules).await.err().expect("no answer")
}

fn authorizations(stub: &Stub) -> Vec<Option<String>> {
    stub.asked().iter().map(|asked| asked.header("authorization").map(str::to_owned)).collect()
}

fn fine(_: &Asked) -> Reply {
    Reply::new("200 OK", "", "fine")
}

#[tokio::test]
async fn a_body_arrives_as_it_was_sent() {
    let stub = server(|_| Reply::new("200 OK", "Content-Type: text/html\r\nETag: \"1\"\r\n", b"\xff\x00\r\n\xc3\xa4")).await;
    let answer = get(&stub.url("/a?b=c"), &rules(&[])).await.unwrap();
    assert_eq!((answer.code, &*answer.reason, &*answer.body), (200, "OK", &b"\xff\x00\r\n\xc3\xa4"[..]));
    assert_eq!(answer.validators.etag.as_ref().unwrap(), "\"1\"");
    let asked = &stub.asked()[0];
    assert_eq!((asked.line(), asked.header("accept-encoding"), asked.header("authorization")), ("GET /a?b=c", None, None));
    assert_eq!(asked.header("user-agent"), Some(concat!("kube-projector/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn credentials_go_to_listed_origins_only() {
    let (listed, foreign) = (server(fine).await, server(fine).await);
    let rules = rules(&[&listed]);
    get(&listed.url("/"), &rules).await.unwrap();
    get(&foreign.url("/"), &rules).await.unwrap();
    assert_eq!((authorizations(&listed), authorizations(&foreign)), (vec![Some(OURS.to_owned())], vec![None]));
    get(&foreign.url("/"), &Terms { credentials: CredentialOrigins::Any, ..rules }).await.unwrap();
    assert_eq!(authorizations(&foreign)[1].as_deref(), Some(OURS));
}

#[tokio::test]
async fn headers_go_to_origins_that_are_named_and_never_to_any() {
    let repeats = |asked: &Asked| Reply::new("403 Forbidden", "", asked.header("x-canary").unwrap_or("nothing"));
    let (named, foreign) = (server(repeats).await, server(repeats).await);
    let given = crate::config::read::headers::lines("X-Canary: canary").unwrap();
    let nobody = TextOrFile { file: None, text: None };
    let credentials = BasicCredentials { username: nobody.clone(), password: nobody, encoding: Encoding::Latin1 };
    let client = Client::new(&WebSettings { headers: Headers { given, ..Headers::default() }, credentials, ..web() }).unwrap();
    let ask = async |stub: &Stub, rules: &Terms| {
        let url = stub.url("/");
        let question = Question::Call { method: "GET", json: None };
        let answer = client.ask(&Ask { url: &url, question, rules }).await.unwrap();
        (String::from_utf8(answer.body).unwrap(), answer.echo)
    };
    let only = rules(&[&named]);
    // What a server says that knows them may repeat them.
    assert_eq!(ask(&named, &only).await, ("canary".to_owned(), Echo::Hidden));
    assert_eq!(ask(&foreign, &only).await, ("nothing".to_owned(), Echo::Nothing));
    let any = Terms { credentials: CredentialOrigins::Any, ..only };
    assert_eq!(ask(&named, &any).await, ("nothing".to_owned(), Echo::Nothing));
}

#[tokio::test]
async fn a_pod_is_asked_at_its_address_whatever_its_name_stands_for_and_never_at_a_link_local_one() {
    let elsewhere = server(fine).await;
    let there = elsewhere.url("/");
    let pod = server(move |_| Reply::redirect(302, &there)).await;
    let client = Client::with_lookup(&web(), Arc::new(|name| panic!("{name} was looked up"))).unwrap();
    let at = |address: &str, name: Option<&str>| {
        let reach = Reach::Pod { address: address.parse().unwrap(), name: name.map(str::to_owned) };
        Terms { reach, credentials: CredentialOrigins::Only(Vec::new()) }
    };
    let named = pod.url("/").replace("127.0.0.1", "web.example");
    for (url, rules) in [(pod.url("/"), at("127.0.0.1", None)), (named, at("127.0.0.1", Some("web.example")))] {
        assert_eq!(get_with(&client, &url, &rules).await.unwrap().code, 302, "no redirect is followed");
    }
    assert_eq!((pod.asked().len(), elsewhere.asked().len()), (2, 0));
    let host = pod.address.replace("127.0.0.1", "web.example");
    assert_eq!(pod.asked()[1].header("host"), Some(host.as_str()));
    for address in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"] {
        let error = get_with(&client, "http://web.example:1/", &at(address, Some("web.example"))).await.err().unwrap();
        assert!(matches!(error, WebError::LinkLocal { .. }), "{address}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_foreign_origin_carries_no_credentials() {
    let foreign = server(fine).await;
    let (here, there) = ("/here".to_owned(), foreign.url("/there").replace("http://", "http://x:y@"));
    let home = server(move |asked| Reply::redirect(302, if asked.path() == "/" { &here } else { &there })).await;
    for url in [home.url("/"), home.url("/").replace("http://", "http://a:b@")] {
        get(&url, &rules(&[&home])).await.unwrap();
    }
    assert_eq!(authorizations(&home), vec![Some(OURS.to_owned()); 4]);
    assert_eq!(authorizations(&foreign), [None, None]);
}

#[tokio::test]
async fn credentials_in_a_url_go_to_its_own_origin() {
    let foreign = server(fine).await;
    let there = foreign.url("/");
    let home = server(move |asked| Reply::redirect(302, if asked.path() == "/" { "/here" } else { &there })).await;
    get(&home.url("/").replace("http://", "http://a:b@"), &rules(&[])).await.unwrap();
    assert_eq!(authorizations(&home), vec![Some("Basic YTpi".to_owned()); 2]);
    assert_eq!(authorizations(&foreign), [None]);
}

#[tokio::test]
async fn only_allowed_origins_are_asked_at_every_step() {
    let foreign = server(fine).await;
    let there = foreign.url("/secret?canary");
    let home = server(move |_| Reply::redirect(302, &there)).await;
    let only = |stub: &Stub| Terms { reach: Reach::Guarded { allow: Some(vec![Origin::parse(&stub.url("/")).unwrap()]) }, ..rules(&[]) };
    get(&foreign.url("/"), &only(&foreign)).await.unwrap();
    let direct = refused(&foreign.url("/secret?canary"), &only(&home)).await;
    let redirected = refused(&home.url("/"), &only(&home)).await;
    for error in [direct, redirected] {
        assert!(matches!(&error, WebError::NotAllowed { url } if *url == foreign.url("")), "{error}");
        assert_eq!(error.trouble(), None);
    }
    assert_eq!(foreign.asked().len(), 1);
}

#[tokio::test]
async fn link_local_addresses_are_refused_as_literals_and_redirects() {
    let home = server(|_| Reply::redirect(307, "http://[::ffff:169.254.169.254]:1/latest")).await;
    for url in ["http://169.254.169.254:1/latest".to_owned(), "http://2852039166:1/".to_owned(), home.url("/")] {
        let error = refused(&url, &rules(&[])).await;
        assert!(matches!(error, WebError::LinkLocal { .. }) && error.trouble().is_none(), "{url}: {error}");
    }
}

#[tokio::test]
async fn s16_names_of_metadata_servers_are_refused_whoever_would_look_them_up() {
    let home = server(|_| Reply::redirect(302, "http://Metadata.Google.Internal.:1/canary")).await;
    // Nobody is asked for the address: through a proxy nobody here ever is.
    let client = Client::with_lookup(&web(), Arc::new(|name| panic!("{name} was looked up"))).unwrap();
    for url in ["http://metadata.google.internal:1/canary", "http://instance-data:1/canary", &home.url("/")] {
        let error = get_with(&client, url, &rules(&[])).await.err().unwrap();
        assert!(matches!(error, WebError::LinkLocal { .. }) && error.trouble().is_none(), "{url}: {error}");
    }
    let listed = Reach::Guarded { allow: Some(vec![Origin::parse("http://metadata.google.internal").unwrap()]) };
    let url = parse("http://metadata.google.internal/").unwrap();
    assert!(client.client_for(&url, &listed).is_ok() && client.client_for(&url, &Reach::Anywhere).is_ok());
}

#[tokio::test]
async fn names_of_link_local_addresses_are_refused_unless_listed() {
    let home = server(|_| Reply::redirect(302, "http://metadata.test:1/latest")).await;
    let addresses: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "169.254.169.254".parse().unwrap()];
    let client = Client::with_lookup(&web(), Arc::new(move |_| Ok(addresses.to_vec()))).unwrap();
    for url in ["http://metadata.test:1/latest".to_owned(), home.url("/")] {
        let error = get_with(&client, &url, &rules(&[])).await.err().unwrap();
        assert!(matches!(&error, WebError::LinkLocal { url } if url == "http://metadata.test:1"), "{error}");
    }
    let port = home.address.rsplit(':').next().unwrap();
    let listed = format!("http://metadata.test:{port}");
    let client = Client::with_lookup(&web(), Arc::new(move |_| Ok(addresses[..1].to_vec()))).unwrap();
    let reach = Reach::Guarded { allow: Some(vec![Origin::parse(&listed).unwrap()]) };
    let error = get_with(&client, &listed, &Terms { reach, ..rules(&[]) }).await.err().unwrap();
    assert!(matches!(error, WebError::NotAllowed { .. }), "asked, then sent to a port that is not listed: {error}");
    assert_eq!(home.asked().len(), 2);
}

/// Nothing is sent: somebody may listen there.
#[tokio::test]
async fn a_listed_server_may_be_link_local_and_an_administrator_may_ask_anywhere() {
    let client = Client::new(&web()).unwrap();
    let url = parse("http://169.254.0.1/").unwrap();
    for reach in [Reach::Anywhere, Reach::Guarded { allow: Some(vec![Origin::parse(url.as_str()).unwrap()]) }] {
        assert!(client.client_for(&url, &reach).is_ok(), "{reach:?}");
    }
    let resolver = Resolver::new(Arc::new(|_| Ok(vec!["169.254.0.1".parse().unwrap()])));
    let resolve = async |reach| resolver.with(reach).resolve("name.test".parse().unwrap()).await.map(Iterator::count);
    assert_eq!(resolve(address::NameFilter::Everything).await.ok(), Some(1));
    assert!(resolve(address::NameFilter::Guarded).await.is_err());
}

#[tokio::test]
async fn too_large_a_body_is_not_read() {
    // It would wait for us to read what never comes.
    let announced = server(|_| Reply::Stall("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")).await;
    let silent = server(|_| Reply::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned())).await;
    for stub in [announced, silent] {
        let error = refused(&stub.url("/"), &rules(&[])).await;
        assert!(matches!(error, WebError::TooLarge { bytes_max: BYTES_MAX, .. }) && error.trouble().is_none(), "{error}");
        assert!(stub.sent_bytes() < 64 << 20, "{}", stub.sent_bytes());
    }
}

#[tokio::test]
async fn the_largest_body_is_read_and_has_its_turn() {
    let stub = server(|asked| Reply::new("200 OK", "", vec![7; if asked.path() == "/large" { BYTES_MAX } else { 1 << 20 }])).await;
    let answer = get(&stub.url("/large"), &rules(&[])).await.unwrap();
    assert_eq!((answer.body == vec![7; BYTES_MAX], answer.turn.is_some()), (true, true));
    assert!(get(&stub.url("/small"), &rules(&[])).await.unwrap().turn.is_none());
}

#[tokio::test]
async fn f23_a_packed_body_has_its_turn_by_its_own_size_and_is_judged_by_it() {
    let packed = |bytes: usize| miniz_oxide::deflate::compress_to_vec_zlib(&vec![7; bytes], 6);
    let reply = |coding, body: &[u8]| Reply::new("200 OK", &format!("Content-Encoding: {coding}\r\n"), body);
    let stub = server(move |asked| match asked.path() {
        "/small" => reply("deflate", &packed(1 << 20)),
        "/large" => reply("deflate", &packed(BYTES_MAX)),
        "/larger" => reply("deflate", &packed(BYTES_MAX + 1)),
        "/short" => reply("deflate", &packed(1000)[..10]),
        _ => reply("br", b"canary"),
    })
    .await;
    let small = get(&stub.url("/small"), &rules(&[])).await.unwrap();
    assert_eq!((small.body == vec![7; 1 << 20], small.turn.is_none()), (true, true));
    let large = get(&stub.url("/large"), &rules(&[])).await.unwrap();
    assert_eq!((large.body == vec![7; BYTES_MAX], large.turn.is_some()), (true, true));
    let error = refused(&stub.url("/larger"), &rules(&[])).await;
    assert!(matches!(error, WebError::TooLarge { bytes_max: BYTES_MAX, .. }) && error.trouble().is_none(), "{error}");
    let error = refused(&stub.url("/short"), &rules(&[])).await;
    assert_eq!((error.why().as_str(), error.trouble()), ("the answer is no whole deflate", Some(RetryReason::Read)));
    let error = refused(&stub.url("/other"), &rules(&[])).await;
    let why = "answered with Content-Encoding br: expected gzip, deflate or none";
    assert_eq!((error.why().as_str(), error.trouble()), (why, None));
}

#[tokio::test]
async fn large_bodies_wait_for_each_other() {
    let stub = server(|asked| Reply::new("200 OK", "", vec![7; if asked.path() == "/large" { BYTES_MAX } else { 10 }])).await;
    let (client, gate, rules) = (Client::new(&web()).unwrap(), Gate::default(), rules(&[]));
    let question = Question::Download { known: None, bytes_max: BYTES_MAX, gate: &gate };
    let (large, small) = (stub.url("/large"), stub.url("/small"));
    let (large, small) = (Ask { url: &large, question, rules: &rules }, Ask { url: &small, question, rules: &rules });
    let first = client.ask(&large).await.unwrap();
    let mut second = std::pin::pin!(client.ask(&large));
    for _ in 0..20 {
        tokio::select! {
            _ = &mut second => panic!("two large bodies at once"),
            small = client.ask(&small) => assert_eq!(small.unwrap().body.len(), 10),
        }
    }
    drop(first);
    assert_eq!(second.await.unwrap().body.len(), BYTES_MAX);
}

#[tokio::test]
async fn a_body_cut_short_is_no_body() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncanary";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ncanary\r\n";
    for raw in [announced, chunked] {
        let stub = server(move |_| Reply::Raw(raw.into())).await;
        let error = refused(&stub.url("/"), &rules(&[])).await;
        assert_eq!(error.trouble(), Some(RetryReason::Read), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn redirects_end() {
    let stub = server(|_| Reply::redirect(302, "/again")).await;
    let error = refused(&stub.url("/?canary"), &rules(&[])).await;
    assert!(matches!(&error, WebError::Redirects { url, .. } if *url == stub.url("")) && error.trouble().is_none(), "{error}");
    assert_eq!(stub.asked().len(), 11);
}

#[tokio::test]
async fn only_http_is_asked() {
    let stub = server(|_| Reply::redirect(302, "file:///etc/passwd")).await;
    for url in [stub.url("/"), "file:///etc/passwd".to_owned()] {
        assert!(matches!(refused(&url, &rules(&[])).await, WebError::Scheme { .. }), "{url}");
    }
    assert!(matches!(refused("canary", &rules(&[])).await, WebError::Url));
}

#[tokio::test]
async fn codes_say_whether_another_attempt_helps() {
    let script = |asked: &Asked| Reply::new(&format!("{} Odd", &asked.path()[1..]), "Retry-After: 7\r\n", "canary");
    let stub = server(script).await;
    let finals = Client::new(&WebSettings { server_errors_are_final: true, ..web() }).unwrap();
    let later = Some(RetryReason::Later);
    for (code, trouble, when_final) in
        [(404, None, None), (429, later, later), (500, later, None), (501, None, None), (503, later, None), (304, None, None)]
    {
        let url = stub.url(&format!("/{code}"));
        let answer = get(&url, &rules(&[])).await.unwrap();
        let error = Client::new(&web()).unwrap().judge(&url, &answer).unwrap_err();
        assert_eq!((error.trouble(), error.wish()), (trouble, Some(Duration::from_secs(7))), "{error}");
        assert_eq!(finals.judge(&url, &answer).unwrap_err().trouble(), when_final, "{error}");
        let name = StatusCode::from_u16(code).unwrap().canonical_reason().unwrap();
        assert_eq!(error.to_string(), format!("{}: answered {code} {name}", stub.url("")));
    }
}

#[tokio::test]
async fn what_is_known_is_asked_for_conditionally() {
    let stub = server(|asked| match asked.header("if-none-match") {
        Some("\"1\"") => Reply::Raw(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        _ => Reply::new("200 OK", "ETag: \"1\"\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n", "x"),
    })
    .await;
    let (client, url, rules) = (Client::new(&web()).unwrap(), stub.url("/"), rules(&[]));
    let first = get(&url, &rules).await.unwrap();
    let question = Question::Download { known: Some(&first.validators), bytes_max: 1, gate: &Gate::default() };
    let second = client.ask(&Ask { url: &url, question, rules: &rules }).await.unwrap();
    assert_eq!((first.code, second.code), (200, 304));
    assert_eq!(stub.asked()[1].header("if-modified-since"), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
}

#[tokio::test]
async fn silence_ends_the_attempt() {
    let hangs = server(|_| Reply::Stall("")).await;
    let client = Client::new(&WebSettings { timeout: Duration::from_millis(50), ..web() }).unwrap();
    let error = get_with(&client, &hangs.url("/?canary"), &rules(&[])).await.err().unwrap();
    assert!(matches!(&error, WebError::Late { url } if *url == hangs.url("")) && error.trouble() == Some(RetryReason::Read), "{error}");
    let stalls = server(|_| Reply::Stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")).await;
    let trickles = server(|_| Reply::Trickle("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")).await;
    for stub in [stalls, trickles] {
        let error = get_with(&client, &stub.url("/"), &rules(&[])).await.err().unwrap();
        assert!(matches!(error, WebError::Late { .. }), "{error}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = get_with(&client, &format!("http://{nobody}/?canary"), &rules(&[])).await.err().unwrap();
    assert!(error.trouble() == Some(RetryReason::Connect) && error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

/// A server with a certificate of its own for `127.0.0.1`, and the file that says so.
async fn with_tls(folder: &Path) -> (Stub, std::path::PathBuf) {
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, pair.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key).unwrap();
    (serve(Some(Arc::new(config).into()), fine).await, file)
}

#[tokio::test]
async fn certificates_are_believed_as_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    let (stub, file) = with_tls(folder.path()).await;
    let (_, other) = (std::fs::create_dir(folder.path().join("other")).unwrap(), with_tls(&folder.path().join("other")).await.1);
    let url = stub.url("/").replace("http", "https");
    let ask = async |web: WebSettings| get_with(&Client::new(&web).unwrap(), &url, &rules(&[])).await.map(|answer| answer.code);
    assert_eq!(ask(WebSettings { ca_bundle: Some(file.clone()), ..web() }).await.unwrap(), 200);
    assert_eq!(ask(WebSettings { skip_tls_verify: true, ..web() }).await.unwrap(), 200);
    for distrusts in [web(), WebSettings { ca_bundle: Some(other), ..web() }] {
        let error = ask(distrusts).await.unwrap_err();
        assert!(error.trouble() == Some(RetryReason::Connect) && error.to_string().contains("certificate"), "{error}");
    }
}

#[test]
fn a_bundle_without_certificates_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let error = || Client::new(&WebSettings { ca_bundle: Some(file.clone()), ..web() }).err().unwrap();
    assert!(matches!(error(), WebError::BundleUnreadable { .. }));
    std::fs::write(&file, "canary").unwrap();
    assert_eq!(error().to_string(), format!("CA bundle {}: expected certificates in PEM", file.display()));
}
