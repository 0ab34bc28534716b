//! 0.1.0 on what this program left, and this program on what 0.1.0 left: nothing is torn, and nothing removed that should not go.
//!
//! Needs the binary of 0.1.0; `.ci/run former` builds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kube_projector::core::files::ledger;
use kube_projector::core::record;

use crate::common::{Setup, count, started};
use crate::support::projector::Builder;
use crate::support::{DEADLINE, Projector, inode, ledgers, temps, tree, wait_for};

/// The binary of 0.1.0.
fn former() -> PathBuf {
    let path = std::env::var_os("PROJECTOR_FORMER_BINARY").map(PathBuf::from);
    let path = path.expect("PROJECTOR_FORMER_BINARY names the binary of 0.1.0: see .ci/run former");
    let ours = fs::read(env!("CARGO_BIN_EXE_kube-projector")).unwrap();
    assert!(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) != ours, "this is the program under test");
    path
}

fn text(letter: &str) -> String {
    letter.repeat(200_000)
}

/// Reads a file again and again, and fails if it was ever missing or anything but one letter, many times.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<usize>>,
}

impl Reader {
    fn of(path: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut reads = 0;
            while !stopped.load(Ordering::Relaxed) {
                let bytes = fs::read(&path).expect("the file is never missing");
                assert!(bytes.len() == 200_000 && bytes.iter().all(|byte| *byte == bytes[0]), "a torn file of {} bytes", bytes.len());
                reads += 1;
            }
            reads
        });
        Self { stop, thread: Some(thread) }
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        assert!(self.thread.take().unwrap().join().expect("no file was torn") > 0);
    }
}

/// Both programs with one setting, and a folder that holds `large`, `stale` and `sub/deep` by the new one, which is gone.
/// Nobody wants `stale` any more.
struct Both {
    setup: Setup,
    ours: Builder,
    theirs: Builder,
}

impl Both {
    fn new(settings: impl Fn(Builder) -> Builder) -> Self {
        let setup = Setup::in_process();
        setup.foreign("foreign", "theirs");
        setup.cluster.configmap("large", &[("large", &text("1"))]).create();
        setup.cluster.configmap("stale", &[("stale", "1")]).create();
        setup.cluster.secret("deep", &[("deep", "1")]).target("sub").create();
        let ours = settings(setup.projector().env("FINALIZERS", "false"));
        let theirs = ours.clone().binary(&former());
        let mut projector = started(&ours);
        projector.kill9();
        setup.cluster.delete("configmaps", "stale");
        Self { setup, ours, theirs }
    }

    fn holds(&self, large: &str, stale: bool) {
        let mut expected = tree! { "foreign" => "theirs", "large" => text(large).as_bytes(), "sub/deep" => "1" };
        expected.extend(stale.then(|| ("stale".to_owned(), b"1".to_vec())));
        self.setup.holds(&expected);
        assert_eq!(temps(&self.setup.folder()), Vec::<String>::new());
    }

    /// Starts a program, has it follow an edit of the large file, and ends it. Returns its output.
    fn run(&self, builder: &Builder, letter: &str, stale: bool) -> String {
        let reader = Reader::of(self.setup.path("large"));
        let mut projector = started(builder);
        self.setup.cluster.set_data("large", &[("large", &text(letter))]);
        self.holds(letter, stale);
        self.ended(&mut projector);
        reader.end();
        projector.output()
    }

    fn ended(&self, projector: &mut Projector) {
        assert_eq!(projector.terminate().code(), Some(0));
        wait_for("the lock to be free", DEADLINE, || !projector.is_running());
    }
}

fn warnings(output: &str) -> usize {
    count(output, "\"level\":\"WARN\"") + count(output, "\"level\":\"ERROR\"")
}

/// Turns a ledger into one with a record that 0.1.0 does not know, and must not go on without.
fn add_later_record(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let (header, rest) = text.split_once('\n').unwrap();
    let mut header: serde_json::Value = serde_json::from_str(header.split_once(' ').unwrap().1).unwrap();
    assert_eq!(header["version"], ledger::FIRST, "without such a record it is one that 0.1.0 reads");
    header["version"] = ledger::VERSION.into();
    let later = record::line(&serde_json::json!({ "later": ["what 0.1.0 cannot know"] }));
    fs::write(path, [record::line(&header), later, rest.as_bytes().to_vec()].concat()).unwrap();
}

#[test]
#[ignore = "needs the former binary"]
fn the_former_program_goes_on_with_a_ledger_without_later_records_and_we_after_it() {
    let both = Both::new(|builder| builder);
    let deep = inode(&both.setup.path("sub/deep"));
    let output = both.run(&both.theirs, "2", false);
    assert_eq!(warnings(&output), 0, "{output}");
    both.setup.cluster.configmap("stale", &[("stale", "1")]).create();
    let output = both.run(&both.theirs, "3", true);
    assert_eq!(warnings(&output), 0, "{output}");
    both.setup.cluster.delete("configmaps", "stale");
    let output = both.run(&both.ours, "4", false);
    assert_eq!(warnings(&output), 0, "{output}");
    assert_eq!(inode(&both.setup.path("sub/deep")), deep, "nobody wrote what had not changed");
}

#[test]
#[ignore = "needs the former binary"]
fn the_former_program_removes_nothing_on_a_ledger_with_later_records_and_we_after_it_neither() {
    let both = Both::new(|builder| builder);
    add_later_record(&both.setup.path(&ledgers(&both.setup.folder())[0]));
    let deep = inode(&both.setup.path("sub/deep"));
    let theirs = both.run(&both.theirs, "2", true);
    let ours = both.run(&both.ours, "3", true);
    assert_eq!((warnings(&theirs), warnings(&ours)), (1, 0), "{theirs}{ours}");
    assert!(theirs.contains("ledger unreadable"), "{theirs}");
    assert_eq!(inode(&both.setup.path("sub/deep")), deep, "nobody wrote what had not changed");
}

#[test]
#[ignore = "needs the former binary"]
fn the_former_program_removes_nothing_on_a_ledger_elsewhere_with_later_records_and_we_after_it_neither() {
    let state = tempfile::tempdir().unwrap();
    let ledger = state.path().join("ledger");
    let both = Both::new(|builder| builder.env("LEDGER", &ledger.display().to_string()));
    add_later_record(&ledger);
    let theirs = both.run(&both.theirs, "2", true);
    let ours = both.run(&both.ours, "3", true);
    assert_eq!((warnings(&theirs), warnings(&ours)), (1, 0), "{theirs}{ours}");
}

#[test]
#[ignore = "needs the former binary"]
fn the_former_program_removes_no_file_that_is_kept_for_an_object_that_is_gone() {
    let both = Both::new(|builder| builder);
    let setup = &both.setup;
    setup.cluster.configmap("kept", &[("kept", "1")]).annotation("kube-projector.dev/on-delete", "keep").create();
    let mut projector = started(&both.ours);
    setup.cluster.delete("configmaps", "kept");
    let files = tree! { "foreign" => "theirs", "large" => text("1").as_bytes(), "sub/deep" => "1", "kept" => "1" };
    setup.settles_at(&files);
    both.ended(&mut projector);
    for (program, warned) in [(&both.theirs, 1), (&both.ours, 0)] {
        let mut projector = started(program);
        setup.settles_at(&files);
        both.ended(&mut projector);
        assert_eq!(warnings(&projector.output()), warned, "{}", projector.output());
    }
}
