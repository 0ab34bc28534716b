//! What commands in other pods print.

use super::*;

#[test]
fn r13_canary_a_command_in_a_pod_that_prints_the_tree_says_nothing_while_an_unchanged_secret_is_ours() {
    let bench = Bench::new();
    bench.secret();
    let cluster = &bench.setup.cluster;
    cluster.pod("director").label("app", "director").ready(true).create();
    let command = format!("cat {0}/*; cat {0}/* >&2; [ -e {1} ]", text(&bench.setup.folder()), text(&bench.setup.beside("good")));
    let builder = bench.plain().env("EXEC_LABELS", "app=director").env("EXEC_NAMESPACE", cluster.namespace()).env("EXEC_COMMAND", &command);
    let builder = builder.env("LOG_LEVEL", "trace").env("EXEC_RETRIES", "1").env("REQ_RETRY_BACKOFF_FACTOR", "0.02");
    let mut projector = started(&builder);
    bench.edit("2");
    projector.wait_output(WITHHELD);
    let note = bench.setup.event("director", "ReloadFailed")["note"].as_str().unwrap().to_owned();
    assert!(note.starts_with("exit code 1, ") && note.ends_with(" bytes said: see the log"), "{note}");
    std::fs::write(bench.setup.beside("good"), "").unwrap();
    bench.edit("3");
    let note = bench.setup.event("director", "ReloadSucceeded")["note"].as_str().unwrap().to_owned();
    assert!(note.starts_with("exit code 0, "), "{note}");
    projector.assert_no_leak(&[CANARY]);
    assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
    projector.terminate();
    let projector = started(&builder.env("REACT_OUTPUT", "always"));
    bench.edit("4");
    projector.wait_output(CANARY);
    assert_no_leak("health and Events", bench.told(&projector), &[CANARY]);
}
