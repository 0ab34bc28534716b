//! R15: what was told outlives us with LEDGER on a volume that does, and without it EXEC_ON_START makes up for that.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Bench;
use crate::common::started;
use crate::support::projector::Builder;
use crate::support::*;

/// What the log says when what was told is on disk.
const NOTED: &str = "noted what was told";

/// A folder that outlives us.
fn volume(bench: &Bench) -> PathBuf {
    let volume = bench.setup.beside("volume");
    std::fs::create_dir_all(&volume).unwrap();
    volume
}

/// The variables of the original with a ledger.
fn kept(bench: &Bench) -> Builder {
    bench.original().env("LEDGER", &volume(bench).join("ledger").display().to_string())
}

/// Starts, waits for so many runs in all and until they are noted, and stops.
fn one_life(bench: &Bench, builder: &Builder, runs: usize) {
    let mut projector = started(builder);
    bench.ran(runs);
    projector.wait_output(NOTED);
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn r15_a_certificate_that_was_renewed_while_nobody_ran_is_told_once() {
    let bench = Bench::new();
    bench.tls("tls", "certificate-1");
    bench.tls("other", "certificate-1");
    let builder = kept(&bench);
    // Nobody knows what was told before the first start.
    one_life(&bench, &builder, 1);
    bench.renew("tls", "certificate-2");
    one_life(&bench, &builder, 2);
    for file in std::fs::read_dir(volume(&bench)).unwrap().map(|file| file.unwrap().path()) {
        let (text, mode) = (std::fs::read_to_string(&file).unwrap(), file.metadata().unwrap().permissions().mode() & 0o777);
        assert!(!text.contains("certificate") && !text.contains("canary") && mode == 0o600, "{}: {mode:o} {text}", file.display());
    }
    let projector = started(&builder);
    bench.marked(&projector, 3, &[]);
}

#[test]
fn r15_pods_that_came_or_became_ready_anew_while_nobody_ran_are_told() {
    let bench = Bench::new();
    let (cluster, builder) = (bench.cluster(), kept(&bench));
    bench.dovecot("old").ready(true).create();
    bench.dovecot("replaced").ready(true).create();
    bench.dovecot("later").ready(false).create();
    one_life(&bench, &builder, 1);
    cluster.delete("pods", "replaced");
    cluster.wait_gone("pods", "replaced");
    bench.dovecot("replaced").ready(true).create();
    one_life(&bench, &builder, 2);
    cluster.set_ready("later", true);
    one_life(&bench, &builder, 3);
    cluster.set_status("old", &serde_json::json!({ "podIP": "10.1.0.9" }));
    one_life(&bench, &builder, 4);
    let projector = started(&builder);
    bench.marked(&projector, 5, &[]);
}

#[test]
fn r15_what_failed_or_was_still_to_come_is_told_by_the_next_start() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    let builder = kept(&bench);
    let mut projector = started(&builder.clone().env("EXEC_COMMAND", "exit 3"));
    projector.wait_output("failed in the pod");
    assert_eq!(projector.terminate().code(), Some(0));
    one_life(&bench, &builder, 1);
    let mut projector = started(&builder.clone().env("SYNC_FREQUENCY_DURATION", "86400"));
    bench.renew("tls", "2");
    projector.wait_output(super::WORTH);
    projector.kill9();
    one_life(&bench, &builder, 2);
}

#[test]
fn r15_another_command_is_told_everything_anew() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    one_life(&bench, &kept(&bench), 1);
    let other = format!("echo \"other 0\" >> {}", bench.log_file().display());
    one_life(&bench, &kept(&bench).env("EXEC_COMMAND", &other), 2);
}

#[test]
fn r15_beside_files_it_is_kept_too() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    let builder = super::beside::projecting(&bench).env("EXEC_ON", "none").env("WATCH_SECRET_TYPE", super::TLS);
    let builder = builder.env("EXEC_SECRET_DELAY", "0").env("LEDGER", &volume(&bench).join("ledger").display().to_string());
    bench.cluster().configmap("a", &[("a", "1")]).create();
    one_life(&bench, &builder, 1);
    bench.renew("tls", "2");
    one_life(&bench, &builder, 2);
    let projector = started(&builder);
    bench.marked(&projector, 3, &[]);
    bench.setup.holds(&tree! { "a" => "1" });
}

#[test]
fn r15_what_cannot_be_noted_is_said_and_told_again() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    let builder = bench.original().env("LEDGER", &bench.setup.beside("no/such/ledger").display().to_string());
    for runs in 1..=2 {
        let mut projector = started(&builder);
        bench.ran(runs);
        projector.wait_output("what was told could not be noted");
        assert_eq!(projector.terminate().code(), Some(0));
    }
    // What is there is no such file.
    std::fs::write(volume(&bench).join("ledger.told"), "garbage\n").unwrap();
    one_life(&bench, &kept(&bench), 3);
    let projector = started(&kept(&bench));
    bench.marked(&projector, 4, &[]);
}

#[test]
fn r15_exec_on_start_runs_the_command_once_after_the_first_lists() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    bench.tls("other", "1");
    bench.dovecot("dovecot-0").ready(true).create();
    let projector = started(&bench.original().env("EXEC_ON_START", "true"));
    bench.ran(1);
    bench.marked(&projector, 2, &[]);
}

#[test]
fn r15_exec_on_start_beside_files_is_one_run_with_what_the_first_pass_changed() {
    let bench = Bench::new();
    bench.cluster().configmap("a", &[("a", "1")]).create();
    let builder = super::beside::projecting(&bench).without("WATCH_PODS_LABELS").env("EXEC_ON_START", "true");
    let mut projector = started(&builder);
    bench.ran(1);
    bench.cluster().configmap("b", &[("b", "1")]).create();
    bench.ran(2);
    assert_eq!(projector.terminate().code(), Some(0));
    // Nothing changes.
    let _projector = started(&builder);
    bench.ran(3);
}

#[test]
fn r15_a_run_that_failed_beside_a_request_that_is_owed_is_not_noted_and_both_are_made_good() {
    for on in ["none", "files"] {
        let bench = Bench::new();
        bench.tls("tls", "1");
        bench.cluster().configmap("a", &[("a", "1")]).create();
        let web = WebServer::start();
        web.on("/reload", Answer::status(404));
        let works = bench.setup.beside("works");
        // One command, so that it is not told anew because it is another.
        let command = format!("[ -e {} ] && echo \"$POD_NAME 0\" >> {}", works.display(), bench.log_file().display());
        let builder = super::beside::projecting(&bench).env("EXEC_COMMAND", &command).env("EXEC_ON", on);
        let builder = builder.env("WATCH_SECRET_TYPE", super::TLS).env("EXEC_SECRET_DELAY", "0").env("REQ_URL", &web.url("/reload"));
        let builder = builder.env("LEDGER", &volume(&bench).join("ledger").display().to_string()).env("LOG_LEVEL", "debug");
        let mut projector = started(&builder);
        projector.wait_output("the command failed in the pod");
        web.wait_for("/reload", 1);
        assert_eq!(projector.terminate().code(), Some(0));
        let told = std::fs::read_to_string(volume(&bench).join("ledger.told")).unwrap_or_default();
        assert!(!told.contains("Secret"), "{told}");
        std::fs::write(&works, "").unwrap();
        web.clear_requests();
        web.on("/reload", Answer::ok(""));
        let mut projector = started(&builder);
        projector.wait_output(NOTED);
        web.wait_for("/reload", 1);
        assert_eq!(projector.terminate().code(), Some(0));
        let runs = bench.runs().len();
        // One too many is better than one too few: files and Secrets are listed apart.
        assert!((1..=if on == "none" { 1 } else { 2 }).contains(&runs), "{on}: {:?}", bench.runs());
        let projector = started(&builder);
        bench.marked(&projector, runs + 1, &[]);
        assert_eq!(web.count("/reload"), 1);
    }
}
