//! One broken instance for each alert, two where an alert has two ways to fire.

use crate::common::Setup;
use crate::faults::stuck::FULL;
use crate::monitoring::bench::{Instance, Stand};
use crate::rows::mount::Mount;
use crate::support::*;

/// All of them.
pub const BROKEN: &[Instance] = &[
    Instance { name: "not-started", alerts: &["KubeProjectorNotStarted"], live: not_started },
    Instance { name: "stale", alerts: &["KubeProjectorWatchStale"], live: stale },
    Instance { name: "never-heard", alerts: &["KubeProjectorWatchStale"], live: never_heard },
    Instance { name: "refused", alerts: &["KubeProjectorWatchRefused"], live: refused },
    Instance { name: "restarting-watch", alerts: &["KubeProjectorWatchRestarting"], live: restarting_watch },
    Instance { name: "stuck", alerts: &["KubeProjectorPathStuck"], live: stuck },
    Instance { name: "write-errors", alerts: &["KubeProjectorWriteErrors"], live: write_errors },
    Instance { name: "conflict", alerts: &["KubeProjectorConflict"], live: conflict },
    Instance { name: "failing", alerts: &["KubeProjectorReloadFailing", "ConfigReloaderSidecarErrors"], live: failing },
    Instance { name: "owed", alerts: &["KubeProjectorReloadOwed"], live: owed },
    Instance { name: "restarting", alerts: &["KubeProjectorRestarting"], live: restarting },
    Instance { name: "lost", alerts: &["KubeProjectorLogLinesLost"], live: lost },
];

/// Its folder is on a file system that is read-only.
fn not_started(stand: &Stand<'_>) {
    let (setup, mount) = (Setup::in_process(), Mount::tmpfs("ro"));
    let _projector = stand.launch(setup.projector().folder(&mount.path()));
    stand.stay();
}

/// The API server never answers again.
fn stale(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let _projector = stand.start(setup.projector());
    setup.cluster.server().stop();
    stand.stay();
    setup.cluster.server().restart();
}

/// It is not there from the start.
fn never_heard(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let builder = setup.projector();
    setup.cluster.server().stop();
    let _projector = stand.launch(builder);
    stand.stay();
    setup.cluster.server().restart();
}

/// Secrets may not be listed.
fn refused(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let account = setup.cluster.restricted(&[("", "configmaps", &["get", "list", "watch", "patch"])]);
    let _projector = stand.start(setup.projector().kubeconfig(&account.kubeconfig));
    stand.stay();
}

/// Whatever is between us and the API server breaks each connection soon after it has worked.
fn restarting_watch(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let _projector = stand.start(setup.projector());
    stand.settle();
    while !stand.is_over() {
        for resource in ["configmaps", "secrets"] {
            setup.cluster.server().inject(Matcher::any_watch(resource), Injection::Cut);
        }
        // Time for the pause before the next attempt, and for a bookmark then.
        stand.pass(1.25);
    }
}

/// A folder with somebody's file in it stands where a file shall be.
fn stuck(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    setup.foreign("rules/foreign", "");
    let _projector = stand.start(setup.projector());
    setup.cluster.configmap("rules", &[("rules", "")]).create();
    stand.stay();
}

/// The disk is full now and then: a file is wanted that is larger than what is left, and soon it is not any more.
fn write_errors(stand: &Stand<'_>) {
    let (setup, mount, large) = (Setup::in_process(), Mount::tmpfs("size=256k"), "x".repeat(300_000));
    let _projector = stand.start(setup.projector().folder(&mount.path()));
    setup.cluster.configmap("rules", &[]).create();
    stand.settle();
    while !stand.is_over() {
        setup.cluster.set_data("rules", &[("rules", &large)]);
        stand.wait_or_end("projector_stuck_paths", |stuck| stuck > 0.0);
        setup.cluster.set_data("rules", &[]);
        stand.wait_or_end("projector_stuck_paths", |stuck| stuck == 0.0);
    }
}

/// Two objects want one path.
fn conflict(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let _projector = stand.start(setup.projector());
    setup.cluster.configmap("a", &[("rules", "")]).create();
    setup.cluster.configmap("b", &[("rules", "another")]).create();
    stand.stay();
}

/// The application refuses its new files.
fn failing(stand: &Stand<'_>) {
    let (setup, web) = (Setup::in_process(), WebServer::start());
    web.on("/reload", Answer::status(500));
    let _projector = stand.start(setup.projector().env("REQ_URL", &web.url("/reload")).env("REQ_SKIP_INIT", "true"));
    setup.cluster.configmap("a", &[("rules", "")]).create();
    stand.stay();
}

/// The script that would tell it comes to no end while a file is there.
fn owed(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let (script, hangs) = (setup.beside("script"), setup.beside("hangs"));
    std::fs::write(&hangs, "").unwrap();
    std::fs::write(&script, format!("while [ -e {} ]; do sleep 0.2; done", hangs.display())).unwrap();
    let builder = setup.projector().env("SCRIPT", &script.display().to_string()).env("SCRIPT_TIMEOUT", "3600");
    let _projector = stand.start(builder.env("PATH", "/usr/bin:/bin"));
    setup.cluster.configmap("a", &[("rules", "")]).create();
    stand.stay();
    std::fs::remove_file(&hangs).unwrap();
}

/// It is killed again and again.
fn restarting(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let mut projector = stand.start(setup.projector());
    for _ in 0..3 {
        let started = stand.wait("process_start_time_seconds", |_| true);
        projector.kill9();
        projector = stand.launch(setup.projector());
        stand.wait("process_start_time_seconds", |again| again > started);
    }
    stand.stay();
}

/// Nobody reads its log, in which there is a line for each file.
fn lost(stand: &Stand<'_>) {
    let setup = Setup::in_process();
    let fifo = setup.beside("fifo").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success(), "mkfifo is there");
    let _projector = stand.start(setup.projector().wrapper(&["/bin/sh", "-c", FULL, &fifo]));
    let files: Vec<_> = (0..3000).map(|number| format!("f{number}")).collect();
    setup.cluster.configmap("many", &files.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>()).create();
    stand.stay();
}
