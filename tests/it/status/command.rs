//! `kube-projector status`.

use serde_json::Value;

use super::{Shown, schema};
use crate::common::Setup;
use crate::support::*;

fn ask(port: u16, arguments: &[&str]) -> Finished {
    Projector::builder().env("STATUS_ADDR", &format!("localhost:{port}")).arg("status").args(arguments).run()
}

#[test]
fn the_command_says_what_the_page_says_and_ends_with_0_or_1() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("key", "value")]).create();
    let shown = Shown::start(&setup.projector());
    shown.wait("one file", "/status", |status| status["counts"]["files"] == 1);
    let well = ask(shown.port, &[]);
    assert_eq!((well.code, well.stdout.lines().next()), (Some(0), Some("All is well: 1 file of 1 object is as it should be.")), "{well:?}");
    assert!(!well.stdout.contains('\x1b'), "colours are for terminals: {well:?}");
    let json = ask(shown.port, &["--output", "json"]);
    let answer: Value = serde_json::from_str(&json.stdout).unwrap();
    schema::check(&answer);
    assert_eq!((json.code, answer["files"]["rows"].as_array().unwrap().len()), (Some(0), 1));
    setup.cluster.secret("b", &[("key", "other")]).create();
    shown.wait("a conflict", "/status", |status| status["verdict"]["ok"] == false);
    let bad = ask(shown.port, &[]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    for part in ["1 problem: 1 path conflict.", "Secret/", "UNIQUE_FILENAMES", "LAST CHANGES"] {
        assert!(bad.stdout.contains(part), "{part}: {bad:?}");
    }
}

#[test]
fn who_cannot_be_asked_is_said() {
    let nobody = ask(free_port(), &[]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stdout.starts_with("not known: asking 127.0.0.1:"), "{nobody:?}");
    let unset = Projector::builder().arg("status").run();
    assert!(unset.code == Some(2) && unset.stderr.contains("STATUS_ADDR"), "{unset:?}");
}

#[test]
fn who_follows_it_sees_each_state_once() {
    let setup = Setup::new();
    let shown = Shown::start(&setup.projector());
    let mut following = Projector::builder().env("STATUS_ADDR", &format!("127.0.0.1:{}", shown.port)).args(&["status", "--watch"]).start();
    following.wait_output("1 empty selection");
    setup.cluster.configmap("a", &[("key", "value")]).create();
    following.wait_output("All is well: 1 file of 1 object");
    assert!(following.is_running());
}
