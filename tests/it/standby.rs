//! S14: two pods with one selection on one volume. Who waits for the lock is ready when every file is there, and then takes over.

use std::time::{Duration, Instant};

use crate::common::Setup;
use crate::support::*;

#[test]
fn s14_who_waits_is_ready_when_every_wanted_file_is_there_and_takes_over() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).target("sub").create();
    let mut first = setup.start();
    // It cannot write any more; what it left is not what is wanted.
    first.signal(rustix::process::Signal::STOP);
    setup.cluster.set_data("a", &[("a", "2")]);
    let mut second = setup.projector().start();
    second.wait_output("waiting for it to end");
    let listed = || second.ready();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(listed().0, 503, "a file is not what is wanted");
    let before = inode(&setup.path("sub/b"));
    first.signal(rustix::process::Signal::CONT);
    second.wait_ready();
    setup.holds(&tree! { "a" => "2", "sub/b" => "1" });
    second.wait_output("ready, and waiting to take over");
    // By reading only, and the first goes on.
    setup.cluster.set_data("a", &[("a", "3")]);
    setup.holds(&tree! { "a" => "3", "sub/b" => "1" });
    assert_eq!(inode(&setup.path("sub/b")), before);
    first.kill9();
    let ended = Instant::now();
    second.wait_output("in sync");
    println!("taken over within {:?}", ended.elapsed());
    setup.cluster.set_data("a", &[("a", "4")]);
    setup.holds(&tree! { "a" => "4", "sub/b" => "1" });
    assert_eq!(second.terminate().code(), Some(0));
}

#[test]
fn s14_a_list_that_waits_ends_when_every_wanted_file_is_there() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let first = setup.start();
    let list = setup.projector().env("METHOD", "LIST");
    let finished = list.run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("waiting for it to end"), "{}", finished.stderr);
    // One that is not there yet is waited for.
    first.signal(rustix::process::Signal::STOP);
    setup.cluster.set_data("a", &[("a", "2")]);
    let mut waits = list.start();
    waits.wait_output("waiting for it to end");
    std::thread::sleep(Duration::from_secs(3));
    assert!(waits.is_running());
    first.signal(rustix::process::Signal::CONT);
    assert_eq!(waits.wait_exit(DEADLINE).code(), Some(0));
    setup.holds(&tree! { "a" => "2" });
}

#[test]
fn s14_the_application_is_told_at_the_takeover() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut first = setup.start();
    let told = setup.beside("told");
    let script = setup.beside("script");
    std::fs::write(&script, format!("#!/bin/sh\necho told >> {}\n", told.display())).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut second = setup.projector().env("SCRIPT", &script.display().to_string()).start();
    second.wait_ready();
    assert!(!told.exists());
    // Its own application does not hear of this from the other instance.
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
    first.terminate();
    wait_for("the application to be told", DEADLINE, || told.exists());
    assert_eq!(second.terminate().code(), Some(0));
}

#[test]
fn r10_what_could_not_be_told_at_the_takeover_is_owed_through_a_restart() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut first = setup.start();
    let web = WebServer::start();
    web.on("/reload", Answer::status(404));
    let builder = setup.projector().env("REQ_URL", &web.url("/reload"));
    let mut second = builder.start();
    second.wait_ready();
    first.terminate();
    web.wait_for("/reload", 1);
    assert_eq!(second.terminate().code(), Some(0));
    web.clear_requests();
    web.on("/reload", Answer::ok(""));
    let _third = crate::common::started(&builder);
    web.wait_for("/reload", 1);
}
