//! Contract 1.8: how the API server is spoken to.

use std::path::PathBuf;

use serde_json::Value;

use super::{plain, sidecar};
use crate::common::{Setup, count, started};
use crate::support::*;

/// A kubeconfig that trusts the authority of another server.
fn with_wrong_authority(setup: &Setup) -> PathBuf {
    let read = |cluster: &Cluster| -> Value { serde_json::from_slice(&std::fs::read(cluster.kubeconfig()).unwrap()).unwrap() };
    let (mut ours, theirs) = (read(&setup.cluster), read(&Cluster::in_process()));
    let pointer = "/clusters/0/cluster/certificate-authority-data";
    *ours.pointer_mut(pointer).unwrap() = theirs.pointer(pointer).unwrap().clone();
    let path = setup.beside("kubeconfig");
    std::fs::write(&path, ours.to_string()).unwrap();
    path
}

#[test]
fn keep_1_8_skip_tls_verify_trusts_every_certificate_if_spelled_in_lower_case() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let list = plain(&setup).kubeconfig(&with_wrong_authority(&setup)).env("METHOD", "LIST").env("REQ_RETRY_CONNECT", "0");
    for word in ["True", "1", "", "false"] {
        assert_eq!(list.clone().env("SKIP_TLS_VERIFY", word).run().code, Some(1), "{word:?}");
    }
    assert_eq!((tree(&setup.folder()), setup.cluster.server().requests().len()), (tree! {}, 0));
    assert_eq!(list.env("SKIP_TLS_VERIFY", "true").run().code, Some(0));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn fix_1_8_disable_x509_strict_verification_is_accepted_with_one_warning() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    for (word, warnings) in [("true", 1), ("false", 0)] {
        let projector = started(&sidecar(&setup).env("DISABLE_X509_STRICT_VERIFICATION", word));
        assert_tree(&setup.folder(), &tree! { "a" => "1" });
        assert_eq!(count(&projector.output(), "DISABLE_X509_STRICT_VERIFICATION has no effect"), warnings, "{}", projector.output());
    }
}

#[test]
fn fix_1_8_lists_answered_5xx_or_429_are_tried_again() {
    for code in [500, 502, 503, 504, 429] {
        let setup = Setup::in_process();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let fault = setup.cluster.server().fault(Matcher::reads("configmaps"), Times::N(1), Fault::status(code));
        let finished = plain(&setup).env("METHOD", "LIST").run();
        assert_eq!((finished.code, setup.cluster.server().hits(fault)), (Some(0), 1), "{code}: {}", finished.stderr);
        assert_tree(&setup.folder(), &tree! { "a" => "1" });
    }
}

#[test]
fn fix_1_8_list_that_never_answers_is_given_up_and_tried_again() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let fault = setup.cluster.server().fault(Matcher::reads("configmaps"), Times::Once, Fault::Hang);
    let finished = plain(&setup).env("METHOD", "LIST").run_within(std::time::Duration::from_secs(75));
    assert_eq!((finished.code, setup.cluster.server().hits(fault)), (Some(0), 1), "{}", finished.stderr);
}

#[test]
fn fix_1_8_reconnecting_watches_are_no_noise() {
    let setup = Setup::in_process();
    let projector = started(&plain(&setup).env("WATCH_SERVER_TIMEOUT", "1"));
    let lines = projector.output().lines().count();
    wait_for("three watches after one another", DEADLINE, || setup.cluster.server().counts_of("configmaps").watches >= 3);
    assert_eq!(projector.output().lines().count(), lines, "{}", projector.output());
}

#[test]
fn keep_1_8_only_get_list_and_watch_are_asked_for() {
    let setup = Setup::in_process();
    let read = super::READ;
    let account = setup.cluster.restricted(&[("", "configmaps", read), ("", "secrets", read)]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let _projector = started(&sidecar(&setup).kubeconfig(&account.kubeconfig));
    setup.cluster.delete("configmaps", "a");
    setup.settles_at(&tree! { "b" => "1" });
    let refused: Vec<_> =
        setup.cluster.server().requests().into_iter().filter(|request| request.status == 403 || request.method != "GET").collect();
    assert!(refused.is_empty(), "{refused:?}");
}
