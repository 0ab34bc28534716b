//! GZIP_KEYS: keys that end in `.gz` are written unpacked, without that ending, within bounds.

use miniz_oxide::deflate::compress_to_vec;

use crate::common::{Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

/// One member, with a checksum that is computed here bit by bit.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ ((sum & 1) * 0xedb8_8320));
    let checksum = !bytes.iter().fold(u32::MAX, byte);
    let length = u32::try_from(bytes.len()).unwrap();
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [&head, compress_to_vec(bytes, 6).as_slice(), &checksum.to_le_bytes(), &length.to_le_bytes()].concat()
}

fn unpacking(setup: &Setup) -> Builder {
    setup.projector().env("GZIP_KEYS", "true")
}

#[test]
fn gzip_keys_are_written_unpacked_without_their_ending() {
    let setup = Setup::new();
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7 % 251) as u8).collect();
    setup.cluster.configmap("map", &[("plain", "1")]).binary("large.gz", &gzip(&large)).binary("empty.gz", &gzip(b"")).create();
    setup.cluster.secret("secret", &[("two.tar.gz", [gzip(b"one"), gzip(b"two")].concat()), ("gz", gzip(b"no ending"))]).create();
    let mut projector = started(&unpacking(&setup));
    let files = tree! { "plain" => "1", "large" => large, "empty" => "", "two.tar" => "onetwo", "gz" => gzip(b"no ending") };
    assert_tree(&setup.folder(), &files);
    // An edit, and a restart that finds nothing to do: what is compared is what the files hold.
    setup.cluster.patch("configmaps", "map", &serde_json::json!({"binaryData": {"empty.gz": api::answer::encode(&gzip(b"full"))}}));
    let mut files = files;
    files.insert("empty".into(), b"full".to_vec());
    setup.holds(&files);
    let before = ["large", "empty"].map(|name| inode(&setup.path(name)));
    projector.terminate();
    let projector = started(&unpacking(&setup));
    assert_eq!(["large", "empty"].map(|name| inode(&setup.path(name))), before, "{}", projector.output());
    assert_tree(&setup.folder(), &files);
}

#[test]
fn gzip_keys_are_plain_keys_unless_they_are_asked_for() {
    let setup = Setup::new();
    setup.cluster.configmap("map", &[]).binary("a.gz", &gzip(b"1")).create();
    let _projector = setup.start();
    assert_tree(&setup.folder(), &tree! { "a.gz" => gzip(b"1") });
}

#[test]
fn gzip_keys_whose_files_were_edited_are_unpacked_again() {
    let setup = Setup::new();
    setup.cluster.configmap("map", &[]).binary("a.gz", &gzip(b"right")).create();
    let _projector = started(&unpacking(&setup).env("RESYNC", "1"));
    std::fs::write(setup.path("a"), "edited").unwrap();
    setup.holds(&tree! { "a" => "right" });
    std::fs::remove_file(setup.path("a")).unwrap();
    setup.holds(&tree! { "a" => "right" });
}

#[test]
fn gzip_keys_that_are_broken_cost_only_their_own_file_and_what_is_there_stays() {
    let setup = Setup::new();
    let good = gzip(b"good");
    setup.cluster.configmap("map", &[("other", "1")]).binary("a.gz", &good).create();
    let mut projector = started(&unpacking(&setup));
    assert_tree(&setup.folder(), &tree! { "other" => "1", "a" => "good" });
    for broken in [&good[..good.len() - 1], b"canary-no-gzip", b""] {
        let other = broken.len().to_string();
        let patch = serde_json::json!({"data": {"other": other}, "binaryData": {"a.gz": api::answer::encode(broken), "new.gz": api::answer::encode(broken)}});
        setup.cluster.patch("configmaps", "map", &patch);
        setup.holds(&tree! { "other" => other, "a" => "good" });
    }
    projector.wait_output("\"key\":\"a.gz\"");
    projector.wait_output("not a whole gzip file");
    projector.assert_no_leak(&["canary-no-gzip"]);
    // Also where nobody remembers what it held.
    projector.terminate();
    let _projector = started(&unpacking(&setup));
    assert_tree(&setup.folder(), &tree! { "other" => "0", "a" => "good" });
    let plan = unpacking(&setup).arg("plan").run();
    assert_eq!((plan.code, plan.stdout.matches("rejected").count()), (Some(0), 2), "{}", plan.stdout);
    setup.cluster.patch(
        "configmaps",
        "map",
        &serde_json::json!({"binaryData": {"a.gz": api::answer::encode(&gzip(b"better")), "new.gz": null}}),
    );
    setup.holds(&tree! { "other" => "0", "a" => "better" });
}

#[test]
fn gzip_keys_are_bounded_by_url_max_bytes() {
    let setup = Setup::new();
    let exact = vec![b'x'; 5000];
    // Nobody comes as far as its checksum.
    let bomb = [&gzip(b"")[..10], &compress_to_vec(&vec![0; 64 << 20], 6)].concat();
    setup.cluster.configmap("map", &[("other", "1")]).binary("exact.gz", &gzip(&exact)).binary("bomb.gz", &bomb).create();
    let projector = started(&unpacking(&setup).env("URL_MAX_BYTES", "5000"));
    assert_tree(&setup.folder(), &tree! { "other" => "1", "exact" => exact });
    projector.wait_output("\"key\":\"bomb.gz\"");
    projector.wait_output("URL_MAX_BYTES=5000");
    assert!(projector.peak_kib() < 64 << 10, "{} KiB", projector.peak_kib());
}

#[test]
fn gzip_keys_beside_a_key_of_their_files_name_are_a_conflict_within_the_object() {
    let setup = Setup::new();
    setup.cluster.configmap("map", &[("a", "plain")]).binary("a.gz", &gzip(b"packed")).create();
    setup.cluster.configmap("older", &[("b", "plain")]).create();
    let projector = started(&unpacking(&setup));
    assert_tree(&setup.folder(), &tree! { "a" => "plain", "b" => "plain" });
    projector.wait_output("another key of the object gives the same file name");
    setup.cluster.patch("configmaps", "map", &serde_json::json!({"data": {"a": null}}));
    setup.holds(&tree! { "a" => "packed", "b" => "plain" });
}

#[test]
fn gzip_keys_of_manifests_are_unpacked_too() {
    let home = tempfile::tempdir().unwrap();
    let (source, folder) = (home.path().join("source"), home.path().join("files"));
    let packed = api::answer::encode(&gzip(b"1"));
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, labels: {{find: me}}}}\nbinaryData: {{a.gz: {packed}}}\n");
    crate::common::put(&source.join("a.yaml"), &text);
    let builder = Projector::builder().folder(&folder).env("SOURCE", &source.display().to_string()).env("LABEL", "find");
    let _projector = started(&builder.env("GZIP_KEYS", "true"));
    assert_tree(&folder, &tree! { "a" => "1" });
}
