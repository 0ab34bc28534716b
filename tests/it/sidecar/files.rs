//! Contract 1.5: what an object's files hold, where they go, and how they are written.

use std::os::unix::fs::symlink;

use super::{passes, plain, sidecar};
use crate::common::{Setup, count, put, started};
use crate::support::*;

#[test]
fn keep_1_5_every_form_of_data_arrives_byte_for_byte() {
    let setup = Setup::new();
    let every_byte: Vec<u8> = (0..=255).collect();
    setup.cluster.configmap("text", &[("crlf", "a\r\nb\r\n"), ("unicode", "ä€😀"), ("empty", "")]).binary("bytes", &every_byte).create();
    setup.cluster.secret("secret", &[("token", b"\xff\0")]).create();
    let _projector = started(&sidecar(&setup));
    let expected = tree! {
        "crlf" => b"a\r\nb\r\n", "unicode" => "ä€😀".as_bytes(), "empty" => b"", "bytes" => every_byte, "token" => b"\xff\0",
    };
    assert_eq!(tree_with_dots(&setup.folder()), expected);
}

/// One object with this annotation; the path of its file below the place that holds FOLDER as `files`, and whether it is warned of.
fn placed(annotation: &str, expected: &str, outside: bool) {
    let setup = Setup::new();
    let home = setup.beside("").display().to_string();
    let annotation = annotation.replace("HOME", home.trim_end_matches('/'));
    setup.cluster.configmap("a", &[("one", "1"), ("two", "2")]).target(&annotation).create();
    let projector = started(&sidecar(&setup));
    let found = tree(&setup.beside(""));
    let found: Vec<&str> = found.keys().map(String::as_str).filter(|path| *path != "ledger").collect();
    assert_eq!(found, [format!("{expected}/one"), format!("{expected}/two")], "{annotation:?}");
    let warnings = count(&projector.output(), "files of this object lie outside of FOLDER");
    assert_eq!(warnings, usize::from(outside), "{annotation:?}: {}", projector.output());
}

#[test]
fn keep_1_5_annotation_names_a_folder_below_folder_or_any_absolute_one() {
    placed("sub", "files/sub", false);
    placed("./sub//deep/", "files/sub/deep", false);
    placed("", "files", false);
    placed("HOME/files/inside", "files/inside", false);
}

#[test]
fn keep_1_5_absolute_folder_anywhere_is_warned_of_once_for_each_object() {
    placed("HOME/elsewhere/deep", "elsewhere/deep", true);
    let setup = Setup::new();
    let elsewhere = setup.beside("elsewhere").display().to_string();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).target(&elsewhere).create();
    setup.cluster.secret("c", &[("c", "1")]).target(&elsewhere).create();
    let mut projector = started(&sidecar(&setup).env("RESYNC", "1").env("LOG_LEVEL", "DEBUG"));
    setup.cluster.set_data("a", &[("a", "2")]);
    wait_tree(&setup.beside("elsewhere"), &tree! { "a" => "2", "c" => "1" });
    passes(&projector, &setup.beside("elsewhere/a"), 2);
    assert_eq!(count(&projector.output(), "files of this object lie outside of FOLDER"), 2, "{}", projector.output());
    setup.cluster.delete("configmaps", "a");
    wait_tree(&setup.beside("elsewhere"), &tree! { "c" => "1" });
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn fix_1_5_absolute_folders_can_be_confined() {
    let setup = Setup::new();
    for name in ["allowed", "other"] {
        std::fs::create_dir(setup.beside(name)).unwrap();
        setup.cluster.configmap(name, &[(name, "1")]).target(&setup.beside(name).display().to_string()).create();
    }
    let projector = started(&sidecar(&setup).env("ALLOWED_FOLDERS", &setup.beside("allowed").display().to_string()));
    let found = (tree(&setup.beside("allowed")), tree(&setup.beside("other")), tree(&setup.folder()));
    assert_eq!(found, (tree! { "allowed" => "1" }, tree! {}, tree! {}));
    assert!(projector.output().contains("not projected"), "{}", projector.output());
}

#[test]
fn fix_1_5_folder_with_parent_components_or_behind_a_link_is_refused() {
    let setup = Setup::new();
    let outside = setup.beside("outside");
    put(&outside.join("theirs"), "1");
    symlink(&outside, setup.path("link")).unwrap();
    let absolute = format!("{}/../outside", setup.folder().display());
    let refused = [("parent", "../outside"), ("middle", "a/../../outside"), ("absolute", &absolute), ("link", "link")];
    for (name, target) in refused {
        setup.cluster.configmap(name, &[(name, "1")]).target(target).create();
    }
    setup.cluster.configmap("good", &[("good", "1")]).create();
    let projector = started(&sidecar(&setup));
    let link = format!("-> {}", outside.display());
    assert_tree(&setup.folder(), &tree! { "good" => "1", "link" => link.as_bytes() });
    assert_tree(&outside, &tree! { "theirs" => "1" });
    for (name, _) in refused {
        assert!(projector.output().contains(&format!("ConfigMap/{}/{name}\"", setup.cluster.namespace())), "{}", projector.output());
    }
}

#[test]
fn keep_1_5_unique_names_are_those_of_the_original() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("k.yaml", "map")]).create();
    setup.cluster.secret("a", &[("k.yaml", "secret")]).target("sub").create();
    let _projector = started(&sidecar(&setup).env("UNIQUE_FILENAMES", "True"));
    let own = setup.cluster.namespace();
    let expected = tree! {
        format!("namespace_{own}.configmap_a.k.yaml") => "map", format!("sub/namespace_{own}.secret_a.k.yaml") => "secret",
    };
    assert_eq!(tree_with_dots(&setup.folder()), expected);
}

fn per_namespace(unique: &str) {
    let setup = Setup::new();
    let (first, second) = (setup.cluster.namespace().to_owned(), setup.cluster.create_namespace());
    let elsewhere = setup.beside("elsewhere");
    for (namespace, content) in [(&first, "1"), (&second, "2")] {
        setup.cluster.configmap("plain", &[("a", content)]).in_namespace(namespace).create();
        setup.cluster.configmap("relative", &[("b", content)]).in_namespace(namespace).target("x/y").create();
    }
    setup.cluster.configmap("absolute", &[("c", "1")]).target(&elsewhere.display().to_string()).create();
    let builder = sidecar(&setup).env("NAMESPACE", &format!("{first},{second}")).env("UNIQUE_FILENAMES", unique);
    let _projector = started(&builder.env("FOLDER_PER_NAMESPACE", "true"));
    let name = |namespace: &str, object: &str, key: &str| match unique {
        "true" => format!("namespace_{namespace}.configmap_{object}.{key}"),
        _ => key.to_owned(),
    };
    let mut expected = tree! {};
    for (namespace, content) in [(&first, "1"), (&second, "2")] {
        expected.extend(tree! { format!("{namespace}/{}", name(namespace, "plain", "a")) => content });
        expected.extend(tree! { format!("{namespace}/x/y/{}", name(namespace, "relative", "b")) => content });
    }
    assert_tree(&setup.folder(), &expected);
    assert_tree(&elsewhere, &tree! { name(&first, "absolute", "c") => "1" });
}

#[test]
fn keep_1_2_folder_per_namespace_has_three_forms_of_paths() {
    ["false", "true"].into_iter().for_each(per_namespace);
}

#[test]
fn keep_1_5_one_bad_key_stops_no_other_and_fix_1_5_is_tried_again() {
    let setup = Setup::new();
    put(&setup.path("bad/theirs"), "1");
    setup.cluster.configmap("a", &[("bad", "1"), ("good", "1")]).create();
    let projector = started(&sidecar(&setup).env("RESYNC", "1"));
    assert_tree(&setup.folder(), &tree! { "bad/theirs" => "1", "good" => "1" });
    assert!(projector.output().contains("file not written"), "{}", projector.output());
    std::fs::remove_dir_all(setup.path("bad")).unwrap();
    setup.holds(&tree! { "bad" => "1", "good" => "1" });
}

#[test]
fn keep_1_5_equal_file_is_not_written_again() {
    let setup = Setup::new();
    setup.foreign("same", "1");
    setup.foreign("other", "theirs");
    let before = inode(&setup.path("same"));
    setup.cluster.configmap("a", &[("same", "1"), ("other", "1")]).create();
    let mut projector = started(&sidecar(&setup));
    assert_tree(&setup.folder(), &tree! { "same" => "1", "other" => "1" });
    let written = inode(&setup.path("other"));
    projector.terminate();
    let projector = started(&sidecar(&setup));
    assert_eq!([inode(&setup.path("same")), inode(&setup.path("other"))], [before, written]);
    assert_eq!(count(&projector.output(), "Writing "), 0, "{}", projector.output());
}

/// Mode of a file with DEFAULT_FILE_MODE, if it is set.
fn mode_with(setting: Option<&str>, expected: u32) {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).target("sub").create();
    let builder = sidecar(&setup).umask("0022");
    let _projector = started(&setting.map_or(builder.clone(), |mode| builder.env("DEFAULT_FILE_MODE", mode)));
    assert_eq!(mode(&setup.path("sub/a")), expected, "{setting:?}: {:o}", mode(&setup.path("sub/a")));
}

#[test]
fn keep_1_5_new_files_have_mode_0644_or_default_file_mode_in_any_digits() {
    let table =
        [(None, 0o644), (Some(""), 0o644), (Some("600"), 0o600), (Some("0440"), 0o440), (Some("00000664"), 0o664), (Some("4"), 0o4)];
    for (setting, expected) in table {
        mode_with(setting, expected);
    }
}

#[test]
fn fix_1_5_reader_sees_the_old_bytes_or_the_new_ones() {
    let setup = Setup::new();
    let contents = ["a".repeat(300_000), "b".repeat(200_000)];
    setup.cluster.configmap("a", &[("a", &contents[0])]).create();
    let _projector = started(&plain(&setup));
    let path = setup.path("a");
    for round in 1..=20 {
        setup.cluster.set_data("a", &[("a", &contents[round % 2])]);
        wait_for("the new bytes", DEADLINE, || {
            let found = std::fs::read(&path).unwrap();
            assert!(contents.iter().any(|content| content.as_bytes() == found), "{} bytes, torn", found.len());
            found == contents[round % 2].as_bytes()
        });
    }
}

#[test]
fn keep_1_5_folder_is_made_and_may_be_relative() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = sidecar(&setup).working_directory(&setup.beside("")).env("FOLDER", "made/./here");
    let _projector = started(&builder);
    assert_tree(&setup.beside("made/here"), &tree! { "a" => "1" });
}
