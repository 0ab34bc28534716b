//! System calls that touch files, per changed file, of the built binary under strace.
//!
//! Objects are changed in phases; a marker object stands between two phases, so that the rename of its file cuts the trace.
//! Every figure is a slope between two phases of different length: what belongs to the markers cancels out.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::report::{Number as _, Report};
use crate::support::{Cluster, DEADLINE, Options, Projector, wait_for};

/// Calls that take a path or work on an open file. What they do to sockets, pipes and the log is not counted.
const CALLS: &str =
    "trace=%file,read,write,readv,writev,pread64,pwrite64,close,dup,fcntl,fstat,fchmod,fsync,fdatasync,ftruncate,flock,getdents64,lseek";
/// Events in the shorter and the longer phase of a pair.
const SHORT: usize = 10;
const LONG: usize = 30;

/// What happens to each object of a phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Create,
    Update,
    /// Changes nothing that we use.
    Annotate,
    Delete,
}

/// G12, G13, with the ledger on and without DURABILITY.
pub fn measure(report: &mut Report) {
    let flat = Traced::new("").run(&[Act::Create, Act::Update, Act::Annotate, Act::Delete]);
    report.at_most("syscalls per new file", flat[0], 9.0);
    report.at_most("syscalls per update of an owned file", flat[1], 6.0);
    report.at_most("syscalls per metadata-only change", flat[2], 0.0);
    report.no_growth("syscalls per removed file", flat[3]);
    // Two more open and close the folder.
    let nested = Traced::new("sub").run(&[Act::Create, Act::Update]);
    report.no_growth("syscalls per new file in a subfolder", nested[0]);
    report.no_growth("syscalls per update of an owned file in a subfolder", nested[1]);
}

/// A projector under strace on objects of one target folder.
struct Traced {
    cluster: Cluster,
    target: &'static str,
    folder: TempDir,
    markers: usize,
}

impl Traced {
    fn new(target: &'static str) -> Self {
        let cluster = Cluster::in_process_with(Options { bookmark_interval: DEADLINE, ..Options::default() });
        Self { cluster, target, folder: TempDir::new().expect("a temporary folder"), markers: 0 }
    }

    /// Calls per event of each act.
    fn run(&mut self, acts: &[Act]) -> Vec<f64> {
        let trace = TempDir::new().expect("a temporary folder");
        let file = trace.path().join("trace");
        let path = file.to_str().expect("a path in UTF-8");
        let launch = Projector::on(&self.cluster, self.folder.path()).env("RESOURCE", "configmap").env("FINALIZERS", "false");
        let mut projector = launch.env("PATH", env!("PATH")).wrapper(&["strace", "-f", "-qq", "-y", "-o", path, "-e", CALLS]).start();
        projector.wait_ready();
        self.create("standing", "0");
        for act in acts {
            for length in [SHORT, LONG] {
                self.mark();
                (0..length).for_each(|number| self.perform(*act, &format!("object-{length}-{number}")));
            }
        }
        self.mark();
        // strace passes no signal on, and what it traces outlives it: the projector is ended itself, and strace ends with it.
        let pid = projector.pid();
        let traced = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("strace has a child");
        for traced in traced.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            kill_process(traced, Signal::KILL).expect("the projector runs");
        }
        projector.wait_exit(DEADLINE);
        let text = fs::read_to_string(&file).expect("strace wrote its trace");
        let counts = counts(&text, self.markers);
        let per_event = |pair: &[usize]| (pair[1].number() - pair[0].number()) / (LONG - SHORT).number();
        counts.chunks_exact(2).map(per_event).collect()
    }

    /// Creates the next marker and waits for its file: everything before it was done.
    fn mark(&mut self) {
        let name = format!("marker-{}", self.markers);
        self.markers += 1;
        self.cluster.configmap(&name, &[(&name, "")]).create();
        wait_for(&name, DEADLINE, || self.folder.path().join(&name).exists());
    }

    fn perform(&self, act: Act, name: &str) {
        match act {
            Act::Create => self.create(name, "before"),
            Act::Update => {
                self.cluster.set_data(name, &[(name, "after")]);
                self.wait(name, Some("after"));
            }
            Act::Annotate => drop(self.cluster.annotate("configmaps", name, &[("example.com/other", Some("value"))])),
            Act::Delete => {
                self.cluster.delete("configmaps", name);
                self.wait(name, None);
            }
        }
    }

    fn create(&self, name: &str, content: &str) {
        self.cluster.configmap(name, &[(name, content)]).target(self.target).create();
        self.wait(name, Some(content));
    }

    /// Waits for one event to be done, so that each comes alone.
    fn wait(&self, name: &str, content: Option<&str>) {
        let path = self.folder.path().join(self.target).join(name);
        wait_for(name, DEADLINE, || fs::read_to_string(&path).ok().as_deref() == content);
    }
}

/// Calls between the renames of each two markers.
fn counts(trace: &str, markers: usize) -> Vec<usize> {
    let lines: Vec<&str> = trace.lines().filter(|line| touches_a_file(line)).collect();
    let places: Vec<usize> = (0..markers)
        .map(|marker| {
            let name = format!("\"marker-{marker}\"");
            let found = lines.iter().position(|line| line.contains("rename") && line.contains(&name));
            found.unwrap_or_else(|| panic!("no rename of {name} in the trace"))
        })
        .collect();
    places.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// `1234 write(7</folder/file>, ...`: not the second half of a call that another thread interrupted, not a socket, not the log.
fn touches_a_file(line: &str) -> bool {
    let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
    let Some((name, arguments)) = call.split_once('(') else {
        return false;
    };
    let is_call = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let first = arguments.split_once('>').map_or(arguments, |(first, _)| first);
    let other = ["<socket:", "<TCP", "<UNIX", "<NETLINK", "<anon_inode:", "<pipe:"].iter().any(|mark| first.contains(mark));
    let output = ["0<", "1<", "2<"].iter().any(|descriptor| arguments.starts_with(descriptor));
    is_call && !other && !output
}
