//! Files, what is wrong with them, and the ledger.

use super::{Figures, wait_moved};
use crate::common::{Setup, started};
use crate::rows::Mount;
use crate::support::*;

/// A projector that writes nothing to the cluster, so that nothing but files counts.
fn start(setup: &Setup) -> Projector {
    started(&setup.projector().env("FINALIZERS", "false").env("RESYNC", "0"))
}

fn ledger_bytes(setup: &Setup) -> u64 {
    ledgers(&setup.folder()).iter().map(|name| setup.path(name).metadata().unwrap().len()).sum()
}

#[test]
fn writes_and_removals_are_counted_one_by_one() {
    let setup = Setup::in_process();
    setup.cluster.configmap("first", &[("first", "12345")]).create();
    let projector = start(&setup);
    let (before, ledger) = (Figures::of(&projector), ledger_bytes(&setup));
    for name in ["a", "b", "c", "d", "e"] {
        setup.cluster.configmap(name, &[(name, "123")]).create();
        wait_for("the file", DEADLINE, || setup.path(name).exists());
    }
    let made = wait_moved(
        &projector,
        &before,
        &[
            ("projector_objects", 5.0),
            ("projector_files", 5.0),
            ("projector_file_bytes", 15.0),
            ("projector_file_writes_total", 5.0),
            ("projector_file_delay_seconds_count", 5.0),
            ("projector_ledger_appends_total", 5.0),
        ],
    );
    let written = made.get("projector_ledger_written_bytes_total") - before.get("projector_ledger_written_bytes_total");
    assert_eq!(written, (ledger_bytes(&setup) - ledger) as f64);
    let took = made.get("projector_file_delay_seconds_sum") - before.get("projector_file_delay_seconds_sum");
    assert!(took > 0.0 && took < DEADLINE.as_secs_f64(), "{took}");
    // The same length: nothing is appended for a path that is ours already.
    for (name, bytes) in [("a", "321"), ("b", "322"), ("a", "323")] {
        setup.cluster.set_data(name, &[(name, bytes)]);
        wait_for("the content", DEADLINE, || std::fs::read_to_string(setup.path(name)).unwrap() == bytes);
    }
    let edited = wait_moved(&projector, &made, &[("projector_file_writes_total", 3.0), ("projector_file_delay_seconds_count", 3.0)]);
    for name in ["a", "e"] {
        setup.cluster.delete("configmaps", name);
        wait_for("the removal", DEADLINE, || !setup.path(name).exists());
    }
    wait_moved(
        &projector,
        &edited,
        &[
            ("projector_objects", -2.0),
            ("projector_files", -2.0),
            ("projector_file_bytes", -6.0),
            ("projector_file_removals_total", 2.0),
            ("projector_ledger_appends_total", 2.0),
        ],
    );
}

#[test]
fn what_is_wrong_with_files_is_told_as_long_as_it_is() {
    let setup = Setup::in_process();
    setup.cluster.configmap("first", &[("first", "1")]).create();
    let projector = start(&setup);
    let before = Figures::of(&projector);
    // A second claim on a path, a folder where a file is wanted, and a folder that may not be.
    setup.cluster.configmap("second", &[("first", "2")]).create();
    let conflict = wait_moved(&projector, &before, &[("projector_objects", 1.0), ("projector_conflicts", 1.0)]);
    std::fs::create_dir(setup.path("blocked")).unwrap();
    std::fs::write(setup.path("blocked/theirs"), "").unwrap();
    setup.cluster.configmap("third", &[("blocked", "3")]).create();
    let blocked = wait_moved(&projector, &conflict, &[("projector_objects", 1.0), ("projector_stuck_paths{reason=\"blocked\"}", 1.0)]);
    setup.cluster.configmap("fourth", &[("x", "4"), ("y", "4")]).target("../outside").create();
    let rejected = Figures::of(&projector);
    let rejected = wait_moved(
        &projector,
        &blocked,
        &[("projector_objects", 1.0), ("projector_rejections", rejected.get("projector_rejections").max(1.0))],
    );
    for name in ["second", "third", "fourth"] {
        setup.cluster.delete("configmaps", name);
    }
    assert!(rejected.get("projector_rejections") >= 1.0);
    wait_moved(&projector, &before, &[]);
}

#[test]
fn errors_are_counted_by_what_the_file_system_says() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=256k");
    cluster.configmap("rules", &[("a", "1")]).create();
    let mut projector = Projector::on(&cluster, &mount.path()).env("FINALIZERS", "false").env("RESYNC", "0").start();
    projector.wait_ready();
    let before = Figures::of(&projector);
    let errors = |figures: &Figures, class: &str| figures.get(&format!("projector_file_errors_total{{class=\"{class}\"}}"));
    let stuck = |figures: &Figures| figures.get("projector_stuck_paths{reason=\"failed\"}");
    cluster.set_data("rules", &[("a", &"n".repeat(600_000))]);
    wait_for("a failed write and another attempt", DEADLINE, || errors(&Figures::of(&projector), "no_space") >= 2.0);
    let full = Figures::of(&projector);
    assert_eq!((stuck(&full), full.get("projector_file_bytes")), (1.0, 1.0), "the old file stays");
    mount.remount("size=4m");
    wait_for("the file", DEADLINE, || mount.path().join("a").metadata().unwrap().len() == 600_000);
    wait_for("nothing stuck", DEADLINE, || stuck(&Figures::of(&projector)) == 0.0);
    let right = Figures::of(&projector);
    assert_eq!(right.get("projector_file_writes_total") - before.get("projector_file_writes_total"), 1.0);
    assert_eq!(["read_only", "denied", "in_the_way", "other"].map(|class| errors(&right, class)), [0.0; 4]);
}
