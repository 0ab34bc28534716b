//! One volume, several users: readers of every file, and sidecars of one pod on shared and nested folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::{plain, sidecar};
use crate::common::{Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

/// Reads every file below a folder in a loop, dot-files too, as Loki's ruler and configuration reloaders do.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, String>>,
}

impl Reader {
    fn of(folder: &Path, check: impl Fn(&str, &[u8]) -> Result<(), String> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, folder) = (Arc::clone(&stop), folder.to_owned());
        let thread = std::thread::spawn(move || {
            let mut reads = 0;
            while !asked.load(Ordering::SeqCst) || reads == 0 {
                for (path, bytes) in tree_with_dots(&folder) {
                    check(&path, &bytes).map_err(|error| format!("{path} after {reads} reads: {error}"))?;
                    reads += 1;
                }
            }
            Ok(reads)
        });
        Self { stop, thread }
    }

    fn assert_content(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap().unwrap_or_else(|error| panic!("a reader saw {error}"));
    }
}

/// A text that tells by its length line whether it is whole.
fn whole(number: usize) -> String {
    let body = format!("{number} ").repeat(20_000 + number % 7 * 1_000);
    format!("{}\n{body}", body.len())
}

#[test]
fn keep_3_reader_of_every_file_sees_only_projected_files_in_300_changes() {
    let setup = Setup::new();
    for name in ["a", "b", "c"] {
        setup.cluster.configmap(name, &[(name, &whole(0))]).target("tenant").create();
    }
    let mut projector = started(&sidecar(&setup).env("RESYNC", "1"));
    let reader = Reader::of(&setup.folder(), |path, bytes| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (length, body) = text.split_once('\n').ok_or_else(|| format!("{} bytes without a first line", bytes.len()))?;
        // A file that is replaced has its bytes under a second name for a moment, whole; nothing else is ever there.
        let known = ["tenant/a", "tenant/b", "tenant/c"].contains(&path) || path.starts_with("tenant/.") && path.ends_with(".tmp");
        if known && length == body.len().to_string() { Ok(()) } else { Err(format!("{} bytes that are no projected file", bytes.len())) }
    });
    for round in 0..100 {
        let text = whole(round);
        match round % 5 {
            // New files and removed ones too, not only replaced ones.
            4 => drop(setup.cluster.set_data("b", &[])),
            _ => drop(setup.cluster.set_data("b", &[("b", &text)])),
        }
        for name in ["a", "c"] {
            setup.cluster.set_data(name, &[(name, &text)]);
        }
    }
    setup.holds(&tree! { "tenant/a" => whole(99).as_bytes(), "tenant/c" => whole(99).as_bytes() });
    assert_eq!(projector.terminate().code(), Some(0));
    reader.assert_content();
}

/// Three sidecars of one pod: two share FOLDER, one has a folder below it; their ledgers lie in their folders or elsewhere.
struct Pod {
    // First, so that they are gone before the cluster is tidied up.
    running: [Option<Projector>; 3],
    builders: [Builder; 3],
    setup: Setup,
}

const LABELS: [&str; 3] = ["dashboards", "datasources", "alerts"];
const FOLDERS: [&str; 3] = ["", "", "nested"];
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

impl Pod {
    fn started(ledger_elsewhere: bool) -> Self {
        let setup = Setup::new();
        setup.foreign("theirs", "1");
        setup.foreign("nested/theirs", "1");
        for label in LABELS {
            setup.cluster.configmap(label, &[(label, "1"), (&format!("{label}-gone"), "1")]).unlabelled().label(label, "").create();
            // Into a folder that all three can reach.
            let target = if label == "alerts" { "deep" } else { "nested/deep" };
            setup.cluster.secret(label, &[(&format!("{label}-deep"), "1")]).unlabelled().label(label, "").target(target).create();
        }
        let builder = |which: usize| {
            let folder: PathBuf = setup.folder().join(FOLDERS[which]);
            let builder = plain(&setup).folder(&folder).env("RESOURCE", "both").env("LABEL", LABELS[which]);
            match ledger_elsewhere {
                true => builder.env("LEDGER", &setup.beside(&format!("ledger-{which}")).display().to_string()),
                false => builder,
            }
        };
        let builders = [builder(0), builder(1), builder(2)];
        let running = [0, 1, 2].map(|which| Some(started(&builders[which])));
        let pod = Self { running, builders, setup };
        pod.holds(&[("1", true); 3]);
        pod
    }

    /// What each one's file holds, and whether the key is there that will be dropped.
    fn holds(&self, parts: &[(&str, bool); 3]) {
        let mut expected = tree! { "theirs" => "1", "nested/theirs" => "1" };
        for (which, (content, gone)) in parts.iter().enumerate() {
            let label = LABELS[which];
            let folder = if which == 2 { "nested/" } else { "" };
            expected.extend(tree! { format!("{folder}{label}") => *content, format!("nested/deep/{label}-deep") => "1" });
            expected.extend(gone.then(|| (format!("{folder}{label}-gone"), b"1".to_vec())));
        }
        self.setup.holds(&expected);
    }

    fn edit(&self, which: usize, content: &str) {
        self.setup.cluster.set_data(LABELS[which], &[(LABELS[which], content)]);
    }
}

fn restarts(ledger_elsewhere: bool) {
    let mut pod = Pod::started(ledger_elsewhere);
    let mut parts = [("1", true); 3];
    for (order, content) in ORDERS.iter().zip(["2", "3", "4", "5", "6", "7"]) {
        for which in order {
            pod.running[*which].take().unwrap().kill9();
        }
        for which in 0..3 {
            pod.edit(which, content);
        }
        for which in order.iter().rev() {
            // The others are down, or known to be there: their files stay, stale as they are.
            pod.running[*which] = Some(started(&pod.builders[*which]));
            parts[*which] = (content, false);
            pod.holds(&parts);
        }
    }
}

#[test]
fn keep_4_three_sidecars_with_ledgers_in_their_folders_restart_in_any_order() {
    restarts(false);
}

#[test]
fn keep_4_three_sidecars_with_ledgers_elsewhere_restart_in_any_order() {
    restarts(true);
}

#[test]
fn keep_4_one_restarts_beside_the_others() {
    let mut pod = Pod::started(true);
    for which in [2, 0, 1, 2] {
        pod.running[which].take().unwrap().kill9();
        pod.running[which] = Some(started(&pod.builders[which]));
        pod.holds(&[("1", true); 3]);
    }
    pod.setup.cluster.delete("configmaps", "alerts");
    pod.setup.cluster.set_data("dashboards", &[]);
    let deep = ["dashboards", "datasources", "alerts"].map(|label| (format!("nested/deep/{label}-deep"), b"1".to_vec()));
    let mut expected = tree! { "theirs" => "1", "nested/theirs" => "1", "datasources" => "1", "datasources-gone" => "1" };
    expected.extend(deep);
    pod.setup.holds(&expected);
}
