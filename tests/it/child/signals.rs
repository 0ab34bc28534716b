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
