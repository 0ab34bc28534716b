//! What is missing in SOURCE counts only when nothing changes there.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;

use crate::common::started;
use crate::support::*;

use super::{Manifests, map};

/// How many files went in its whole life, by its log.
fn removed_by(mut projector: Projector) -> usize {
    projector.terminate();
    projector.output().matches("file removed").count()
}

#[test]
fn m4_a_file_that_is_truncated_while_another_is_closed_loses_nothing() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "0")), ("b.yaml", &map("b", "b", "0"))]);
    let projector = started(&manifests.projector());
    for round in 1..=20 {
        let value = round.to_string();
        let mut file = File::create(manifests.source().join("a.yaml")).unwrap();
        manifests.put("b.yaml", &map("b", "b", &value));
        // Whoever looked has found the other one empty.
        manifests.holds(&tree! { "a" => (round - 1).to_string().as_str(), "b" => value.as_str() });
        file.write_all(map("a", "a", &value).as_bytes()).unwrap();
        drop(file);
        manifests.holds(&tree! { "a" => value.as_str(), "b" => value.as_str() });
    }
    assert_eq!(removed_by(projector), 0);
}

#[test]
fn m5_a_file_that_is_unlinked_and_created_anew_loses_nothing() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "0")), ("b.yaml", &map("b", "b", "0"))]);
    let projector = started(&manifests.projector());
    for round in 1..=20 {
        let value = round.to_string();
        fs::remove_file(manifests.source().join("a.yaml")).unwrap();
        manifests.put("b.yaml", &map("b", "b", &value));
        manifests.holds(&tree! { "a" => (round - 1).to_string().as_str(), "b" => value.as_str() });
        manifests.put("a.yaml", &map("a", "a", &value));
        manifests.holds(&tree! { "a" => value.as_str(), "b" => value.as_str() });
    }
    assert_eq!(removed_by(projector), 0);
}

#[test]
fn m5_git_checkout_removes_only_what_the_other_branch_has_not() {
    const FILES: usize = 100;
    let value = |branch: &str, number: usize| format!("{branch} {}", "x".repeat(number));
    let manifests = Manifests::new(&[]);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=one"]);
        let done = command.args(arguments).current_dir(manifests.source()).output().expect("git is there");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let fill = |branch: &str| {
        for number in 0..FILES {
            let name = format!("m{number}");
            manifests.put(&format!("deep/{name}.yaml"), &map(&name, &name, &value(branch, number)));
        }
        manifests.put(&format!("{branch}.yaml"), &map(branch, branch, branch));
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", branch]);
    };
    git(&["init", "--quiet"]);
    fill("one");
    git(&["checkout", "--quiet", "-b", "second"]);
    fs::remove_file(manifests.source().join("one.yaml")).unwrap();
    fill("second");
    let holds = |branch: &str| {
        let files = (0..FILES).map(|number| (format!("m{number}"), value(branch, number).into_bytes()));
        manifests.holds(&files.chain([(branch.to_owned(), branch.into())]).collect());
    };
    let projector = started(&manifests.projector());
    holds("second");
    for round in 0..8 {
        let branch = ["one", "second"][round % 2];
        git(&["checkout", "--quiet", branch]);
        holds(branch);
    }
    assert_eq!(removed_by(projector), 8, "one file a checkout is really gone");
}

#[test]
fn m5_what_is_edited_counts_at_once_and_what_is_missing_when_it_stays_so() {
    let documents = map("a", "old", "1") + "---\n" + &map("b", "b", "1");
    let manifests = Manifests::new(&[("a.yaml", &documents), ("c.yaml", &map("c", "c", "1"))]);
    let projector = started(&manifests.projector().env("SOURCE_SETTLE", "3"));
    fs::remove_file(manifests.source().join("c.yaml")).unwrap();
    manifests.put("a.yaml", &map("a", "new", "2"));
    manifests.holds(&tree! { "new" => "2", "old" => "1", "b" => "1", "c" => "1" });
    manifests.holds(&tree! { "new" => "2" });
    assert_eq!(removed_by(projector), 3);
}

#[test]
fn m4_a_file_that_stays_empty_removes_its_files_with_one_warning() {
    let documents = map("a", "a", "1") + "---\n" + &map("b", "b", "1");
    let manifests = Manifests::new(&[("two.yaml", &documents), ("c.yaml", &map("c", "c", "1"))]);
    let projector = started(&manifests.projector());
    File::create(manifests.source().join("two.yaml")).unwrap();
    manifests.holds(&tree! { "c" => "1" });
    projector.wait_output("is empty");
    let output = projector.output();
    let warnings: Vec<_> = output.lines().filter(|line| line.contains("is empty")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("two.yaml") && warnings[0].contains("\"files\":2"), "{warnings:?}");
}

#[test]
fn m5_a_file_that_is_away_while_we_start_is_waited_for() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1")), ("b.yaml", &map("b", "b", "1"))]);
    started(&manifests.projector()).terminate();
    // As in the middle of a checkout.
    fs::remove_file(manifests.source().join("a.yaml")).unwrap();
    let mut projector = manifests.projector().env("SOURCE_SETTLE", "5").start();
    projector.wait_output("starting");
    manifests.put("a.yaml", &map("a", "a", "2"));
    projector.wait_ready();
    assert_tree(&manifests.folder(), &tree! { "a" => "2", "b" => "1" });
    assert_eq!(removed_by(projector), 0);
}
