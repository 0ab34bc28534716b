//! What comes of a good answer, byte for byte.

use serde_json::json;

use crate::sidecar_hooks::{Bench, completed, healthy};
use crate::support::*;

#[test]
fn fix_1_7_bodies_arrive_byte_for_byte_whatever_the_server_calls_them() {
    let bench = Bench::new();
    let utf8 = "grüße €".as_bytes();
    let all: Vec<u8> = (0..=255).collect();
    let big: Vec<u8> = all.iter().copied().cycle().take(3_000_000).collect();
    let table: [(&str, Option<&str>, &[u8]); 6] = [
        ("plain", Some("text/plain"), utf8),
        ("latin", Some("text/plain; charset=iso-8859-1"), utf8),
        ("wrong", Some("text/html; charset=utf-8"), b"\xff\xfe\x00"),
        ("binary", None, &all),
        ("empty", Some("application/json"), b""),
        ("big", Some("application/octet-stream"), &big),
    ];
    let mut files = Tree::new();
    for (name, kind, bytes) in table {
        let answer = Answer::ok(bytes);
        bench.web.on(&format!("/{name}"), kind.map_or(answer.clone(), |kind| answer.header("Content-Type", kind)));
        bench.far(name, name, &format!("/{name}"));
        files.insert(name.to_owned(), bytes.to_vec());
    }
    let projector = healthy(&bench.plain());
    bench.setup.holds(&files);
    projector.wait_output(&format!("Writing {}/plain (ascii)", bench.setup.folder().display()));
}

#[test]
fn fix_1_7_the_value_is_trimmed() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1"));
    bench.setup.cluster.configmap("a", &[("a.url", &format!(" {}\r\n", bench.web.url("/a?x=%20y")))]).create();
    completed(&bench.plain().env("METHOD", "LIST"));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1" });
    assert_eq!(bench.web.requests()[0].target, "/a?x=%20y");
}

#[test]
fn keep_1_7_url_keys_work_in_data_binary_data_and_secrets_and_end_in_lower_case() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1")).on("/b", Answer::ok("2")).on("/s", Answer::ok("3"));
    let urls = [bench.web.url("/b"), bench.web.url("/s")];
    bench
        .setup
        .cluster
        .configmap("a", &[("a.json.url", &bench.web.url("/a")), ("A.URL", "x")])
        .binary("b.url", urls[0].as_bytes())
        .create();
    bench.setup.cluster.secret("s", &[("s.url", &urls[1])]).create();
    let finished = completed(&bench.plain().env("METHOD", "LIST").env("UNIQUE_FILENAMES", "true"));
    let name = |kind: &str, object: &str, file: &str| format!("namespace_{}.{kind}_{object}.{file}", bench.setup.cluster.namespace());
    let files = tree! {
        name("configmap", "a", "a.json") => "1",
        name("configmap", "a", "A.URL") => "x",
        name("configmap", "a", "b") => "2",
        name("secret", "s", "s") => "3",
    };
    assert_tree(&bench.setup.folder(), &files);
    let binary = format!("Writing {}/{} (binary)", bench.setup.folder().display(), name("configmap", "a", "b"));
    assert!(finished.stderr.contains(&binary), "{}", finished.stderr);
}

#[test]
fn keep_1_7_redirects_are_followed() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::redirect("/b")).on("/b", Answer::redirect("c?x").with_status(307)).on("/c", Answer::ok("1"));
    bench.far("a", "a", "/a");
    completed(&bench.plain().env("METHOD", "LIST"));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1" });
    assert_eq!(bench.web.requests().iter().map(|request| request.target.clone()).collect::<Vec<_>>(), ["/a", "/b", "/c?x"]);
}

#[test]
fn keep_1_7_modes_and_annotations_hold_for_url_keys_too() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1"));
    bench.setup.cluster.configmap("a", &[("a.url", &bench.web.url("/a"))]).target("sub").create();
    let _projector = healthy(&bench.plain().env("DEFAULT_FILE_MODE", "640"));
    bench.setup.holds(&tree! { "sub/a" => "1" });
    assert_eq!(mode(&bench.setup.path("sub/a")), 0o640);
    bench.setup.cluster.annotate("configmaps", "a", &[("k8s-sidecar-target-directory", Some("other"))]);
    bench.setup.holds(&tree! { "other/a" => "1" });
    let path = bench.setup.cluster.path("configmaps", bench.setup.cluster.namespace(), "a");
    bench.setup.cluster.client().merge_patch(&path, &json!({"data": null})).ok("removing all keys");
    bench.setup.holds(&tree! {});
}
