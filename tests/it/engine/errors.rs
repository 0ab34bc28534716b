//! Every call to the file system fails once, and for a while; no event of the API helps the engine to get over it.

use kube_projector::engine::outcome::What;
use rustix::io::Errno;

use super::crash::{assert_old_or_new, calls, phase};
use super::faulty::Fault;
use super::harness::World;
use super::scenario::{PHASES, start, thing, world};
use crate::support::every;

/// `share` is which tenth of the calls meets it: another one for each kind of fault.
fn survives(share: usize, fault: impl Fn(usize) -> Fault, forbidden: bool) {
    for at in every(calls(), share) {
        let mut world = world();
        world.control.set(fault(at));
        for number in 0..PHASES {
            let (old, when) = (world.found(), format!("{:?}, phase {number}", fault(at)));
            let struck_before = world.control.struck();
            phase(&mut world, number, |world| {
                assert_old_or_new(&old, world, &when);
                world.assert_owned(&when);
            });
            if forbidden && number == PHASES - 1 && struck_before.is_none() && world.control.struck().is_some() {
                // A predecessor's ledger that may not be read is somebody else's: it is looked at again at the next start.
                start(&mut world);
                world.settle();
            }
            world.assert_converged(&format!("{when}, hit {:?}", world.control.struck()));
            assert_eq!(world.stuck(), 0, "{when}");
        }
        let strikes = !matches!(fault(at), Fault::Tears { .. });
        assert!(world.control.struck().is_some() || !strikes, "{:?} did not strike", fault(at));
    }
}

fn once(errno: Errno) -> impl Fn(usize) -> Fault {
    move |at| Fault::Fails { at, calls: 1, errno }
}

fn a_while(errno: Errno) -> impl Fn(usize) -> Fault {
    move |at| Fault::Fails { at, calls: 20, errno }
}

#[test]
fn f1_enospc_once_at_any_call_is_got_over() {
    survives(0, once(Errno::NOSPC), false);
}

#[test]
fn f1_enospc_for_a_while_is_got_over() {
    survives(1, a_while(Errno::NOSPC), false);
}

#[test]
fn f4_erofs_once_at_any_call_is_got_over() {
    survives(2, once(Errno::ROFS), false);
}

#[test]
fn f4_erofs_for_a_while_is_got_over() {
    survives(3, a_while(Errno::ROFS), false);
}

#[test]
fn f5_eio_once_at_any_call_is_got_over() {
    survives(4, once(Errno::IO), false);
}

#[test]
fn f5_eio_for_a_while_is_got_over() {
    survives(5, a_while(Errno::IO), false);
}

#[test]
fn f5_eacces_once_at_any_call_is_got_over() {
    survives(6, once(Errno::ACCESS), true);
}

#[test]
fn f5_eacces_for_a_while_is_got_over() {
    survives(7, a_while(Errno::ACCESS), true);
}

#[test]
fn f5_eintr_once_at_any_call_is_got_over() {
    survives(8, once(Errno::INTR), false);
}

#[test]
fn f5_a_torn_write_that_cannot_be_tidied_up_at_once_is_got_over() {
    for calls in [1, 2, 4] {
        survives(9, |at| Fault::Tears { at, calls }, false);
    }
}

#[test]
fn f5_short_writes_leave_whole_files() {
    let mut world = world();
    world.control.set(Fault::Short { at: 0, calls: usize::MAX });
    for number in 0..PHASES {
        let old = world.found();
        phase(&mut world, number, |world| assert_old_or_new(&old, world, "short writes"));
        world.assert_converged("short writes");
    }
}

/// A world with ten files, in which nothing can be written for the next `calls` calls.
fn full_disk(calls: usize) -> World {
    let mut world = World::new();
    world.start("a");
    world.list_all();
    world.settle();
    let data: Vec<(String, String)> = (0..10).map(|number| (format!("k{number}"), number.to_string())).collect();
    let data: Vec<(&str, &str)> = data.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.put(thing("many", 1, None, &data));
    world.control.set(Fault::Fails { at: world.control.calls(), calls, errno: Errno::NOSPC });
    world
}

#[test]
fn f1_each_failing_file_is_told_once_and_its_recovery_once() {
    let mut world = full_disk(300);
    world.settle();
    world.assert_converged("space is back");
    let count = |wanted: &str, path: &str| {
        let of = |what: &What| match what {
            What::Failed { path, .. } => Some(("failed", path.as_str().to_owned())),
            What::Recovered(path) => Some(("recovered", path.as_str().to_owned())),
            _ => None,
        };
        world.notes.iter().filter(|note| of(&note.what) == Some((wanted, path.to_owned()))).count()
    };
    for path in (0..10).map(|number| format!("k{number}")) {
        assert_eq!((count("failed", &path), count("recovered", &path)), (1, 1), "{path}");
    }
}

#[test]
fn f1_while_writes_fail_attempts_are_few() {
    let mut world = full_disk(usize::MAX);
    world.commit(usize::MAX);
    let (calls, began) = (world.control.calls(), world.now);
    let end = began + std::time::Duration::from_secs(600);
    let mut commits = 0;
    while world.now < end {
        world.pass_until_wake();
        world.commit(usize::MAX);
        commits += 1;
    }
    let calls = world.control.calls() - calls;
    assert!(commits < 2500 && calls < 5000, "{commits} commits and {calls} calls in ten minutes");
    assert_eq!(world.stuck(), 10);
}

#[test]
fn a_failed_file_is_tried_again_although_another_of_the_same_batch_was_written() {
    let mut world = World::new();
    world.start("a");
    world.list_all();
    world.settle();
    world.put(thing("first", 1, None, &[("a", "1")]));
    world.put(thing("second", 1, None, &[("b", "2")]));
    // The look at both, the two appends to the ledger, and then the first file's own create.
    let at = world.control.calls() + 3;
    world.control.set(Fault::Fails { at, calls: 1, errno: Errno::NOSPC });
    world.commit(usize::MAX);
    assert_eq!(world.control.struck(), Some("create_nameless"), "the test aims at the first file");
    assert!(world.found().contains_key("b") && !world.found().contains_key("a"));
    world.settle();
    world.assert_converged("tried again");
}
