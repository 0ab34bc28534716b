//! Files behind URLs and files of objects on one path.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::complains;
use crate::common::two_seconds_after;
use crate::sidecar_hooks::{Bench, completed, healthy};
use crate::support::*;

/// Does something while somebody looks at a file all the time; how often it was not there.
fn absences(bench: &Bench, name: &str, change: impl FnOnce()) -> usize {
    let (ended, absent, looks) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let path = bench.setup.path(name);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                looks.fetch_add(1, Ordering::SeqCst);
                absent.fetch_add(usize::from(!path.exists()), Ordering::SeqCst);
            }
        });
        wait_for("a look", DEADLINE, || looks.load(Ordering::SeqCst) > 0);
        change();
        ended.store(true, Ordering::SeqCst);
    });
    absent.into_inner()
}

#[test]
fn fix_1_6b_a_key_that_loses_or_gains_url_keeps_its_file_at_every_moment() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("far"));
    bench.far("m", "a", "/a");
    let _projector = healthy(&bench.hooked());
    bench.ran(&[&["a"]]);
    let cluster = &bench.setup.cluster;
    let absent = absences(&bench, "a", || {
        cluster.set_data("m", &[("a", "near")]);
        bench.setup.holds(&tree! { "a" => "near" });
        bench.ran(&[&["a"]]);
        cluster.set_data("m", &[("a.url", &bench.web.url("/a"))]);
        bench.setup.holds(&tree! { "a" => "far" });
        bench.ran(&[&["a"]]);
        // Equal bytes in the object itself: nothing to do.
        cluster.set_data("m", &[("a", "far")]);
        bench.ran_only(&[]);
    });
    assert_eq!(absent, 0);
}

#[test]
fn fix_1_6b_a_key_that_gains_url_keeps_its_old_content_while_the_server_is_dead() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::hang()).on("/b", Answer::status(500));
    let cluster = &bench.setup.cluster;
    cluster.configmap("m", &[("a", "near"), ("b", "near")]).create();
    let projector = healthy(&bench.hooked().env("REQ_RETRY_TOTAL", "0"));
    bench.ran(&[&["a", "b"]]);
    cluster.set_data("m", &[("a.url", &bench.web.url("/a")), ("b.url", &bench.web.url("/b"))]);
    bench.web.wait_for("/a", 1);
    super::wait_complaint(&projector, &["cannot be had", "\"b\""]);
    bench.ran_only(&[]);
    bench.setup.holds(&tree! { "a" => "near", "b" => "near", "marker-0" => "" });
    bench.web.on("/a", Answer::ok("far"));
    cluster.set_data("m", &[("a.url", &bench.web.url("/a?2"))]);
    bench.setup.holds(&tree! { "a" => "far", "marker-0" => "" });
    bench.ran_only(&[&["a", "b"]]);
}

#[test]
fn fix_1_7_of_a_and_a_url_in_one_object_the_bytes_that_are_here_stand() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("far"));
    bench.setup.cluster.configmap("m", &[("a", "near"), ("a.url", &bench.web.url("/a")), ("b", "1")]).create();
    let finished = completed(&bench.hooked().env("METHOD", "LIST"));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "near", "b" => "1" });
    bench.ran(&[&["a", "b"]]);
    assert!(complains(&finished.stderr, &["\"key\":\"a.url\""]) || complains(&finished.stderr, &["a.url"]), "{}", finished.stderr);
}

#[test]
fn fix_1_6c_a_younger_object_with_a_url_takes_the_path_when_its_bytes_are_here() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::status(404));
    let older = bench.setup.cluster.configmap("older", &[("a", "near")]).create();
    two_seconds_after(&older);
    let _projector = healthy(&bench.hooked().env("RESYNC", "1"));
    bench.ran(&[&["a"]]);
    let absent = absences(&bench, "a", || {
        bench.far("younger", "a", "/a");
        // A server that fails takes nothing from the older one.
        bench.web.wait_for("/a", 2);
        bench.ran_only(&[]);
        assert_eq!(tree(&bench.setup.folder())["a"], b"near");
        bench.web.on("/a", Answer::ok("far"));
        bench.ran(&[&["a"]]);
        assert_eq!(tree(&bench.setup.folder())["a"], b"far");
        bench.setup.cluster.delete("configmaps", "younger");
        bench.ran(&[&["a"]]);
    });
    assert_eq!((absent, tree(&bench.setup.folder())["a"].as_slice()), (0, &b"near"[..]));
}

#[test]
fn fix_1_6c_a_younger_object_takes_the_path_from_an_older_one_with_a_url() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("far"));
    bench.far("older", "a", "/a");
    let older = bench.setup.cluster.get("configmaps", "older").unwrap();
    two_seconds_after(&older);
    let _projector = healthy(&bench.hooked().env("RESYNC", "1"));
    bench.ran(&[&["a"]]);
    let absent = absences(&bench, "a", || {
        bench.setup.cluster.configmap("younger", &[("a", "near")]).create();
        bench.ran(&[&["a"]]);
        assert_eq!(tree(&bench.setup.folder())["a"], b"near");
        // What the older one's server says now changes nothing.
        bench.web.clear_requests();
        bench.web.on("/a", Answer::ok("farther"));
        bench.web.wait_for("/a", 2);
        bench.ran_only(&[]);
        assert_eq!(tree(&bench.setup.folder())["a"], b"near");
        bench.setup.cluster.delete("configmaps", "younger");
        bench.ran(&[&["a"]]);
    });
    assert_eq!((absent, tree(&bench.setup.folder())["a"].as_slice()), (0, &b"farther"[..]));
}
