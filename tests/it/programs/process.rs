//! Programs that run beside us, and the end of every process that a test has started, by its number.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::place::Place;
use crate::support::{DEADLINE, Projector, wait_for, wait_until};

/// How long processes may take to end when they are asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that the test has started in a process group of its own. Both end with it.
pub struct Daemon {
    child: Child,
    output: PathBuf,
}

impl Daemon {
    /// Starts a command; its outputs go to one file.
    pub fn start(command: &[String], place: &Place) -> Self {
        let output = place.beside("output");
        let file = File::create(&output).unwrap();
        let (second, program) = (file.try_clone().unwrap(), &command[0]);
        let mut command = {
            let mut all = Command::new(program);
            all.args(&command[1..]);
            all
        };
        command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0);
        Self { child: command.spawn().unwrap_or_else(|error| panic!("starting {program}: {error}")), output }
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends a signal as soon as the program has a handler for it: until then it would be lost, or the end of it.
    pub fn signal(&self, signal: Signal) {
        let status = format!("/proc/{}/status", self.child.id());
        wait_for("a handler of the signal", DEADLINE, || {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim();
            u64::from_str_radix(caught, 16).is_ok_and(|caught| caught >> (signal.as_raw() - 1) & 1 == 1)
        });
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(i32::try_from(self.child.id()).unwrap());
        // It was killed if it was still there.
        drop(self.child.wait());
        if std::thread::panicking() {
            let output = self.output();
            let start = output.len().saturating_sub(4_000);
            eprintln!("--- output of the program ---\n{}\n---", output.get(start..).unwrap_or(&output));
        }
    }
}

/// The process group of what a projector has started, which ends with it.
pub struct Group(i32);

impl Group {
    /// Waits for the projector's child.
    pub fn child_of(projector: &mut Projector) -> Self {
        let parent = i32::try_from(projector.pid()).unwrap();
        wait_until("the child", DEADLINE, || {
            assert!(projector.is_running(), "{}", projector.output());
            // One that leads its group: it is about to be the program.
            let child = processes().into_iter().find(|process| process.parent == parent && process.group == process.pid);
            child.map(|process| Self(process.group)).ok_or_else(|| projector.output())
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        end(self.0);
    }
}

/// What /proc tells of a process.
struct Process {
    pid: i32,
    state: String,
    parent: i32,
    group: i32,
}

fn processes() -> Vec<Process> {
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let look = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, parent, group) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Process { pid, state, parent, group })
    };
    numbers.filter_map(look).collect()
}

/// Ends a process group: asks it to, and kills what stays.
fn end(group: i32) {
    let is_there = || processes().iter().any(|process| process.group == group && process.state != "Z");
    let Some(pid) = Pid::from_raw(group) else { return };
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended by itself.
        let _ = kill_process_group(pid, signal);
        let deadline = Instant::now() + PATIENCE;
        while is_there() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
