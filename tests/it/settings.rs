//! Settings as a user meets them: refused in one go before anything happens, and obeyed.

use std::time::Duration;

use crate::common::{OURS, Setup, started};
use crate::support::*;

#[test]
fn acceptance_7_all_problems_at_once_and_no_call() {
    let setup = Setup::in_process();
    let kubeconfig = setup.cluster.kubeconfig().display().to_string();
    let finished =
        Projector::builder().env("LABEL", "").env("DEFAULT_FILE_MODE", "9x9").env("METHOD", "FOO").env("KUBECONFIG", &kubeconfig).run();
    assert_eq!(finished.code, Some(2));
    let lines: Vec<_> = finished.stderr.lines().collect();
    for name in ["LABEL", "FOLDER", "DEFAULT_FILE_MODE", "METHOD"] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(name)).count(), 1, "{name}: {}", finished.stderr);
    }
    assert!(finished.stderr.contains("9x9") && finished.stderr.contains("FOO"), "{}", finished.stderr);
    assert!(setup.cluster.server().connections().iter().len() <= 2, "only the rig has called");
    assert_eq!(setup.cluster.server().requests().len(), 0);
}

#[test]
fn flag_beats_its_variable() {
    let setup = Setup::new();
    let other = setup.cluster.create_namespace();
    setup.cluster.configmap("a", &[("a", "1")]).in_namespace(&other).label("seek", "it").create();
    let folder = setup.beside("flagged");
    let shown = folder.display().to_string();
    let finished =
        setup.projector().args(&["--once", "--label", "seek", "--label-value", "it", "--namespace", &other, "--folder", &shown]).run();
    assert_eq!((finished.code, tree(&folder), tree(&setup.folder())), (Some(0), tree! { "a" => "1" }, tree! {}), "{}", finished.stderr);
}

/// A home with the rig's kubeconfig in the usual place, and a launch that finds it by HOME alone.
fn at_home(setup: &Setup) -> crate::support::projector::Builder {
    std::fs::create_dir_all(setup.beside("home/.kube")).unwrap();
    std::fs::copy(setup.cluster.kubeconfig(), setup.beside("home/.kube/config")).unwrap();
    let builder = setup.projector().without("KUBECONFIG").without("FINALIZERS").without("EVENT_LOGGING");
    builder.env("HOME", &setup.beside("home").display().to_string())
}

#[test]
fn c5_outside_of_a_pod_the_usual_kubeconfig_is_used_and_nothing_is_written_to_its_cluster() {
    let setup = Setup::in_process();
    let finalizers = || setup.cluster.get("configmaps", "a").unwrap()["metadata"]["finalizers"].clone();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = started(&at_home(&setup));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    let output = projector.output();
    let first = output.lines().next().unwrap();
    assert!(first.contains("\"server\":\"https://127.0.0.1:") && first.contains("\"context\":\"rig\""), "{first}");
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
    assert_eq!(projector.terminate().code(), Some(0));
    assert_eq!((finalizers(), setup.cluster.reasons_for("a")), (serde_json::Value::Null, vec![]));
    let _projector = started(&at_home(&setup).env("FINALIZERS", "true").env("EVENT_LOGGING", "true"));
    wait_for("a finalizer", DEADLINE, || finalizers().is_array());
    setup.cluster.set_data("a", &[("a", "3")]);
    setup.event("a", "FilesWritten");
}

#[test]
fn c3_outside_of_a_pod_k8s_sidecars_namespace_is_that_of_the_kubeconfigs_context() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let kubeconfig = std::fs::read_to_string(setup.cluster.kubeconfig()).unwrap();
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    kubeconfig["contexts"][0]["context"]["namespace"] = setup.cluster.namespace().into();
    let file = setup.beside("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let builder = setup.projector().env("PROFILE", "k8s-sidecar").without("NAMESPACE").kubeconfig(&file).env("METHOD", "LIST");
    let finished = builder.run();
    assert_eq!((finished.code, tree(&setup.folder())), (Some(0), tree! { "a" => "1" }), "{}", finished.stderr);
}

#[test]
fn c1_one_list_with_a_file_that_cannot_be_written_ends_with_0_only_for_k8s_sidecar() {
    for (profile, code) in [("default", 1), ("config-controller", 1), ("k8s-sidecar", 0)] {
        let setup = Setup::in_process();
        std::fs::create_dir(setup.path("a")).unwrap();
        setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
        let object = format!("configmap/{}/a", setup.cluster.namespace());
        let builder = setup.projector().env("PROFILE", profile).env("OBJECT", &object).env("METHOD", "LIST").env("SCRIPT", "/bin/true");
        let finished = builder.run();
        assert_eq!((finished.code, tree(&setup.folder())), (Some(code), tree! { "b" => "1" }), "{profile}: {}", finished.stderr);
        assert!(finished.stderr.contains("could not be made right"), "{}", finished.stderr);
    }
}

#[test]
fn s12_numbers_without_end_are_cut_and_neither_start_nor_change_nor_stop_fails() {
    let names = [
        (
            "SLEEP_TIME RESYNC URL_MAX_BYTES REQ_RETRY_TOTAL REQ_RETRY_CONNECT REQ_RETRY_READ SCRIPT_RETRIES SCRIPT_TIMEOUT EXEC_TIMEOUT EXEC_RETRIES \
          EXEC_CONCURRENCY WATCH_SERVER_TIMEOUT WATCH_CLIENT_TIMEOUT HEALTH_STALE_AFTER",
            "99999999999999999999999999",
        ),
        (
            "REQ_TIMEOUT REQ_ANSWER_TIMEOUT REQ_RETRY_BACKOFF_FACTOR EXEC_DELAY EXEC_SECRET_DELAY KILL_TIMEOUT REACT_WINDOW REACT_JITTER",
            "1e300",
        ),
    ];
    let numbers: Vec<(&str, &str)> = names.iter().flat_map(|(names, value)| names.split_whitespace().map(|name| (name, *value))).collect();
    for method in ["WATCH", "SLEEP"] {
        let setup = Setup::in_process();
        setup.cluster.configmap("a", &[("a", "1"), ("far.url", "http://127.0.0.1:1/")]).create();
        let mut builder = setup.projector().env("METHOD", method).env("URL_KEYS", "true").env("PATH", "/usr/bin:/bin");
        builder = builder.env("SCRIPT", "/no/such").env("REQ_URL", "http://127.0.0.1:1/");
        builder = numbers.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        let child = ["run", "--", "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"];
        let mut projector = started(&builder.args(&child));
        setup.cluster.set_data("a", &[("a", "2"), ("far.url", "http://127.0.0.1:1/")]);
        if method == "WATCH" {
            setup.holds(&tree! { "a" => "2" });
        }
        assert_eq!(projector.terminate().code(), Some(0), "{}", projector.output());
        let output = projector.output();
        assert!(!output.contains("panicked"), "{output}");
        for (name, value) in &numbers {
            assert_eq!(output.matches(&format!("{name}={}", &value[..value.len().min(24)])).count(), 1, "{name}: {output}");
        }
    }
}

/// A foreign file with wanted bytes and one with others; what there is after a start, and after the object has gone.
fn adopt(setting: &str, during: &Tree, after: &Tree) {
    let setup = Setup::new();
    setup.foreign("same", "wanted");
    setup.foreign("other", "theirs");
    setup.foreign("unwanted", "theirs");
    setup.cluster.configmap("a", &[("same", "wanted"), ("other", "wanted"), ("new", "wanted")]).create();
    let projector = started(&setup.projector().env("ADOPT", setting));
    let mut unwanted = tree! { "unwanted" => "theirs" };
    unwanted.extend(during.clone());
    assert_tree(&setup.folder(), &unwanted);
    let warned = projector.output().contains("foreign file");
    assert!(warned, "{}", projector.output());
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    let mut unwanted = tree! { "unwanted" => "theirs" };
    unwanted.extend(after.clone());
    setup.settles_at(&unwanted);
}

#[test]
fn adopt_overwrite_replaces_a_foreign_file_at_a_wanted_path() {
    adopt("overwrite", &tree! { "same" => "wanted", "other" => "wanted", "new" => "wanted" }, &tree! {});
}

#[test]
fn adopt_equal_takes_only_a_file_with_the_wanted_bytes() {
    adopt("equal", &tree! { "same" => "wanted", "other" => "theirs", "new" => "wanted" }, &tree! { "other" => "theirs" });
}

#[test]
fn adopt_never_keeps_every_foreign_file() {
    let kept = tree! { "same" => "wanted", "other" => "theirs" };
    adopt("never", &tree! { "same" => "wanted", "other" => "theirs", "new" => "wanted" }, &kept);
}

#[test]
fn foreign_file_that_goes_makes_room_within_resync() {
    let setup = Setup::new();
    setup.foreign("a", "theirs");
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = started(&setup.projector().env("ADOPT", "never").env("RESYNC", "1"));
    std::fs::remove_file(setup.path("a")).unwrap();
    setup.holds(&tree! { "a" => "1" });
}

#[test]
fn method_list_writes_prunes_and_ends_without_a_finalizer() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).target("sub").create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    setup.foreign("sub/foreign", "theirs");
    let list = setup.projector().env("METHOD", "LIST");
    let finished = list.run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_tree(&setup.folder(), &tree! { "sub/a" => "1", "b" => "1", "sub/foreign" => "theirs" });
    assert_eq!(setup.cluster.finalizers_of("configmaps", "a"), Vec::<String>::new());
    setup.cluster.delete("secrets", "b");
    setup.cluster.set_data("a", &[("c", "2")]);
    assert_eq!(list.run().code, Some(0));
    assert_tree(&setup.folder(), &tree! { "sub/c" => "2", "sub/foreign" => "theirs" });
    assert_eq!(temps(&setup.folder()), Vec::<String>::new());
}

#[test]
fn method_list_adds_no_finalizer_however_long_it_takes() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let server = setup.cluster.server();
    server.fault(Matcher::reads("secrets"), Times::Once, Fault::Delay(Duration::from_secs(1)));
    assert_eq!(setup.projector().env("METHOD", "LIST").run().code, Some(0));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    assert_eq!(server.counts().patches, 0);
}

#[test]
fn method_list_releases_what_waits_for_us() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).finalizer(OURS).create();
    setup.cluster.delete("configmaps", "a");
    assert_eq!(setup.projector().env("METHOD", "LIST").run().code, Some(0));
    setup.cluster.wait_gone("configmaps", "a");
}

#[test]
fn method_list_fails_when_a_kind_may_not_be_listed_and_keeps_its_files() {
    let setup = Setup::new();
    let read: &[&str] = &["get", "list", "watch"];
    let account = setup.cluster.restricted(&[("", "configmaps", read), ("", "secrets", read)]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let list = setup.projector().env("METHOD", "LIST").kubeconfig(&account.kubeconfig);
    assert_eq!(list.run().code, Some(0));
    setup.cluster.grant(&account, &[("", "configmaps", read)]);
    setup.cluster.set_data("a", &[("a", "2")]);
    let finished = list.run();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert_tree(&setup.folder(), &tree! { "a" => "2", "b" => "1" });
}

#[test]
fn method_list_fails_when_a_file_cannot_be_written() {
    let setup = Setup::new();
    std::fs::create_dir(setup.path("a")).unwrap();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
    let finished = setup.projector().env("METHOD", "LIST").run();
    assert_eq!((finished.code, tree(&setup.folder())), (Some(1), tree! { "b" => "1" }), "{}", finished.stderr);
}

#[test]
fn method_sleep_lists_again_and_again_without_a_watch() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
    let mut projector = started(&setup.projector().env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    for content in ["2", "3"] {
        setup.cluster.set_data("a", &[("a", content)]);
        setup.holds(&tree! { "a" => content });
    }
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.holds(&tree! {});
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn sigterm_ends_with_0_and_without_temporary_files() {
    let setup = Setup::new();
    for number in 0..50 {
        let key = format!("a{number}");
        setup.cluster.configmap(&key, &[]).binary(&key, &vec![b'x'; 100_000]).create();
    }
    for after in [0, 5, 20, 60] {
        // In the midst of the first writes, or later: any moment must do.
        let folder = setup.beside(&format!("run-{after}"));
        let mut projector = setup.projector().folder(&folder).start();
        projector.wait_output("starting");
        wait_for("some files", DEADLINE, || tree(&folder).len() >= after.min(50));
        assert_eq!(projector.terminate().code(), Some(0), "{}", projector.output());
        assert_eq!(temps(&folder), Vec::<String>::new());
        let whole = tree(&folder).values().all(|bytes| bytes.len() == 100_000);
        assert!(whole, "every file that is there is whole");
    }
}

#[test]
fn sigterm_while_starting_ends_with_0_and_leaves_a_whole_ledger() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    for round in 0..20 {
        let mut projector = setup.projector().folder(&setup.beside("started")).env("INSTANCE", &format!("x{round}")).start();
        projector.wait_output("starting");
        assert_eq!(projector.terminate().code(), Some(0), "{}", projector.output());
        assert_eq!(temps(&setup.beside("started")), Vec::<String>::new());
    }
}

#[test]
fn sigterm_while_the_server_hangs_ends_with_0() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = setup.start();
    setup.cluster.server().freeze();
    setup.cluster.server().drop_connections();
    projector.signal(rustix::process::Signal::TERM);
    assert_eq!(projector.wait_exit(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn ledger_may_lie_elsewhere() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let ledger = setup.beside("state").join("mine");
    std::fs::create_dir(setup.beside("state")).unwrap();
    let builder = setup.projector().env("LEDGER", &ledger.display().to_string()).env("FINALIZERS", "false");
    started(&builder).terminate();
    assert!(ledger.exists());
    assert_eq!(tree_with_dots(&setup.folder()), tree! { "a" => "1" });
    setup.cluster.delete("configmaps", "a");
    let _projector = started(&builder);
    assert_eq!(tree_with_dots(&setup.folder()), tree! {});
}
