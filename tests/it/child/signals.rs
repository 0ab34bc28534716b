//! Signals that are passed on.

use super::*;

#[test]
fn signals_sent_to_us_reach_the_child() {
    let bench = Bench::new();
    let script = "for name in HUP USR1 USR2 WINCH; do trap \"note $name\" $name; done; note up; idle";
    let mut projector = bench.child(script).start();
    bench.noted(&["up"]);
    let mut expected = vec!["up"];
    for (name, signal) in [("USR1", Signal::USR1), ("WINCH", Signal::WINCH), ("HUP", Signal::HUP), ("USR2", Signal::USR2)] {
        projector.signal(signal);
        expected.push(name);
        bench.noted(&expected);
    }
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn without_a_child_hup_ends_us_as_ever() {
    use std::os::unix::process::ExitStatusExt as _;

    let bench = Bench::new();
    let mut projector = bench.setup.start();
    projector.signal(Signal::HUP);
    assert_eq!(projector.wait_exit(DEADLINE).signal(), Some(Signal::HUP.as_raw()));
}

/// Whoever starts a process may learn of it only when it has run for a while. strace makes that while a long one.
#[test]
fn what_is_meant_for_a_child_that_is_just_being_started_reaches_it() {
    let bench = Bench::on(Setup::in_process());
    let late = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "inject=clone,clone3,vfork:delay_exit=1000000"];
    let script = "trap 'note usr1' USR1; trap 'note term; exit 9' TERM; note up; idle";
    let mut projector = bench.child(script).wrapper(&late).start();
    bench.noted(&["up"]);
    projector.signal(Signal::USR1);
    bench.noted(&["up", "usr1"]);
    assert_eq!(projector.terminate().code(), Some(0));
    bench.noted(&["up", "usr1", "term"]);
    let mut projector = bench.child(script).wrapper(&late).start();
    bench.noted(&["up", "usr1", "term", "up"]);
    assert_eq!(projector.terminate().code(), Some(0));
    bench.noted(&["up", "usr1", "term", "up", "term"]);
}
