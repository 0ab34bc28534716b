//! From objects to files: every form of data, which objects are meant, names, places and modes.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::common::{Setup, put, started};
use crate::support::*;

#[test]
fn every_form_of_data_arrives_byte_for_byte() {
    let setup = Setup::new();
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![b'x'; 900_000];
    let text = &[("crlf", "a\r\nb\r\n"), ("empty", ""), ("bom", "\u{feff}x"), ("controls", "\t\u{1}\u{7f}"), ("unicode", "ä€😀")];
    setup.cluster.configmap("text", text).create();
    setup.cluster.configmap("binary", &[]).binary("bytes", &every_byte).binary("nothing", b"").create();
    setup.cluster.secret("secret", &[("not-utf-8", &b"\xff\xfe\0\x80"[..]), ("nul", b"\0"), ("none", b"")]).create();
    setup.cluster.configmap("large", &[]).binary("large", &large).create();
    let _projector = setup.start();
    let expected = tree! {
        "crlf" => b"a\r\nb\r\n", "empty" => b"", "bom" => "\u{feff}x".as_bytes(), "controls" => b"\t\x01\x7f", "unicode" => "ä€😀".as_bytes(),
        "bytes" => every_byte, "nothing" => b"", "not-utf-8" => b"\xff\xfe\0\x80", "nul" => b"\0", "none" => b"", "large" => large,
    };
    assert_tree(&setup.folder(), &expected);
}

#[test]
fn object_without_data_is_an_empty_set() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = setup.start();
    setup.cluster.configmap("empty", &[]).create();
    setup.cluster.patch("configmaps", "a", &json!({"data": Value::Null}));
    setup.holds(&tree! {});
    setup.cluster.set_data("empty", &[("b", "2")]);
    setup.holds(&tree! { "b" => "2" });
}

/// Objects with the label at no value, two values and none at all; who of them gets files.
fn selected(value: Option<&str>, expected: &Tree) {
    let setup = Setup::new();
    setup.cluster.configmap("x", &[("x", "")]).label("find", "x").create();
    setup.cluster.secret("y", &[("y", "")]).label("find", "y").create();
    setup.cluster.configmap("empty", &[("empty", "")]).label("find", "").create();
    setup.cluster.configmap("other", &[("other", "")]).unlabelled().label("other", "x").create();
    let builder = setup.projector();
    let _projector = started(&value.map_or(builder.clone(), |value| builder.env("LABEL_VALUE", value)));
    assert_tree(&setup.folder(), expected);
}

#[test]
fn label_alone_selects_any_value() {
    selected(None, &tree! { "x" => "", "y" => "", "empty" => "" });
}

#[test]
fn label_value_selects_equal_values() {
    selected(Some("y"), &tree! { "y" => "" });
}

#[test]
fn empty_label_value_selects_only_the_empty_value() {
    selected(Some(""), &tree! { "empty" => "" });
}

/// NAMESPACE as a function of three namespaces, and whose files there are.
fn namespaces(setting: impl Fn(&[String; 3]) -> String, expected: &Tree) {
    let setup = Setup::new();
    let names = [setup.cluster.namespace().to_owned(), setup.cluster.create_namespace(), setup.cluster.create_namespace()];
    // On a real server others have namespaces too: the label is ours alone.
    let label = format!("find-{}", names[0]);
    for (namespace, key) in names.iter().zip(["first", "second", "third"]) {
        setup.cluster.configmap("one", &[(key, "")]).in_namespace(namespace).label(&label, "").create();
    }
    let _projector = started(&setup.projector().env("LABEL", &label).env("NAMESPACE", &setting(&names)));
    assert_tree(&setup.folder(), expected);
}

#[test]
fn one_namespace_is_projected() {
    namespaces(|names| names[1].clone(), &tree! { "second" => "" });
}

#[test]
fn list_of_namespaces_is_trimmed_and_deduplicated() {
    namespaces(|names| format!(" {} ,{},, {}", names[0], names[2], names[0]), &tree! { "first" => "", "third" => "" });
}

#[test]
fn all_namespaces_are_projected_by_default() {
    namespaces(|_| "ALL".to_owned(), &tree! { "first" => "", "second" => "", "third" => "" });
}

#[test]
fn each_kind_and_namespace_has_one_watch_with_the_selector() {
    let setup = Setup::in_process();
    let (first, second) = (setup.cluster.namespace().to_owned(), setup.cluster.create_namespace());
    let _projector = started(&setup.projector().env("NAMESPACE", &format!("{first},{second},{first}")).env("LABEL_VALUE", "me"));
    let open: Vec<_> = setup.cluster.server().requests().into_iter().filter(|request| request.open).collect();
    let mut watched: Vec<_> = open.iter().map(|request| (request.namespace.as_str(), request.resource.as_str())).collect();
    watched.sort_unstable();
    let mut expected = vec![(&*first, "configmaps"), (&first, "secrets"), (&second, "configmaps"), (&second, "secrets")];
    expected.sort_unstable();
    assert_eq!(watched, expected);
    assert!(open.iter().all(|request| request.query.contains("labelSelector=find%3Dme")), "{open:?}");
}

fn resource(setting: &str, expected: &Tree) {
    let setup = Setup::new();
    setup.cluster.configmap("map", &[("map", "")]).create();
    setup.cluster.secret("secret", &[("secret", "")]).create();
    let _projector = started(&setup.projector().env("RESOURCE", setting));
    assert_tree(&setup.folder(), expected);
}

#[test]
fn resource_names_the_kinds() {
    resource("configmap", &tree! { "map" => "" });
    resource("secret", &tree! { "secret" => "" });
    resource("both", &tree! { "map" => "", "secret" => "" });
}

#[test]
fn unique_filenames_tell_kinds_and_namespaces_apart() {
    let setup = Setup::new();
    let (first, second) = (setup.cluster.namespace().to_owned(), setup.cluster.create_namespace());
    setup.cluster.configmap("a", &[("k", "map")]).create();
    setup.cluster.secret("a", &[("k", "secret")]).target("sub").create();
    setup.cluster.configmap("a", &[("k", "other")]).in_namespace(&second).create();
    let _projector = started(&setup.projector().env("UNIQUE_FILENAMES", "true").env("NAMESPACE", &format!("{first},{second}")));
    let expected = tree! {
        format!("{first}.configmap_a.k") => "map", format!("sub/{first}.secret_a.k") => "secret", format!("{second}.configmap_a.k") => "other",
    };
    assert_tree(&setup.folder(), &expected);
}

#[test]
fn annotation_may_name_a_folder_inside_or_one_that_is_allowed() {
    let setup = Setup::new();
    let allowed = setup.beside("allowed");
    std::fs::create_dir(&allowed).unwrap();
    setup.cluster.configmap("relative", &[("a", "")]).target("x//y/.").create();
    setup.cluster.configmap("inside", &[("b", "")]).target(&setup.path("z").display().to_string()).create();
    setup.cluster.configmap("allowed", &[("c", "")]).target(&allowed.join("deep").display().to_string()).create();
    setup.cluster.configmap("own", &[("d", "")]).annotation("folder", "other").create();
    let builder = setup.projector().env("ALLOWED_FOLDERS", &allowed.display().to_string());
    let mut projector = started(&builder);
    assert_tree(&setup.folder(), &tree! { "x/y/a" => "", "z/b" => "", "d" => "" });
    assert_tree(&allowed, &tree! { "deep/c" => "" });
    projector.terminate();
    let _projector = started(&builder.env("FOLDER_ANNOTATION", "folder"));
    assert_tree(&setup.folder(), &tree! { "a" => "", "b" => "", "c" => "", "other/d" => "" });
    assert_eq!((tree(&allowed), folders(&allowed)), (tree! {}, vec![]));
}

#[test]
fn rejected_folders_are_reported_and_never_fall_back() {
    let setup = Setup::new();
    let outside = setup.beside("outside");
    put(&outside.join("theirs"), "1");
    symlink(&outside, setup.path("link")).unwrap();
    std::fs::create_dir(setup.path("real")).unwrap();
    symlink("real", setup.path("inner")).unwrap();
    let absolute = outside.display().to_string();
    let rejected = [
        ("parent", "../outside"),
        ("middle", "a/../../outside"),
        ("absolute", &absolute),
        ("link", "link"),
        ("deep", "link/x"),
        ("inner", "inner/x"),
    ];
    for (name, target) in rejected {
        setup.cluster.configmap(name, &[("evil", name)]).target(target).create();
    }
    setup.cluster.configmap("good", &[("good", "1")]).create();
    let projector = setup.start();
    assert_tree(&setup.folder(), &tree! { "good" => "1", "link" => format!("-> {absolute}").as_bytes(), "inner" => "-> real" });
    assert_tree(&outside, &tree! { "theirs" => "1" });
    assert_eq!(folders(&setup.folder()), ["real"]);
    for (name, _) in rejected {
        let line = format!("ConfigMap/{}/{name}\"", setup.cluster.namespace());
        assert!(projector.output().contains(&line), "{name} was not reported: {}", projector.output());
    }
}

#[test]
fn rejected_folder_takes_the_old_files_along() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.configmap("b", &[("b", "1")]).create();
    let projector = setup.start();
    setup.cluster.annotate("configmaps", "a", &[("k8s-sidecar-target-directory", Some("../x"))]);
    setup.holds(&tree! { "b" => "1" });
    projector.wait_output("folder contains `..`");
    setup.cluster.annotate("configmaps", "a", &[("k8s-sidecar-target-directory", None)]);
    setup.holds(&tree! { "a" => "1", "b" => "1" });
}

#[test]
fn reserved_key_is_rejected_and_the_others_are_written() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[(".kube-projector.x", "1"), ("good", "1")]).create();
    let projector = setup.start();
    assert!(!setup.path(".kube-projector.x").exists());
    assert_tree(&setup.folder(), &tree! { "good" => "1" });
    projector.wait_output("are reserved");
}

fn modes(umask: &str) {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).target("x/y").create();
    let _projector = started(&setup.projector().umask(umask).env("DEFAULT_FILE_MODE", "4642").env("FOLDER_MODE", "711"));
    let found = ["x/y/a", "x/y", "x"].map(|name| format!("{:o}", mode(&setup.path(name))));
    assert_eq!(found, ["4642", "711", "711"], "umask {umask}");
}

#[test]
fn modes_are_exact_whatever_the_umask() {
    ["0000", "0777", "0077"].into_iter().for_each(modes);
}

#[test]
fn mode_is_exact_on_unchanged_files_after_the_setting_changed() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.start().terminate();
    assert_eq!(mode(&setup.path("a")), 0o644);
    let _projector = started(&setup.projector().env("DEFAULT_FILE_MODE", "0400"));
    assert_eq!(mode(&setup.path("a")), 0o400);
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn missing_folder_is_made() {
    let setup = Setup::new();
    let folder = setup.beside("not/there");
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = started(&setup.projector().folder(&folder));
    assert_tree(&folder, &tree! { "a" => "1" });
}

#[test]
fn value_that_is_no_base64_is_rejected_alone_and_untold() {
    let setup = Setup::in_process();
    let metadata = json!({"name": "bad", "namespace": setup.cluster.namespace(), "labels": {"find": "me"}});
    let data = json!({"bad": "canary!!not*base64", "good": "MQ=="});
    setup.cluster.server().put_raw(&json!({"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data}));
    setup.cluster.secret("other", &[("other", "1")]).create();
    let projector = started(&setup.projector().env("DEBUG", "true"));
    assert_tree(&setup.folder(), &tree! { "good" => "1", "other" => "1" });
    projector.wait_output("value is not valid base64");
    projector.assert_no_leak(&["canary!!not*base64"]);
}

#[test]
fn unique_name_that_is_too_long_is_rejected_alone() {
    let setup = Setup::new();
    let (name, key) = ("n".repeat(100), "k".repeat(200));
    setup.cluster.configmap(&name, &[(&key, "1"), ("short", "1")]).create();
    let projector = started(&setup.projector().env("UNIQUE_FILENAMES", "true"));
    assert_tree(&setup.folder(), &tree! { format!("{}.configmap_{name}.short", setup.cluster.namespace()) => "1" });
    projector.wait_output("expected at most 255");
}
