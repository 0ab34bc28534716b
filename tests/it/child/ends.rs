//! How the child ends, and what that means for us.

use super::*;

#[test]
fn the_exit_code_of_the_child_is_ours() {
    let bench = Bench::new();
    for (end, code) in [("exit 3", 3), ("exit 0", 0), ("kill -KILL $$", 137), ("kill -HUP $$", 129)] {
        let finished = bench.child(end).run();
        assert_eq!(finished.code, Some(code), "{end}: {}", finished.stderr);
    }
}

#[test]
fn a_child_that_ends_at_a_reload_ends_us_with_its_code_and_the_files_stay() {
    let bench = Bench::new();
    let mut projector = bench.child("trap 'exit 7' HUP; note up; idle").start();
    bench.noted(&["up"]);
    bench.set("2");
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(7));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "2" });
    assert_eq!(temps(&bench.setup.folder()), Vec::<String>::new());
}

#[test]
fn a_command_that_cannot_be_started_is_named_and_has_the_code_of_a_shell() {
    let bench = Bench::new();
    let plain = bench.setup.beside("plain");
    touch(&plain);
    for (command, code) in [("/no/such/program", 127), (plain.to_str().unwrap(), 126)] {
        let finished = bench.command(&[command]).run();
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
        let named = finished.stderr.lines().any(|line| line.contains("the child cannot be started") && line.contains(command));
        assert!(named, "{}", finished.stderr);
    }
}

#[test]
fn one_list_and_a_command_are_a_configuration_error() {
    let finished = Bench::new().command(&["true"]).env("METHOD", "LIST").run();
    assert_eq!((finished.code, finished.stderr.contains("METHOD")), (Some(2), true), "{}", finished.stderr);
}

#[test]
fn a_child_that_crashes_is_started_again_if_that_was_asked_for() {
    let bench = Bench::new();
    let mut projector = bench.child("note up; exit 1").env("CHILD_RESTART", "always").start();
    bench.noted(&["up", "up", "up"]);
    assert!(projector.output().contains("\"pause_seconds\":2"), "{}", projector.output());
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn a_stop_is_passed_on_as_term_and_waits_for_the_child() {
    let bench = Bench::new();
    for signal in [Signal::TERM, Signal::INT] {
        let script = "rm -f $D/go $D/log; trap 'note term; until [ -e $D/go ]; do sleep 0.02; done; note done; exit 5' TERM; note up; idle";
        let mut projector = bench.child(script).start();
        bench.noted(&["up"]);
        projector.signal(signal);
        bench.noted(&["up", "term"]);
        assert!(projector.is_running());
        touch(&bench.setup.beside("go"));
        assert_eq!(projector.wait_exit(DEADLINE).code(), Some(0), "we did what we were asked");
        assert_eq!(bench.log(), ["up", "term", "done"]);
    }
}

#[test]
fn a_child_that_ignores_term_is_killed_with_its_group_when_its_time_is_up() {
    let bench = Bench::new();
    let script = "trap '' TERM; sleep 100 & echo $! > $D/grandchild; echo $$ > $D/pid; note up; idle";
    let mut projector = bench.child(script).env("KILL_TIMEOUT", "0.3").start();
    bench.noted(&["up"]);
    let pids = [bench.pid_in("pid"), bench.pid_in("grandchild")];
    assert_eq!(projector.terminate().code(), Some(0));
    assert!(projector.output().contains("KILL_TIMEOUT"), "{}", projector.output());
    pids.into_iter().for_each(gone);
}

#[test]
fn a_later_second_stop_kills_at_once() {
    let bench = Bench::new();
    let script = "trap 'note term' TERM; echo $$ > $D/pid; note up; idle";
    let mut projector = bench.child(script).env("KILL_TIMEOUT", "1000").start();
    bench.noted(&["up"]);
    projector.signal(Signal::TERM);
    bench.noted(&["up", "term"]);
    let ended = || {
        projector.signal(Signal::TERM);
        !projector.is_running()
    };
    wait_for("the end", DEADLINE, ended);
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(0));
    gone(bench.pid_in("pid"));
}

#[test]
fn two_stops_at_once_mean_one_as_timeout_and_terminals_send_them() {
    let bench = Bench::new();
    let mut projector = bench.child("trap 'note term; sleep 0.2; note done; exit 0' TERM; note up; idle").start();
    bench.noted(&["up"]);
    projector.signal(Signal::TERM);
    projector.signal(Signal::INT);
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(0));
    bench.noted(&["up", "term", "done"]);
}

#[test]
fn a_child_that_is_stopped_goes_on_to_end() {
    let bench = Bench::new();
    let mut projector = bench.child("trap 'note term; exit 0' TERM; echo $$ > $D/pid; note up; idle").env("KILL_TIMEOUT", "1000").start();
    bench.noted(&["up"]);
    let pid = Pid::from_raw(bench.pid_in("pid")).unwrap();
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    assert_eq!(projector.terminate().code(), Some(0));
    bench.noted(&["up", "term"]);
}

#[test]
fn what_a_child_leaves_in_its_group_ends_with_us() {
    let bench = Bench::new();
    let finished = bench.child("sleep 100 & echo $! > $D/grandchild; exit 4").run();
    assert_eq!(finished.code, Some(4), "{}", finished.stderr);
    gone(bench.pid_in("grandchild"));
}

#[test]
fn a_child_that_does_not_end_is_killed_before_it_is_started_again() {
    let bench = Bench::new();
    let script = "trap '' TERM; note up $(cat $A); idle";
    let mut projector = bench.child(script).env("RELOAD_RESTART", "true").env("KILL_TIMEOUT", "0.3").start();
    bench.noted(&["up 1"]);
    bench.set("2");
    bench.noted(&["up 1", "up 2"]);
    assert!(projector.is_running());
}

/// What health tells of a child that is dead.
fn dead_child(projector: &Projector) -> serde_json::Value {
    projector.health().1["dead_child"].clone()
}

#[test]
fn r13_health_tells_a_dead_child_with_its_code_and_its_next_start() {
    let bench = Bench::new();
    let mut projector = bench.child("note up; [ -e $D/good ] || exit 3; idle").env("CHILD_RESTART", "always").start();
    let within = |most: u64| {
        let dead = dead_child(&projector);
        let next = dead["next_start_seconds"].as_u64();
        if dead["exit_code"] == 3 && next.is_some_and(|next| next <= most) { Ok(()) } else { Err(dead) }
    };
    wait_until("the dead child", DEADLINE, || within(1));
    touch(&bench.setup.beside("good"));
    wait_until("the living child", DEADLINE, || if dead_child(&projector).is_null() { Ok(()) } else { Err(dead_child(&projector)) });
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn r13_a_change_cuts_the_pause_of_a_dead_child_short() {
    let bench = Bench::new();
    let mut projector = bench.child("note $(cat $A); [ $(cat $A) = good ] || exit 1; idle").env("CHILD_RESTART", "always").start();
    // The pauses were 1, 2 and 4 seconds: the next one is of eight.
    bench.noted(&["1", "1", "1", "1"]);
    projector.wait_output("\"pause_seconds\":8");
    let left = || dead_child(&projector)["next_start_seconds"].as_u64().unwrap_or_default();
    wait_for("the long pause", DEADLINE, || left() >= 5);
    bench.set("good");
    bench.noted(&["1", "1", "1", "1", "good"]);
    projector.wait_output("without the rest of its pause");
    wait_until("the living child", DEADLINE, || if dead_child(&projector).is_null() { Ok(()) } else { Err(dead_child(&projector)) });
    assert_eq!(projector.terminate().code(), Some(0));
}
