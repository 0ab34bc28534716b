//! As PID 1: orphans are ours to wait for, and no signal does anything by default.

use super::*;

/// The children of a process, with their states.
fn children(parent: i32) -> Vec<(i32, char)> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let row = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, of) = (fields.next()?.chars().next()?, fields.next()?.parse::<i32>().ok()?);
        (of == parent).then_some((pid, state))
    };
    pids.filter_map(row).collect()
}

fn as_the_first_process(unshare: &[&str]) {
    let bench = Bench::new();
    let orphans = "i=0; while [ $i -lt 1000 ]; do (sleep 0.01 &); i=$((i+1)); done";
    let script = format!("trap 'note hup' HUP; trap 'note term; exit 9' TERM; {orphans}; note $(readlink /proc/self/ns/pid); idle");
    let mut projector = bench.child(&script).wrapper(unshare).start();
    wait_for("a thousand orphans", DEADLINE * 3, || {
        assert!(projector.is_running(), "it takes the right to unshare: {}", projector.output());
        bench.log().len() == 1
    });
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_ne!(bench.log(), [own.to_str().unwrap()]);
    let unshare = i32::try_from(projector.pid()).unwrap();
    let found = children(unshare);
    let [(first, _)] = found[..] else { panic!("one process in {found:?}") };
    wait_until("no orphan and no zombie", DEADLINE * 3, || {
        let found = children(first);
        if found.len() == 1 { Ok(()) } else { Err(found.len()) }
    });
    let child = children(first)[0].0;
    let namespace = bench.log().remove(0);
    bench.set("2");
    bench.noted(&[&namespace, "hup"]);
    send(first, Signal::TERM);
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(0));
    assert_eq!(bench.log(), [&*namespace, "hup", "term"]);
    gone(child);
}

#[test]
fn a_thousand_orphans_leave_no_zombie_and_term_ends_child_and_us() {
    as_the_first_process(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
}

#[test]
fn it_is_the_same_with_the_proc_of_an_outer_namespace() {
    as_the_first_process(&["unshare", "--pid", "--fork", "--kill-child"]);
}

#[test]
fn scripts_keep_their_exit_codes_while_orphans_are_waited_for() {
    let bench = Bench::new();
    let script = bench.setup.beside("script");
    let lines =
        format!("for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.01 &); done\nsleep 0.3\necho $i >> {}\n", bench.setup.beside("log").display());
    std::fs::write(&script, lines).unwrap();
    let unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let builder = bench.child("exec sleep 100").env("SCRIPT", script.to_str().unwrap()).env("RELOAD_SIGNAL", "WINCH");
    let mut projector = builder.wrapper(&unshare).start();
    projector.wait_ready();
    for (value, log) in [("2", vec!["9", "9"]), ("3", vec!["9", "9", "9"])] {
        wait_for("the run before", DEADLINE, || bench.log().len() == log.len() - 1);
        bench.set(value);
        bench.noted(&log);
    }
    wait_for("the last run", DEADLINE, || projector.output().matches("\"reaction\":\"script\"").count() == 3);
    let told = projector.output();
    assert_eq!(told.lines().filter(|line| line.contains("\"reaction\":\"script\"") && line.contains("told the application")).count(), 3);
}
