//! What a ledger says when it is read, and when it is written anew.

use super::*;

fn header() -> LedgerHeader {
    LedgerHeader { version: FIRST, id: "1".into(), selection: String::new(), instance: String::new(), pod: String::new() }
}

fn contents(records: &[Vec<u8>]) -> Contents {
    let bytes: Vec<u8> = std::iter::once(line(&header())).chain(records.iter().cloned()).flatten().collect();
    read(&bytes, &Roots::new("/folder", [])).unwrap()
}

#[test]
fn what_is_owed_stays_owed_until_it_is_done() {
    let (owed, done) = (line(&Record::Owed), line(&Record::Done));
    let cases = [
        (vec![], false, 0),
        (vec![owed.clone()], true, 0),
        (vec![owed.clone(), owed.clone()], true, 1),
        (vec![owed.clone(), done.clone()], false, 1),
        (vec![owed.clone(), done.clone(), owed.clone()], true, 1),
        (vec![owed.clone(), done.clone(), owed, done], false, 3),
    ];
    for (records, owed, garbage) in cases {
        let contents = contents(&records);
        assert_eq!((contents.owed, contents.garbage, contents.skipped), (owed, garbage, 0), "{} records", records.len());
    }
}

#[test]
fn what_is_owed_survives_being_written_anew() {
    let before = contents(&[line(&Record::Owed), line(&Record::Folder("sub".into()))]);
    let (version, lines) = before.lines();
    assert_eq!((version, contents(&[lines])), (FIRST, before));
}

#[test]
fn r10_what_is_known_of_attempts_is_the_last_that_was_noted_until_it_is_done() {
    let debt = |unanswered| Debt { since: 7, unanswered, last: 8, refused: 1, refusals: vec![(9, 200)], clean: true };
    let noted = |unanswered| line(&Record::Debt(debt(unanswered)));
    let before = contents(&[line(&Record::Owed), noted(1), noted(2)]);
    assert_eq!((&before.debt, before.garbage, before.skipped), (&debt(2), 1, 0));
    let (version, lines) = before.lines();
    assert_eq!((version, contents(&[lines]).debt), (FIRST, debt(2)));
    let done = contents(&[line(&Record::Owed), noted(1), line(&Record::Done)]);
    assert_eq!((done.owed, done.debt), (false, Debt::default()));
    // Fields of a later program are passed over.
    let later = serde_json::json!({ "debt": { "since": 7, "unanswered": 3, "last": 8, "later": [] } });
    assert_eq!(contents(&[line(&Record::Owed), line(&later)]).debt.unanswered, 3);
}

#[test]
fn what_stays_is_a_record_of_its_own_until_another_one_of_its_path() {
    let (path, key) = (Roots::new("/folder", []).recorded("a").unwrap(), ObjectKey::new(Kind::Secret, "n", "s"));
    let (own, keep, disown) = (line(&Record::own(&path, &key)), line(&Record::keep(&path, &key)), line(&Record::disown(&path)));
    assert!(keep.ends_with(b" {\"keep\":[\"a\",\"Secret\",\"n\",\"s\"]}\n"));
    let cases = [
        (vec![&own], true, false, 0),
        (vec![&keep], true, true, 0),
        (vec![&own, &keep], true, true, 1),
        (vec![&keep, &own], true, false, 1),
        (vec![&keep, &disown], false, false, 2),
        (vec![&keep, &disown, &own], true, false, 2),
    ];
    for (records, owned, lasts, garbage) in cases {
        let found = contents(&records.into_iter().cloned().collect::<Vec<_>>());
        assert_eq!((found.owned.contains_key(&path), found.lasting.contains(&path), found.garbage), (owned, lasts, garbage));
        let (version, lines) = found.lines();
        assert_eq!((version, found.version()), if lasts { (3, 3) } else { (FIRST, FIRST) });
        assert_eq!(contents(&[lines]), Contents { garbage: 0, ..found }, "it survives being written anew");
    }
}

#[test]
fn a_path_that_is_inherited_stays_as_its_former_ledger_says_and_one_of_ours_as_ours() {
    let roots = Roots::new("/folder", []);
    let own = |records: &[(&str, bool)]| {
        let key = ObjectKey::new(Kind::Secret, "n", "s");
        let line = |(path, lasts): &(&str, bool)| {
            let path = roots.recorded(path).unwrap();
            line(&if *lasts { Record::keep(&path, &key) } else { Record::own(&path, &key) })
        };
        contents(&records.iter().map(line).collect::<Vec<_>>())
    };
    let (mut ours, theirs) = (own(&[("a", true), ("b", false)]), own(&[("a", false), ("b", true), ("c", true), ("d", false)]));
    ours.inherit(theirs.owned, theirs.lasting);
    assert_eq!(ours.owned.len(), 4);
    assert_eq!(ours.lasting.iter().map(TargetPath::as_str).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn r14_that_all_files_were_there_is_never_forgotten() {
    for (records, owed, garbage) in [
        (vec![Record::Done], false, 0),
        (vec![Record::Done, Record::Owed], true, 0),
        (vec![Record::Owed, Record::Done, Record::Done], false, 2),
    ] {
        let before = contents(&records.iter().map(line).collect::<Vec<_>>());
        assert_eq!((before.finished, before.owed, before.garbage, before.skipped), (true, owed, garbage, 0));
        let (version, lines) = before.lines();
        assert_eq!((version, contents(&[lines])), (FIRST, Contents { garbage: 0, ..before }));
    }
    assert!(!contents(&[]).finished);
}

#[test]
fn versions_up_to_ours_are_read_and_later_ones_are_not() {
    let read_as = |version| read(&line(&LedgerHeader { version, ..header() }), &Roots::new("/folder", []));
    for version in FIRST..=VERSION {
        assert_eq!(read_as(version).unwrap().header.version, version);
    }
    for version in [0, VERSION + 1] {
        assert_eq!(read_as(version), Err(FormatError::Version(version)));
    }
}

#[test]
fn a_record_that_a_program_does_not_know_is_skipped_and_counted() {
    // To an older program `owed` and `done` are such records; plain text as these are, or with fields.
    let found = contents(&[line(&"later"), line(&Record::Folder("sub".into())), line(&serde_json::json!({ "newer": ["a", 1] }))]);
    assert_eq!((found.skipped, found.folders.len(), found.owed), (2, 1, false));
    assert!(line(&Record::Owed).ends_with(b" \"owed\"\n") && line(&Record::Done).ends_with(b" \"done\"\n"));
}

#[test]
fn s14_only_who_is_known_to_be_us_is_a_predecessor() {
    let owner = |id: &str, selection: &str, instance: &str, pod: &str| {
        let (id, selection, instance, pod) = (id.into(), selection.into(), instance.into(), pod.into());
        Contents::empty(LedgerHeader { version: FIRST, id, selection, instance, pod })
    };
    let (free, held) =
        (Whereabouts { locked: false, named: false, in_folder: true }, Whereabouts { locked: true, named: true, in_folder: true });
    let (named, away) = (Whereabouts { named: true, ..free }, Whereabouts { in_folder: false, ..free });
    let met = BTreeSet::from(["2".to_owned()]);
    let check = |ours: &Contents, theirs: &Contents, siblings: &BTreeSet<String>, found| relation(&ours.header, siblings, theirs, found);
    let (ours, none) = (owner("1", "a", "", "p"), BTreeSet::new());
    // Another selection: free, of a pod that is gone, however long.
    assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &none, free), Relation::Neighbour);
    assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &none, named), Relation::Predecessor);
    assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &met, named), Relation::Predecessor);
    assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &none, held), Relation::Neighbour);
    // The same selection at another place in FOLDER, but for those who ran beside us.
    assert_eq!(check(&ours, &owner("2", "a", "", "gone"), &none, free), Relation::Predecessor);
    assert_eq!(check(&ours, &owner("2", "a", "", "gone"), &met, free), Relation::Neighbour);
    assert_eq!(check(&ours, &owner("2", "a", "", "p"), &none, free), Relation::Neighbour);
    assert_eq!(check(&ours, &owner("2", "a", "", "gone"), &none, away), Relation::Neighbour);
    // The same INSTANCE, whatever it selects; and never another one.
    assert_eq!(check(&owner("1", "a", "i", ""), &owner("2", "b", "i", ""), &none, free), Relation::Predecessor);
    assert_eq!(check(&owner("1", "a", "i", ""), &owner("2", "a", "", ""), &none, free), Relation::Neighbour);
    assert_eq!(check(&owner("1", "a", "i", ""), &owner("2", "a", "j", ""), &none, free), Relation::Neighbour);
}
