//! Who is asked at all, by which way, and whose certificate counts.

use super::complains;
use crate::sidecar_hooks::{Bench, completed};
use crate::support::*;

#[test]
fn fix_1_7_with_url_allow_nobody_else_is_asked() {
    let (bench, foreign) = (Bench::new(), WebServer::start());
    foreign.on("/f", Answer::ok("1"));
    bench.web.on("/f", Answer::ok("1")).on("/away", Answer::redirect(&foreign.url("/f")));
    bench.far("own", "own", "/f");
    bench.far("away", "away", "/away");
    bench.far_at("foreign", "foreign", &foreign.url("/f"));
    let finished = completed(&bench.plain().env("METHOD", "LIST").env("URL_ALLOW", &bench.web.origin()));
    assert_tree(&bench.setup.folder(), &tree! { "own" => "1", "away" => "", "foreign" => "" });
    assert_eq!(foreign.connections(), 0);
    for name in ["away", "foreign"] {
        assert!(complains(&finished.stderr, &[&format!("\"{name}\""), "not among the servers in URL_ALLOW"]), "{}", finished.stderr);
    }
}

#[test]
fn fix_1_7_link_local_addresses_are_refused_in_every_spelling_and_by_redirect() {
    let bench = Bench::new();
    let spellings = ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200"];
    for (number, host) in spellings.iter().enumerate() {
        bench.far_at(&format!("m{number}"), &format!("m{number}"), &format!("http://{host}/latest/meta-data/"));
    }
    bench.web.on("/away", Answer::redirect("http://169.254.169.254/latest/"));
    bench.far("away", "away", "/away");
    let finished = completed(&bench.plain().env("METHOD", "LIST"));
    for name in ["m0", "m1", "m2", "m3", "m4", "m5", "away"] {
        assert!(complains(&finished.stderr, &[&format!("\"{name}\""), "a link-local address"]), "{name}: {}", finished.stderr);
    }
}

#[test]
fn keep_1_2_proxies_of_the_environment_are_asked_with_whole_urls_and_do_not_get_around_the_rules() {
    let (bench, proxy) = (Bench::new(), WebServer::start());
    proxy.on("/f", Answer::ok("by the proxy"));
    bench.far_at("f", "f", "http://files.example:8080/f?x");
    bench.far_at("m", "m", "http://169.254.169.254/f");
    let finished = completed(&bench.plain().env("METHOD", "LIST").env("HTTP_PROXY", &proxy.origin()));
    assert_tree(&bench.setup.folder(), &tree! { "f" => "by the proxy", "m" => "" });
    let targets: Vec<_> = proxy.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["http://files.example:8080/f?x"], "{}", finished.stderr);
}

#[test]
fn s16_a_proxy_is_asked_for_no_metadata_whatever_it_is_called() {
    let (bench, proxy) = (Bench::new(), WebServer::start());
    proxy.on("/f", Answer::ok("canary-metadata")).on("/away", Answer::redirect("http://metadata.google.internal/f"));
    let hosts =
        ["metadata.google.internal", "METADATA.google.internal.", "instance-data", "0xa9fea9fe", "169.254.169.254.nip.io", "metadata"];
    for (number, host) in hosts.iter().enumerate() {
        bench.far_at(&format!("m{number}"), &format!("m{number}"), &format!("http://{host}/f"));
    }
    bench.far_at("away", "away", "http://files.example/away");
    let finished = completed(&bench.plain().env("METHOD", "LIST").env("HTTP_PROXY", &proxy.origin()));
    let targets: Vec<_> = proxy.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["http://files.example/away"], "{}", finished.stderr);
    for name in ["m0", "m1", "m2", "m3", "m4", "m5", "away"] {
        assert!(complains(&finished.stderr, &[&format!("\"{name}\""), "a metadata server"]), "{name}: {}", finished.stderr);
    }
}

#[test]
fn keep_1_2_a_ca_bundle_of_the_environment_is_trusted() {
    let web = WebServer::start_tls();
    web.on("/f", Answer::ok("1"));
    let authority = web.authority_file().display().to_string();
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], ""),
        (&[("REQUESTS_CA_BUNDLE", &authority)], "1"),
        (&[("CURL_CA_BUNDLE", &authority)], "1"),
        (&[("REQ_SKIP_TLS_VERIFY", "true")], "1"),
    ];
    for (variables, expected) in cases {
        let bench = Bench::new();
        bench.far_at("f", "f", &web.url("/f"));
        let builder = bench.plain().env("METHOD", "LIST").env("REQ_RETRY_TOTAL", "0");
        let finished = completed(&variables.iter().fold(builder, |builder, (name, value)| builder.env(name, value)));
        assert_tree(&bench.setup.folder(), &tree! { "f" => expected });
        assert_eq!(complains(&finished.stderr, &["cannot be had"]), expected.is_empty(), "{variables:?}");
    }
}

#[test]
fn keep_1_7_an_answer_of_5xx_is_tried_again_unless_enable_5xx_says_it_is_final() {
    for (variable, asked, content) in [("false", 3, "1"), ("true", 1, "")] {
        let bench = Bench::new();
        bench.web.on_each("/f", vec![Answer::status(500), Answer::status(503), Answer::ok("1")]);
        bench.far("f", "f", "/f");
        completed(&bench.plain().env("METHOD", "LIST").env("ENABLE_5XX", variable));
        assert_tree(&bench.setup.folder(), &tree! { "f" => content });
        assert_eq!(bench.web.count("/f"), asked);
    }
}
