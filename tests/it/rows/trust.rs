//! S2: nobody's key becomes the ledger, and a ledger that others may write has us remove nothing that they could not.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use kube_projector::core::files::ledger::{self, LedgerHeader, Record};
use kube_projector::core::path::Roots;
use kube_projector::core::record;

use super::mount::{Account, Mount, NOBODY};
use crate::common::{Setup, count, put, started};
use crate::support::projector::Builder;
use crate::support::{ledgers, mode, tree};

/// A ledger that anybody could have written.
fn forged(instance: &str, records: &[Record]) -> Vec<u8> {
    let (id, selection) = ("feedfacefeedface".to_owned(), "source=cluster label=former namespaces=ALL kinds=ConfigMap".to_owned());
    let header = LedgerHeader { version: 1, id, selection, instance: instance.to_owned(), pod: String::new() };
    std::iter::once(record::line(&header)).chain(records.iter().map(record::line)).flatten().collect()
}

fn own(path: &str) -> Record {
    Record::Own(path.to_owned(), "ConfigMap".to_owned(), "default".to_owned(), "former".to_owned())
}

fn owned(ledger: &Path, setup: &Setup) -> Vec<String> {
    let bytes = fs::read(ledger).unwrap();
    let contents = ledger::read(&bytes, &Roots::new(&setup.folder().display().to_string(), ["/".to_owned()]));
    let contents = contents.unwrap_or_else(|error| panic!("{}: {error}: {}", ledger.display(), String::from_utf8_lossy(&bytes)));
    contents.owned.into_keys().map(|path| path.as_str().to_owned()).collect()
}

/// With LEDGER at `setting`, an object whose target is `target` cannot make `ledger`, where that leads, anything of its own.
fn a_key_of_the_ledgers_path(setup: &Setup, ledger: &Path, setting: &str, target: Option<&str>, allowed: &str) {
    let name = Path::new(setting).file_name().unwrap().to_str().unwrap().to_owned();
    let precious = setup.beside("precious");
    put(&precious, "theirs");
    let forgery = forged("", &[own(&precious.display().to_string())]);
    let text = String::from_utf8(forgery).unwrap();
    let draft = setup.cluster.configmap("evil", &[(&name, &text), ("other", "1")]);
    match target {
        Some(target) => draft.target(target).create(),
        None => draft.create(),
    };
    setup.cluster.configmap("good", &[("good", "1")]).create();
    let builder = setup.projector().env("LEDGER", setting).env("ALLOWED_FOLDERS", allowed).env("RESYNC", "1").env("FINALIZERS", "false");
    let mut projector = started(&builder);
    let other = target.map_or("other".to_owned(), |target| format!("{target}/other"));
    let other = if other.starts_with('/') { other } else { setup.path(&other).display().to_string() };
    assert_eq!(fs::read(&other).unwrap(), b"1", "the other keys of the object go on");
    assert_eq!(fs::read(setup.path("good")).unwrap(), b"1");
    assert!(owned(ledger, setup).len() >= 2, "{setting}: {:?}", owned(ledger, setup));
    assert_eq!(count(&projector.output(), "not projected"), 1, "{setting}: {}", projector.output());
    assert!(projector.output().contains(&format!("\"key\":\"{name}\",\"why\":\"the ledger is kept there\"")), "{}", projector.output());
    projector.kill9();
    setup.cluster.delete("configmaps", "evil");
    let _projector = started(&builder);
    assert!(precious.exists(), "{setting}: what only the forgery names is gone");
    assert!(!Path::new(&other).exists());
}

#[test]
fn s2_a_key_with_the_ledgers_name_is_rejected_and_the_others_go_on() {
    let setup = Setup::in_process();
    a_key_of_the_ledgers_path(&setup, &setup.path("state"), "state", None, "/");
}

#[test]
fn s2_a_key_with_the_ledgers_path_below_folder_is_rejected() {
    let setup = Setup::in_process();
    fs::create_dir(setup.path("sub")).unwrap();
    let ledger = setup.path("sub/state");
    a_key_of_the_ledgers_path(&setup, &ledger, &ledger.display().to_string(), Some("sub"), "/");
}

#[test]
fn s2_a_key_with_the_ledgers_path_in_an_allowed_folder_is_rejected() {
    let setup = Setup::in_process();
    fs::create_dir(setup.beside("allowed")).unwrap();
    let ledger = setup.beside("allowed/state");
    let target = setup.beside("allowed").display().to_string();
    a_key_of_the_ledgers_path(&setup, &ledger, &ledger.display().to_string(), Some(&target), &target);
}

#[test]
fn s2_a_key_that_leads_to_the_ledger_through_links_is_rejected() {
    let setup = Setup::in_process();
    fs::create_dir(setup.path("sub")).unwrap();
    symlink(setup.path("sub"), setup.beside("link")).unwrap();
    a_key_of_the_ledgers_path(&setup, &setup.path("sub/state"), &setup.beside("link/state").display().to_string(), Some("sub"), "/");
}

#[test]
fn s2_a_key_whose_folder_is_a_link_to_the_ledgers_is_rejected() {
    let setup = Setup::in_process();
    fs::create_dir(setup.beside("state")).unwrap();
    symlink(setup.beside("state"), setup.beside("link")).unwrap();
    let (ledger, target) = (setup.beside("state/ledger"), setup.beside("link").display().to_string());
    a_key_of_the_ledgers_path(&setup, &ledger, &ledger.display().to_string(), Some(&target), "/");
}

#[test]
fn s2_a_key_whose_folder_is_mounted_where_the_ledger_is_kept_is_rejected() {
    let setup = Setup::in_process();
    let mut mount = Mount::tmpfs("size=1m");
    fs::create_dir(setup.path("sub")).unwrap();
    mount.bind(&mount.path(), &setup.path("sub"));
    let ledger = mount.path().join("state");
    a_key_of_the_ledgers_path(&setup, &ledger, &ledger.display().to_string(), Some("sub"), "");
}

/// Files and a folder outside of FOLDER that a forgery names.
struct Precious {
    file: PathBuf,
    folder: PathBuf,
    records: Vec<Record>,
}

impl Precious {
    fn beside(setup: &Setup) -> Self {
        let (file, folder) = (setup.beside("precious/file"), setup.beside("precious/empty"));
        put(&file, "theirs");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o710)).unwrap();
        let records = vec![own(&file.display().to_string()), Record::Folder(folder.display().to_string())];
        Self { file, folder, records }
    }

    fn assert_untouched(&self) {
        assert_eq!(fs::read(&self.file).unwrap(), b"theirs", "the file of somebody else is gone");
        assert!(self.folder.is_dir(), "the folder of somebody else is gone");
        assert_eq!(mode(&self.folder), 0o710, "the mode of a folder of somebody else was changed");
    }
}

fn everywhere(setup: &Setup) -> Builder {
    setup.projector().env("ALLOWED_FOLDERS", "/").env("FINALIZERS", "false").env("INSTANCE", "x")
}

/// One warning that counts, and none where nothing stays.
fn assert_warned(output: &str, files: usize) {
    assert_eq!(count(output, "others may have written the ledger"), 1, "{output}");
    assert!(output.contains(&format!("stay\",\"files\":{files},")), "{output}");
}

#[test]
fn s2_a_forged_ledger_with_all_folders_allowed_removes_nothing_outside_of_folder() {
    for (uid, bits) in [(0, 0o660), (0, 0o606), (NOBODY, 0o600)] {
        let setup = Setup::in_process();
        let precious = Precious::beside(&setup);
        setup.foreign("below", "stale");
        let records = [precious.records.as_slice(), &[own("below")]].concat();
        setup.foreign(".kube-projector.x.ledger", forged("x", &records));
        let ledger = setup.path(".kube-projector.x.ledger");
        chown(&ledger, Some(uid), Some(NOBODY)).expect("these tests need root");
        fs::set_permissions(&ledger, fs::Permissions::from_mode(bits)).unwrap();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let mut projector = started(&everywhere(&setup));
        setup.holds(&tree! { "a" => "1" });
        precious.assert_untouched();
        assert_warned(&projector.output(), 1);
        projector.kill9();
        // What was not believed is not believed at the next start either, although the ledger is ours alone by now.
        assert_eq!((mode(&ledger), fs::metadata(&ledger).unwrap().uid()), (0o600, 0));
        let projector = started(&everywhere(&setup));
        setup.holds(&tree! { "a" => "1" });
        precious.assert_untouched();
        assert_eq!(count(&projector.output(), "WARN"), 0, "{}", projector.output());
    }
}

#[test]
fn s2_a_forged_predecessor_with_all_folders_allowed_removes_nothing_outside_of_folder() {
    let setup = Setup::in_process();
    let precious = Precious::beside(&setup);
    setup.foreign("below", "stale");
    let ledger = setup.path(".kube-projector.former.ledger");
    put(&ledger, forged("", &[precious.records.as_slice(), &[own("below")]].concat()));
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o664)).unwrap();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&everywhere(&setup).without("INSTANCE").env("LEDGER_FORMER", ".kube-projector.former.ledger"));
    setup.holds(&tree! { "a" => "1" });
    precious.assert_untouched();
    assert_warned(&projector.output(), 1);
}

/// A stale file and a wanted one in FOLDER and in an allowed folder, and the ledger of the projector that is gone.
fn stopped(setup: &Setup, builder: &Builder) -> PathBuf {
    let outside = setup.beside("outside");
    fs::create_dir_all(&outside).unwrap();
    let target = outside.display().to_string();
    for (name, target) in [("below", None), ("beside", Some(&target))] {
        for (key, name) in [("stale", format!("{name}-stale")), ("kept", format!("{name}-kept"))] {
            let draft = setup.cluster.configmap(&name, &[(key, "1")]);
            match target {
                Some(target) => draft.target(target).create(),
                None => draft.create(),
            };
        }
    }
    let mut projector = started(builder);
    setup.holds(&tree! { "stale" => "1", "kept" => "1" });
    projector.kill9();
    setup.cluster.delete("configmaps", "below-stale");
    setup.cluster.delete("configmaps", "beside-stale");
    setup.path(&ledgers(&setup.folder())[0])
}

#[test]
fn s2_with_our_ledger_at_0660_as_fs_group_leaves_it_stale_files_below_folder_go() {
    let setup = Setup::in_process();
    let builder = everywhere(&setup);
    let ledger = stopped(&setup, &builder);
    chown(&ledger, None, Some(NOBODY)).expect("these tests need root");
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o660)).unwrap();
    let mut projector = started(&builder);
    setup.holds(&tree! { "kept" => "1" });
    let outside = setup.beside("outside");
    assert_eq!(crate::support::tree::tree(&outside), tree! { "stale" => "1", "kept" => "1" }, "who wrote the ledger is not known");
    assert_warned(&projector.output(), 1);
    // What is wanted is ours again, and the ledger too.
    projector.kill9();
    setup.cluster.delete("configmaps", "beside-kept");
    setup.cluster.delete("configmaps", "below-kept");
    let projector = started(&builder);
    setup.holds(&tree! {});
    crate::support::wait_tree(&outside, &tree! { "stale" => "1" });
    assert_eq!(count(&projector.output(), "others may have written the ledger"), 0, "{}", projector.output());
}

#[test]
fn s2_with_a_ledger_of_a_former_uid_stale_files_below_folder_go() {
    let setup = Setup::in_process();
    let builder = everywhere(&setup);
    let ledger = stopped(&setup, &builder);
    chown(&ledger, Some(NOBODY), Some(NOBODY)).expect("these tests need root");
    let projector = started(&builder);
    setup.holds(&tree! { "kept" => "1" });
    assert_eq!(crate::support::tree::tree(&setup.beside("outside")), tree! { "stale" => "1", "kept" => "1" });
    assert_warned(&projector.output(), 1);
}

#[test]
fn s2_with_a_ledger_that_is_ours_alone_stale_files_go_everywhere() {
    let setup = Setup::in_process();
    let builder = everywhere(&setup);
    stopped(&setup, &builder);
    let projector = started(&builder);
    setup.holds(&tree! { "kept" => "1" });
    crate::support::wait_tree(&setup.beside("outside"), &tree! { "kept" => "1" });
    assert_eq!(count(&projector.output(), "others may have written the ledger"), 0, "{}", projector.output());
}

#[test]
fn s2_in_a_sticky_folder_a_ledger_of_another_uid_removes_nothing() {
    let setup = Setup::in_process();
    fs::set_permissions(setup.folder(), fs::Permissions::from_mode(0o1777)).unwrap();
    setup.foreign("theirs", "theirs");
    let ledger = setup.path(".kube-projector.former.ledger");
    put(&ledger, forged("", &[own("theirs")]));
    chown(&ledger, Some(NOBODY), Some(NOBODY)).expect("these tests need root");
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&everywhere(&setup).without("INSTANCE").env("LEDGER_FORMER", ".kube-projector.former.ledger"));
    setup.holds(&tree! { "a" => "1", "theirs" => "theirs" });
    assert_warned(&projector.output(), 1);
}

#[test]
fn s2_a_ledger_of_a_former_uid_that_the_group_may_write_is_taken_over_by_a_uid_without_name() {
    let setup = Setup::in_process();
    let account = Account::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let folder = account.folder();
    put(&folder.join("stale"), "stale");
    let ledger = folder.join(".kube-projector.x.ledger");
    put(&ledger, forged("x", &[own("stale")]));
    chown(&ledger, Some(NOBODY + 1), Some(NOBODY)).expect("these tests need root");
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o660)).unwrap();
    let mut projector = account.launch(&setup.cluster, "022", NOBODY).env("INSTANCE", "x").env("FINALIZERS", "false").start();
    projector.wait_ready();
    crate::support::wait_tree(&folder, &tree! { "a" => "1" });
    assert_eq!((mode(&ledger), fs::metadata(&ledger).unwrap().uid()), (0o600, NOBODY));
}
