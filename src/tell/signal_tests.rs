//! Signals to real processes.

use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

use super::*;

fn signal(target: SignalTarget) -> Signal {
    Signal::new(SignalSettings { signal: rustix::process::Signal::TERM, target })
}

fn named(name: &str) -> Signal {
    signal(SignalTarget::Process(name.to_owned()))
}

/// A shell under another name that waits for the signal.
fn sleeper(name: &str) -> Child {
    let mut child = Command::new("sh")
        .arg0(name)
        .args(["-c", "echo up; while :; do sleep 1; done"])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    child
}

fn why(sent: Result<(), Fault>) -> String {
    match sent {
        Err(Fault { kind: FaultKind::Trouble(..), why }) => why,
        other => panic!("{other:?}"),
    }
}

fn ended_by_the_signal(child: &mut Child) {
    assert_eq!(child.wait().unwrap().signal(), Some(rustix::process::Signal::TERM.as_raw()));
}

#[test]
fn a_process_is_found_by_the_whole_of_a_long_name_and_by_its_path() {
    // The kernel's own name of it is cut at 15 bytes.
    for (name, asked) in
        [("/opt/projector-test-with-a-long-name", "projector-test-with-a-long-name"), ("/opt/projector-test-x", "/opt/projector-test-x")]
    {
        let mut child = sleeper(name);
        assert_eq!(named(asked).send(), Ok(()), "{asked}");
        ended_by_the_signal(&mut child);
    }
    assert!(why(named("projector-test-w").send()).contains("SIGNAL_PROCESS"));
}

#[test]
fn a_number_in_a_file_is_the_process_that_had_it_when_the_file_was_written() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let by_file = signal(SignalTarget::Pidfile(file.path().to_owned()));
    for text in ["", "x", "-1", "0"] {
        fs::write(file.path(), text).unwrap();
        assert!(why(by_file.send()).contains("expected a process id"), "{text}");
    }
    let mut child = sleeper("projector-test-pidfile");
    fs::write(file.path(), format!("{}\n", child.id())).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(file.path()).unwrap().set_modified(old).unwrap();
    assert!(why(by_file.send()).contains("given to another process"));
    fs::write(file.path(), format!("{}\n", child.id())).unwrap();
    assert_eq!(by_file.send(), Ok(()));
    ended_by_the_signal(&mut child);
    assert!(why(by_file.send()).contains("it ended"));
    fs::remove_file(file.path()).unwrap();
    assert!(why(by_file.send()).contains("No such file"));
}

#[test]
fn a_process_that_ended_is_known_by_its_descriptor() {
    let mut child = sleeper("projector-test-ended");
    let held = named("x").hold(i32::try_from(child.id()).unwrap()).unwrap();
    assert!(!has_ended(&held.descriptor));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(has_ended(&held.descriptor));
}

#[test]
fn an_empty_pod_is_told_what_it_lacks() {
    let empty = tempfile::tempdir().unwrap();
    let alone = Signal { proc: empty.path().to_owned(), ..named("nginx") };
    assert!(why(alone.send()).contains("shareProcessNamespace"));
}

#[test]
fn a_process_without_a_handler_is_told_nothing_that_would_end_it() {
    let mut child = sleeper("projector-test-without-handler");
    let hangup = |name: &str| {
        let target = SignalTarget::Process(name.to_owned());
        why(Signal::new(SignalSettings { signal: rustix::process::Signal::HUP, target }).send())
    };
    assert!(hangup("projector-test-without-handler").contains("was started just now"));
    let deadline = std::time::Instant::now() + Duration::from_secs(45);
    while hangup("projector-test-without-handler").contains("was started just now") {
        assert!(std::time::Instant::now() < deadline, "two seconds pass");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Under nohup it ignores HUP, which is no better.
    let objection = hangup("projector-test-without-handler");
    assert!(objection.contains("has no handler for HUP") || objection.contains("ignores HUP"), "{objection}");
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}
