//! Pods and files together.

use super::Bench;
use crate::common::started;
use crate::support::projector::Builder;
use crate::support::*;

/// A projection, and the command that follows it and pods.
pub fn projecting(bench: &Bench) -> Builder {
    let command = format!("echo \"$POD_NAME 0\" >> {}", bench.log_file().display());
    let namespace = bench.cluster().namespace();
    let builder = bench.setup.projector().env("EXEC_NAMESPACE", namespace).env("EXEC_LABELS", "app=director").env("EXEC_COMMAND", &command);
    builder.env("WATCH_PODS_LABELS", "app=dovecot").env("LOG_LEVEL", "debug")
}

#[test]
fn files_and_pods_lead_to_the_command() {
    let bench = Bench::new();
    let projector = started(&projecting(&bench));
    bench.cluster().configmap("a", &[("a", "1")]).create();
    bench.ran(1);
    projector.wait_output("\"told the application\"");
    wait_tree(&bench.setup.folder(), &tree! { "a" => "1" });
    bench.marked(&projector, 2, &[]);
}

#[test]
fn files_can_be_left_out() {
    let bench = Bench::new();
    let projector = started(&projecting(&bench).env("EXEC_ON", "none"));
    bench.cluster().configmap("a", &[("a", "1")]).create();
    bench.setup.settles_at(&tree! { "a" => "1" });
    bench.marked(&projector, 1, &[]);
}

#[test]
fn a_pod_is_no_debt_that_a_next_start_makes_good() {
    let bench = Bench::new();
    let builder = projecting(&bench).env("EXEC_DELAY", "86400");
    let mut projector = started(&builder);
    bench.dovecot("dovecot-0").ready(true).create();
    projector.wait_output(super::WORTH);
    assert_eq!(projector.terminate().code(), Some(0));
    let projector = started(&projecting(&bench));
    bench.marked(&projector, 1, &[]);
}
