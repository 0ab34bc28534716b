//! Several objects claim one path: who keeps it, whatever the order of arrival, and what readers see when it changes hands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{Setup, created, started, two_seconds_after};
use crate::support::*;

/// Creates `older` and then `newer`, two seconds apart, both with the path `key`.
fn two(setup: &Setup, older: &str, newer: &str) {
    two_seconds_after(&setup.cluster.configmap(older, &[("key", older), (older, "")]).create());
    setup.cluster.configmap(newer, &[("key", newer), (newer, "")]).create();
}

/// Both objects while running, after a crash, and created while nobody ran: the same one keeps the path.
fn keeper(order: &str, older: &str, newer: &str, keeper: &str) {
    let setup = Setup::new();
    let builder = setup.projector().env("CONFLICT", order);
    let expected = tree! { "key" => keeper, older => "", newer => "" };
    let mut projector = started(&builder);
    two(&setup, older, newer);
    setup.holds(&expected);
    projector.kill9();
    projector = started(&builder);
    assert_tree(&setup.folder(), &expected);
    projector.terminate();
    let empty = setup.beside("empty");
    let _other = started(&builder.folder(&empty));
    assert_tree(&empty, &expected);
    assert!(projector.output().contains("path conflict"), "the loser is reported");
}

#[test]
fn oldest_keeps_the_path_in_both_orders_and_across_restarts() {
    keeper("oldest", "a", "b", "a");
    keeper("oldest", "b", "a", "b");
}

#[test]
fn newest_takes_the_path_in_both_orders_and_across_restarts() {
    keeper("newest", "a", "b", "b");
    keeper("newest", "b", "a", "a");
}

#[test]
fn loser_gets_the_path_when_the_winner_goes_with_its_newest_bytes() {
    let setup = Setup::new();
    let _projector = setup.start();
    two(&setup, "b", "a");
    two_seconds_after(&setup.cluster.get("configmaps", "a").unwrap());
    setup.cluster.secret("c", &[("key", "c")]).create();
    setup.cluster.set_data("a", &[("key", "a2")]);
    setup.settles_at(&tree! { "key" => "b", "b" => "" });
    setup.cluster.set_data("b", &[]);
    setup.holds(&tree! { "key" => "a2" });
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! { "key" => "c" });
    setup.cluster.set_data("b", &[("key", "b2")]);
    setup.holds(&tree! { "key" => "b2" });
    setup.cluster.delete("secrets", "c");
    setup.settles_at(&tree! { "key" => "b2" });
}

#[test]
fn equal_bytes_are_no_conflict_and_the_file_outlives_either() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("key", "same")]).create();
    setup.cluster.secret("b", &[("key", "same")]).create();
    let projector = setup.start();
    let before = inode(&setup.path("key"));
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.settles_at(&tree! { "key" => "same" });
    assert_eq!(inode(&setup.path("key")), before);
    assert!(!projector.output().contains("path conflict"), "{}", projector.output());
    setup.cluster.delete("secrets", "b");
    setup.cluster.wait_gone("secrets", "b");
    setup.holds(&tree! {});
}

/// Creates two objects within one second, the second of which must win.
fn tie(winner_namespace: bool, loser: (&str, bool), winner: (&str, bool)) {
    let setup = Setup::new();
    let mut names = [setup.cluster.namespace().to_owned(), setup.cluster.create_namespace()];
    names.sort();
    let create = |(name, secret): (&str, bool), namespace: &str, bytes: &str| {
        let draft = if secret { setup.cluster.secret(name, &[("key", bytes)]) } else { setup.cluster.configmap(name, &[("key", bytes)]) };
        draft.in_namespace(namespace).create()
    };
    let plural = |secret| if secret { "secrets" } else { "configmaps" };
    let last = if winner_namespace { &names[1] } else { &names[0] };
    wait_for("two objects of one second", DEADLINE, || {
        let first = create(loser, last, "loser");
        let second = create(winner, &names[0], "winner");
        let same = created(&first) == created(&second);
        if !same {
            setup.cluster.delete(plural(loser.1), &format!("{last}/{}", loser.0));
            setup.cluster.delete(plural(winner.1), &format!("{}/{}", names[0], winner.0));
        }
        same
    });
    let _projector = started(&setup.projector().env("NAMESPACE", &names.join(",")));
    assert_tree(&setup.folder(), &tree! { "key" => "winner" });
}

#[test]
fn ties_of_one_second_go_by_kind_then_namespace_then_name() {
    tie(false, ("a", true), ("b", false));
    tie(true, ("a", false), ("b", false));
    tie(false, ("b", false), ("a", false));
}

#[test]
fn file_and_folder_of_one_name_are_a_conflict_by_the_same_rule() {
    for file_is_older in [true, false] {
        let setup = Setup::new();
        let projector = setup.start();
        let file = || setup.cluster.configmap("file", &[("x", "file")]).create();
        let folder = || setup.cluster.configmap("folder", &[("y", "folder")]).target("x").create();
        let (winner, wins, loses) = if file_is_older {
            two_seconds_after(&file());
            folder();
            ("file", tree! { "x" => "file" }, tree! { "x/y" => "folder" })
        } else {
            two_seconds_after(&folder());
            file();
            ("folder", tree! { "x/y" => "folder" }, tree! { "x" => "file" })
        };
        setup.settles_at(&wins);
        projector.wait_output("path conflict");
        setup.cluster.delete("configmaps", winner);
        setup.holds(&loses);
    }
}

/// Reads a file as fast as it can, and counts what it saw, in order: each content once per run, with the number of reads.
struct Reader {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<Vec<(String, usize)>>,
}

impl Reader {
    /// `known` gives names to whole contents; anything else is torn.
    fn of(path: PathBuf, known: BTreeMap<Vec<u8>, String>) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&reads));
        let thread = std::thread::spawn(move || {
            let mut seen: Vec<(String, usize)> = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let name = match std::fs::read(&path) {
                    Ok(bytes) => known.get(&bytes).cloned().unwrap_or_else(|| format!("torn: {} bytes", bytes.len())),
                    Err(error) => error.to_string(),
                };
                count.fetch_add(1, Ordering::SeqCst);
                match seen.last_mut() {
                    Some((last, times)) if *last == name => *times += 1,
                    _ => seen.push((name, 1)),
                }
            }
            seen
        });
        Self { stop, reads, thread }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn end(self) -> Vec<(String, usize)> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Acceptance 3. Returns the reads between the deletion and the loser's bytes.
fn hand_over(setup: &Setup, older: &str, newer: &str, restart: bool) -> usize {
    let body = |name: &str| format!("{name}{}", name.repeat(100_000));
    let mut projector = setup.start();
    two_seconds_after(&setup.cluster.configmap(older, &[("key", &body(older))]).create());
    setup.cluster.configmap(newer, &[("key", &body(newer))]).create();
    setup.settles_at(&tree! { "key" => body(older).as_bytes() });
    if restart {
        projector.kill9();
        projector = setup.start();
    }
    let known = [older, newer].map(|name| (body(name).into_bytes(), name.to_owned()));
    let reader = Reader::of(setup.path("key"), BTreeMap::from(known));
    wait_for("5000 reads of the winner", DEADLINE, || reader.reads() >= 5_000);
    let before = reader.reads();
    setup.cluster.delete("configmaps", older);
    setup.cluster.wait_gone("configmaps", older);
    setup.holds(&tree! { "key" => body(newer).as_bytes() });
    let after = reader.reads();
    wait_for("5000 reads of the loser", DEADLINE, || reader.reads() >= after + 5_000);
    let seen = reader.end();
    let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [older, newer], "winner's bytes, then loser's, nothing else");
    assert!(seen.iter().map(|(_, times)| times).sum::<usize>() >= 10_000);
    setup.cluster.delete("configmaps", newer);
    setup.cluster.wait_gone("configmaps", newer);
    assert!(projector.is_running());
    seen[0].1.saturating_sub(before)
}

#[test]
fn path_changes_hands_without_absence_or_torn_read() {
    let setup = Setup::new();
    let mut inside = 0;
    for round in 0.. {
        let (older, newer) = if round % 2 == 0 { ("a", "b") } else { ("b", "a") };
        inside += hand_over(&setup, older, newer, round % 4 > 1);
        if round >= 3 && inside >= 100 {
            break;
        }
        assert!(round < 12, "only {inside} reads inside {round} hand-overs");
    }
}

#[test]
fn slow_bytes_of_the_loser_stretch_the_hand_over_without_absence() {
    let setup = Setup::in_process();
    let slow = setup.cluster.server().fault(Matcher::get("configmaps"), Times::Always, Fault::Delay(Duration::from_millis(500)));
    let reads = hand_over(&setup, "a", "b", false);
    assert!(setup.cluster.server().hits(slow) > 0, "the loser's bytes were read again");
    assert!(reads >= 100, "{reads} reads inside the hand-over");
}

#[test]
fn path_changes_hands_across_a_restart_without_absence() {
    let setup = Setup::new();
    let mut projector = setup.start();
    two(&setup, "a", "b");
    setup.holds(&tree! { "key" => "a", "a" => "", "b" => "" });
    projector.kill9();
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    let known = ["a", "b"].map(|name| (name.as_bytes().to_vec(), name.to_owned()));
    let reader = Reader::of(setup.path("key"), BTreeMap::from(known));
    wait_for("a read of the winner's bytes", DEADLINE, || reader.reads() > 0);
    let _projector = setup.start();
    setup.holds(&tree! { "key" => "b", "b" => "" });
    let before = reader.reads();
    wait_for("a read that began after the hand-over", DEADLINE, || reader.reads() > before + 1);
    let seen: Vec<_> = reader.end().into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen.first().zip(seen.last()), Some((&"a".to_owned(), &"b".to_owned())));
    assert_eq!(seen.len(), 2, "{seen:?}");
}
