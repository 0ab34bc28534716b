//! Processes as /proc shows them: what they do about signals, and those that are our children, also where /proc belongs to an outer PID
//! namespace and numbers them in its own way.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

/// What `/proc/PID/status` says of a process.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct ProcStatus {
    parent: i32,
    /// The number in each PID namespace, from that of /proc inwards.
    numbers: Vec<i32>,
    /// Whether it has ended and nobody has waited for it.
    pub(crate) is_zombie: bool,
    ignored: u64,
    caught: u64,
}

/// What a process does about a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disposition {
    /// Nothing of its own: what the kernel does by default.
    Default,
    /// It does not want to know.
    Ignored,
    /// It has a handler.
    Caught,
}

/// Every child of ours by its number, as we count, those included that became ours when their parent ended. None where /proc cannot be
/// read.
pub(crate) fn children(proc: &Path) -> Vec<(i32, ProcStatus)> {
    children_or_nothing(proc).unwrap_or_default()
}

fn children_or_nothing(proc: &Path) -> Option<Vec<(i32, ProcStatus)>> {
    let own: i32 = fs::read_link(proc.join("self")).ok()?.to_str()?.parse().ok()?;
    let read = |name: &str| status(&proc.join(name));
    let innermost = read("self")?.numbers.len().checked_sub(1)?;
    let names = fs::read_dir(proc).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let processes = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter_map(|name| read(&name));
    let ours = processes.filter(|status| status.parent == own);
    Some(ours.filter_map(|status| Some((*status.numbers.get(innermost)?, status))).collect())
}

/// What is said of the process of a folder of /proc. Nothing where that cannot be read.
pub(crate) fn status(folder: &Path) -> Option<ProcStatus> {
    parse(&fs::read_to_string(folder.join("status")).ok()?)
}

/// Whether a signal says nothing by itself, and ends a process that does not handle it. TERM and the like end it on purpose.
pub(crate) fn is_for_handlers(signal: Signal) -> bool {
    [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM].contains(&signal)
}

impl Disposition {
    /// Why a process that does so is not told by this signal.
    pub(crate) fn objection(self, pid: i32, signal: &str) -> Option<String> {
        match self {
            Self::Default => Some(format!("process {pid} has no handler for {signal}, which would end it")),
            Self::Ignored => Some(format!("process {pid} ignores {signal}")),
            Self::Caught => None,
        }
    }
}

impl ProcStatus {
    /// What it does about a signal.
    pub(crate) fn disposition(&self, signal: Signal) -> Disposition {
        let is_in = |set: u64| set >> (signal.as_raw() - 1) & 1 == 1;
        match (is_in(self.caught), is_in(self.ignored)) {
            (true, _) => Disposition::Caught,
            (false, true) => Disposition::Ignored,
            (false, false) => Disposition::Default,
        }
    }
}

fn parse(status: &str) -> Option<ProcStatus> {
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let signals = |name: &str| u64::from_str_radix(value(name)?, 16).ok();
    Some(ProcStatus {
        parent: value("PPid")?.parse().ok()?,
        numbers: value("NSpid")?.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?,
        is_zombie: value("State")?.starts_with('Z'),
        ignored: signals("SigIgn")?,
        caught: signals("SigCgt")?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const OURS: &str = "Name:\tkube-projector\nState:\tS (sleeping)\nPPid:\t90\nNSpid:\t100\t1\nSigIgn:\t0\nSigCgt:\t0\n";
    // HUP is caught, USR1 ignored; the name is made to mislead.
    const CHILD: &str =
        "Name:\tPPid:\t7\nState:\tS (sleeping)\nPPid:\t100\nNSpid:\t101\t2\nSigIgn:\t0000000000000200\nSigCgt:\t0000000000000001\n";
    const DEEPER: &str = "Name:\tx\nState:\tZ (zombie)\nPPid:\t100\nNSpid:\t102\t3\t1\nSigIgn:\t0\nSigCgt:\t0\n";
    const STRANGER: &str = "Name:\tx\nState:\tZ (zombie)\nPPid:\t1\nNSpid:\t103\nSigIgn:\t0\nSigCgt:\t0\n";

    #[test]
    fn children_have_the_numbers_that_we_know_them_by_in_whatever_proc() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, status) in [("100", OURS), ("101", CHILD), ("102", DEEPER), ("103", STRANGER), ("tty", STRANGER)] {
            fs::create_dir(proc.path().join(pid)).unwrap();
            fs::write(proc.path().join(pid).join("status"), status).unwrap();
        }
        symlink("100", proc.path().join("self")).unwrap();
        let mut found: Vec<_> = children(proc.path()).into_iter().map(|(pid, status)| (pid, status.is_zombie)).collect();
        found.sort_unstable();
        assert_eq!(found, [(2, false), (3, true)]);
    }

    #[test]
    fn without_proc_nobody_is_seen() {
        assert_eq!(children(Path::new("/no/such")), []);
    }

    #[test]
    fn what_a_process_does_about_a_signal_is_in_its_masks() {
        let status = parse(CHILD).unwrap();
        let dispositions = [Signal::HUP, Signal::USR1, Signal::USR2].map(|signal| status.disposition(signal));
        assert_eq!(dispositions, [Disposition::Caught, Disposition::Ignored, Disposition::Default]);
    }
}
