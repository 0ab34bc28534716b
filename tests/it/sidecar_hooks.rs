//! PROFILE=k8s-sidecar, section 1.7 of the contract: when SCRIPT and REQ_URL run, how often, and what becomes of their failures.
//!
//! Counts are exact: a change made last has a run of its own, and whatever belongs to earlier changes has run by then.

mod burst;
mod changes;
mod modes;
mod request;
mod restart;
mod retry;
mod script;
mod watch;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::Setup;
use crate::support::projector::Builder;
use crate::support::*;

/// Where scripts and wrappers look for programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Appends the changed paths to `runs`, and ends the record with a line of its own.
const RECORD: &str = "#!/bin/sh\n{ cat \"$PROJECTOR_CHANGED\"; echo .; } >> RUNS\n";

/// A setup with a script that records its runs, and an application that is asked to reload.
pub struct Bench {
    pub setup: Setup,
    pub web: WebServer,
    /// Runs that a test has looked at.
    seen: Cell<usize>,
    markers: Cell<usize>,
}

impl Bench {
    /// On the server that the environment asks for.
    pub fn new() -> Self {
        Self::on(Setup::new())
    }

    /// On this server.
    pub fn on(setup: Setup) -> Self {
        let web = WebServer::start();
        web.on("/reload", Answer::ok("reloaded"));
        let bench = Self { setup, web, seen: Cell::new(0), markers: Cell::new(0) };
        bench.script("record", RECORD);
        bench
    }

    /// A launch in the profile, without hooks.
    pub fn plain(&self) -> Builder {
        let builder = Projector::on(&self.setup.cluster, &self.setup.folder()).env("PROFILE", "k8s-sidecar").env("RESOURCE", "both");
        builder.env("LEDGER", &text(&self.setup.beside("ledger"))).env("PATH", PATH).env("REQ_RETRY_BACKOFF_FACTOR", "0.02")
    }

    /// A launch with the script and the request.
    pub fn hooked(&self) -> Builder {
        self.plain().env("SCRIPT", &text(&self.setup.beside("record"))).env("REQ_URL", &self.web.url("/reload")).env("REQ_METHOD", "POST")
    }

    /// Writes a script beside FOLDER that can be executed; `RUNS` in it is the file of records.
    pub fn script(&self, name: &str, source: &str) -> PathBuf {
        let path = self.setup.beside(name);
        write_by_child(&path, &source.replace("RUNS", &text(&self.setup.beside("runs"))), "755");
        path
    }

    /// All runs so far that are complete, each with its paths relative to FOLDER.
    pub fn all_runs(&self) -> Vec<BTreeSet<String>> {
        let records = std::fs::read_to_string(self.setup.beside("runs")).unwrap_or_default();
        let folder = format!("{}/", text(&self.setup.folder()));
        let run = |record: &str| record.lines().map(|line| line.strip_prefix(&folder).unwrap_or(line).to_owned()).collect();
        // What follows the last mark is not complete.
        let (complete, _) = records.rsplit_once("\n.\n").map_or(("", ""), |(complete, rest)| (complete, rest));
        complete.split("\n.\n").filter(|record| !record.is_empty()).map(run).collect()
    }

    /// Waits for exactly these runs after those that were looked at before, in any order.
    pub fn ran(&self, expected: &[&[&str]]) {
        let (seen, due) = (self.seen.get(), self.seen.get() + expected.len());
        wait_until(&format!("{due} runs of the script"), DEADLINE, || {
            if self.all_runs().len() >= due { Ok(()) } else { Err(self.all_runs()) }
        });
        let mut found = self.all_runs().split_off(seen);
        let mut expected: Vec<BTreeSet<String>> = expected.iter().map(|run| run.iter().map(|path| (*path).to_owned()).collect()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        self.seen.set(due);
    }

    /// In WATCH: once everything so far is told, there were exactly these runs.
    pub fn ran_only(&self, expected: &[&[&str]]) {
        let number = self.markers.replace(self.markers.get() + 1);
        let marker = format!("marker-{number}");
        self.setup.cluster.configmap(&marker, &[(&marker, "")]).create();
        let mark = BTreeSet::from([marker.clone()]);
        wait_until(
            &format!("the run for {marker}"),
            DEADLINE,
            || if self.all_runs().contains(&mark) { Ok(()) } else { Err(self.all_runs()) },
        );
        let last = [marker.as_str()];
        let with_marker: Vec<&[&str]> = expected.iter().copied().chain([last.as_slice()]).collect();
        self.ran(&with_marker);
    }

    /// Waits until the application was asked so often, and no more often than that.
    pub fn asked(&self, times: usize) -> Vec<Received> {
        let found = self.web.wait_for("/reload", times);
        assert_eq!(found.len(), times, "requests to reload");
        found
    }
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Writes a file by another process: one that this process holds open for writing, even for a moment, could not be executed by a
/// child that another test starts meanwhile.
pub fn write_by_child(path: &Path, source: &str, mode: &str) {
    let command = "cat > \"$1\" && chmod \"$2\" \"$1\"";
    let mut child = Command::new("sh").args(["-c", command, "sh", &text(path), mode]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "writing {}", path.display());
}

/// Launches in the profile and waits until `/healthz` is OK.
pub fn healthy(builder: &Builder) -> Projector {
    let mut projector = builder.start();
    wait_until("/healthz of the profile", DEADLINE, || {
        let (status, _) = projector.health();
        assert!(status == 200 || projector.is_running(), "it ended:\n{}", projector.output());
        if status == 200 { Ok(()) } else { Err(projector.output()) }
    });
    projector
}

/// Runs to its end, which must be exit code 0.
pub fn completed(builder: &Builder) -> Finished {
    let finished = builder.run_within(DEADLINE * 2);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    finished
}
