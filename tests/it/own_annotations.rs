//! What an object's own annotations say of its files: `file-mode`, `skip` and `on-delete`.

mod keep;
mod reject;

use crate::common::{OURS, Setup, started};
use crate::support::*;

const FILE_MODE: &str = "kube-projector.dev/file-mode";
const SKIP: &str = "kube-projector.dev/skip";
const ON_DELETE: &str = "kube-projector.dev/on-delete";

fn modes(setup: &Setup, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{:o}", mode(&setup.path(name)))).collect()
}

#[test]
fn file_mode_of_an_annotation_is_that_of_its_objects_files() {
    let setup = Setup::new();
    setup.cluster.configmap("script", &[("run", "1"), ("also", "1")]).annotation(FILE_MODE, "755").create();
    setup.cluster.secret("key", &[("key", "1")]).annotation(FILE_MODE, "400").create();
    setup.cluster.configmap("plain", &[("plain", "1")]).create();
    let mut projector = setup.start();
    assert_eq!(modes(&setup, &["run", "also", "key", "plain"]), ["755", "755", "400", "644"]);
    setup.cluster.annotate("configmaps", "script", &[(FILE_MODE, Some("700"))]);
    wait_for("the other mode", DEADLINE, || modes(&setup, &["run", "also"]) == ["700", "700"]);
    let before = inode(&setup.path("run"));
    projector.terminate();
    let _projector = setup.start();
    assert_eq!((modes(&setup, &["run"]), inode(&setup.path("run"))), (vec!["700".to_owned()], before));
    setup.cluster.annotate("configmaps", "script", &[(FILE_MODE, None)]);
    wait_for("the usual mode", DEADLINE, || modes(&setup, &["run", "also"]) == ["644", "644"]);
}

#[test]
fn file_mode_of_a_secret_is_no_wider_than_the_default_bit_by_bit() {
    let setup = Setup::new();
    for (name, mode) in [("wider", "644"), ("other", "601"), ("same", "640"), ("narrower", "440")] {
        setup.cluster.secret(name, &[(name, "1")]).annotation(FILE_MODE, mode).create();
    }
    setup.cluster.configmap("map", &[("map", "1")]).annotation(FILE_MODE, "777").create();
    let projector = started(&setup.projector().env("DEFAULT_FILE_MODE", "640"));
    assert_tree(&setup.folder(), &tree! { "same" => "1", "narrower" => "1", "map" => "1" });
    assert_eq!(modes(&setup, &["same", "narrower", "map"]), ["640", "440", "777"]);
    for name in ["wider", "other"] {
        projector.wait_output(&format!("/{name}\""));
    }
    projector.wait_output("DEFAULT_FILE_MODE=640");
}

#[test]
fn skip_is_as_a_lost_label_finalizer_too() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).annotation(SKIP, "false").create();
    let mut projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.annotate("configmaps", "a", &[(SKIP, Some("true"))]);
    setup.has_finalizers("configmaps", "a", &[]);
    assert_tree(&setup.folder(), &tree! { "b" => "1" });
    // Edits change nothing, nor does a restart.
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.settles_at(&tree! { "b" => "1" });
    projector.terminate();
    // While nobody ran, too.
    setup.cluster.annotate("secrets", "b", &[(SKIP, Some("true"))]);
    let _projector = setup.start();
    assert_tree(&setup.folder(), &tree! {});
    setup.has_finalizers("secrets", "b", &[]);
    setup.cluster.annotate("configmaps", "a", &[(SKIP, None)]);
    setup.holds(&tree! { "a" => "2" });
    setup.has_finalizers("configmaps", "a", &[OURS]);
}

#[test]
fn skip_leaves_a_path_to_the_next_who_wants_it() {
    let setup = Setup::new();
    crate::common::two_seconds_after(&setup.cluster.configmap("a", &[("key", "a")]).create());
    setup.cluster.configmap("b", &[("key", "b")]).create();
    let _projector = setup.start();
    assert_tree(&setup.folder(), &tree! { "key" => "a" });
    setup.cluster.annotate("configmaps", "a", &[(SKIP, Some("true"))]);
    setup.holds(&tree! { "key" => "b" });
}

#[test]
fn object_annotations_that_are_switched_off_say_nothing() {
    let setup = Setup::new();
    let draft = setup.cluster.configmap("a", &[("a", "1")]).annotation(FILE_MODE, "755").annotation(SKIP, "true");
    draft.annotation(ON_DELETE, "keep").create();
    setup.cluster.configmap("b", &[("b", "1")]).annotation(FILE_MODE, "rwx").annotation(SKIP, "yes").annotation(ON_DELETE, "x").create();
    let projector = started(&setup.projector().env("OBJECT_ANNOTATIONS", "false"));
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "1" });
    assert_eq!(modes(&setup, &["a", "b"]), ["644", "644"]);
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    assert_tree(&setup.folder(), &tree! { "b" => "1" });
    assert!(!projector.output().contains("not projected"), "{}", projector.output());
}

#[test]
fn annotations_of_manifests_count_too() {
    let home = tempfile::tempdir().unwrap();
    let (source, folder) = (home.path().join("source"), home.path().join("files"));
    let manifest = |name: &str, annotations: &str| {
        let metadata = format!("{{name: {name}, labels: {{find: me}}, annotations: {{{annotations}}}}}");
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\ndata: {{{name}: '1'}}\n");
        crate::common::put(&source.join(format!("{name}.yaml")), text);
    };
    manifest("run", &format!("{FILE_MODE}: '755'"));
    manifest("skipped", &format!("{SKIP}: 'true'"));
    manifest("kept", &format!("{ON_DELETE}: keep"));
    let builder = Projector::builder().folder(&folder).env("SOURCE", &source.display().to_string()).env("LABEL", "find");
    let _projector = started(&builder);
    assert_tree(&folder, &tree! { "run" => "1", "kept" => "1" });
    assert_eq!(mode(&folder.join("run")), 0o755);
    for name in ["kept", "run"] {
        std::fs::remove_file(source.join(format!("{name}.yaml"))).unwrap();
    }
    wait_tree(&folder, &tree! { "kept" => "1" });
}
