//! Debian's nginx, HAProxy, Prometheus and Dovecot with their configuration from manifests: told of edits as a child, by a signal, by a
//! request and by a script, and each under requests that never pause.
//!
//! Needs those programs and root: the stage `programs` of `.ci/run` installs the ones and has the other.

mod dovecot;
mod haproxy;
mod load;
mod nginx;
pub mod place;
pub mod process;
mod prometheus;

use serde_json::Value;

use crate::support::projector::Builder;
use crate::support::{DEADLINE, Projector, times, wait_until};

use load::Count;
use place::Place;
use process::{Daemon, Group};

/// How often a program is told of an edit while it is asked all the time, in full.
const EDITS: usize = 200;

/// Files of FOLDER with their contents.
type Files = Vec<(&'static str, String)>;

/// What these tests know of a program.
trait Program: Sync {
    /// What the tests print.
    fn name(&self) -> &'static str;

    /// The command that runs it in the foreground, with its complaints on its standard outputs.
    fn command(&self) -> Vec<String>;

    /// Its files with this version in what it answers.
    fn files(&self, version: usize) -> Files;

    /// Its files with a mistake in one of them.
    fn broken(&self) -> Files;

    /// What leads to that mistake: the file, the place in it, and what is wrong there.
    fn complaint(&self) -> Vec<String>;

    /// Asks it by a connection that is used for nothing else, once. The version in the answer.
    fn version(&self) -> Result<usize, String>;

    /// Tells a program that runs without us of changed files, as its manual says.
    fn tell(&self, daemon: &Daemon);
}

/// A program that answers with version 1, and kube-projector, which tells it of edits.
struct Told<'a> {
    program: &'a dyn Program,
    place: &'a Place,
    projector: Projector,
    /// Where it is no child of ours.
    daemon: Option<Daemon>,
    /// Where it is. We would leave it behind if we were killed.
    _child: Option<Group>,
}

impl<'a> Told<'a> {
    /// The program as our child.
    fn child(program: &'a dyn Program, place: &'a Place, settings: &[(&str, &str)]) -> Self {
        place.put(&program.files(1));
        let command = program.command();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut projector = with(place.projector(), settings).args(&["run", "--"]).args(&command).start();
        let child = Group::child_of(&mut projector);
        let told = Self { program, place, projector, daemon: None, _child: Some(child) };
        told.answers(1);
        told
    }

    /// The program beside us, started as soon as its files are there, as a pod does it.
    fn beside(program: &'a dyn Program, place: &'a Place, settings: &[(&str, &str)]) -> Self {
        place.put(&program.files(1));
        let mut projector = with(place.projector(), settings).start();
        projector.wait_ready();
        let daemon = Daemon::start(&program.command(), place);
        let told = Self { program, place, projector, daemon: Some(daemon), _child: None };
        told.answers(1);
        told
    }

    fn answers(&self, version: usize) {
        answers(self.program, version);
    }

    fn edit(&self, version: usize) {
        self.place.put(&self.program.files(version));
        self.answers(version);
    }

    /// What the program and kube-projector have printed.
    fn output(&self) -> String {
        self.projector.output() + &self.daemon.as_ref().map(Daemon::output).unwrap_or_default()
    }

    /// What health says of changes that it could not be told, or is still to be; nothing when it knows all.
    fn failure(&self) -> String {
        let (status, body) = self.projector.health();
        assert_eq!(status, 200, "{body}");
        let nothing = |value: &&Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        [&body["reload_failure"], &body["owed"]].into_iter().filter(|value| !nothing(value)).map(Value::to_string).collect()
    }

    /// Waits until health says that it knows all.
    fn is_content(&self) {
        wait_until("health to be content", DEADLINE, || {
            let failure = self.failure();
            if failure.is_empty() { Ok(()) } else { Err(failure) }
        });
    }

    /// Edits arrive; a mistake is told in words that lead to it, and harms nobody; its repair is told at once.
    ///
    /// `is_told` are parts of what health says of the mistake. There are none where a signal told the program: nobody answers a signal.
    fn lives_through_a_mistake(mut self, is_told: &[&str]) {
        self.edit(2);
        // Not while it is still at the reload, nor before the process that reads the files for those that come later has read them.
        self.is_content();
        (0..20).for_each(|_| self.answers(2));
        self.place.put(&self.program.broken());
        wait_until("the complaint", DEADLINE, || {
            let (output, failure) = (self.output(), self.failure());
            let complaint = self.program.complaint();
            let led = complaint.iter().all(|words| output.contains(words)) && is_told.iter().all(|words| failure.contains(words));
            if led { Ok(()) } else { Err((complaint, failure, output)) }
        });
        // The last good configuration serves on; a process that ends meanwhile, as Dovecot's for logins do, may leave one question open.
        (0..20).for_each(|_| self.answers(2));
        self.edit(3);
        self.is_content();
        assert_eq!(self.projector.terminate().code(), Some(0));
    }
}

/// Many edits that we tell of, and as many reloads that the program is asked for without us, both while it is asked all the time,
/// by one connection for each request and without a second try.
fn many_edits(mut told: Told<'_>, way: &str) {
    let (program, place, edits) = (told.program, told.place, times(EDITS));
    let with_us = load::on(program, || (2..2 + edits).for_each(|version| told.edit(version)));
    told.is_content();
    assert_eq!(told.projector.terminate().code(), Some(0));
    drop(told);
    let without_us = by_itself(program, place, edits);
    println!("programs: {} {way}: {with_us} with us, {without_us} by itself, in {edits} reloads each", program.name());
    for count in [&with_us, &without_us] {
        assert!(count.requests >= edits, "asked too little to tell: {count}");
    }
    assert!(with_us.failed() <= without_us.failed(), "{with_us} with us, {without_us} by itself");
}

/// The program without us: what its own reloads cost.
fn by_itself(program: &dyn Program, place: &Place, edits: usize) -> Count {
    place.write(&program.files(1));
    let daemon = Daemon::start(&program.command(), place);
    answers(program, 1);
    load::on(program, || {
        for version in 2..2 + edits {
            place.write(&program.files(version));
            program.tell(&daemon);
            answers(program, version);
        }
    })
}

fn with(builder: Builder, settings: &[(&str, &str)]) -> Builder {
    settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
}

fn answers(program: &dyn Program, version: usize) {
    wait_until(&format!("{} with version {version}", program.name()), DEADLINE, || {
        let answered = program.version();
        if answered == Ok(version) { Ok(()) } else { Err(answered) }
    });
}
