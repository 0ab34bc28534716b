//! Rules of the code that a compiler does not know.

mod borders;
mod names;
mod said;
mod shape;
mod source;
mod troubles;

use self::source::{Source, sources};

/// The lines of a file that are neither comments nor behind the `#[cfg(test)]` of its tests.
fn code(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect()
}

/// Lines of code that hold one of these.
fn lines_with<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    code(text).into_iter().filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

const IMPURE: [&str; 10] =
    ["tokio", "kube::", "std::fs", "std::net", "std::env", "std::thread", "Instant", "SystemTime", "rustix", "println!"];

#[test]
fn core_does_no_io_and_reads_no_clock() {
    for source in sources(&["src/core"]).iter().filter(|source| !source.is_of_tests()) {
        assert_eq!(lines_with(&source.text, &IMPURE), Vec::<&str>::new(), "{}", source.shown());
    }
}

#[test]
fn the_purity_check_finds_what_it_looks_for() {
    assert_eq!(
        lines_with("use std::fs;\n// std::fs\nlet now = Instant::now();\n#[cfg(test)]\nmod tests;\nuse tokio;", &IMPURE),
        ["use std::fs;", "let now = Instant::now();"]
    );
}

/// What may be changed outside of this process: how code names it, and who does it.
const WRITERS: [(&str, &[&str], &[&str]); 4] = [
    (
        "files",
        &["fs::write(", "File::create", "fs::remove_", "fs::rename(", "renameat", "unlinkat", "OpenOptions"],
        // `check` tries a file of its own to tell whether FOLDER can be written; `rotate` keeps log files; `aside` only reads.
        &["src/disk/", "src/commands/check", "src/telemetry/rotate.rs", "src/aside.rs"],
    ),
    // `access` asks what we may do; that is a POST too.
    (
        "objects of the API server",
        &["PatchParams", "PostParams", "DeleteParams", "Patch::", "Method::PATCH", "Method::PUT", "Method::DELETE"],
        &["src/report/", "src/api/"],
    ),
    ("other processes", &["Command::new(", "pidfd_send_signal(", "kill_process"], &["src/tell/"]),
    ("this process for all", &["set_dumpable_behavior", "process::umask(", "env::set_"], &["src/app/process.rs"]),
];

#[test]
fn each_place_has_one_writer() {
    for source in sources(&["src"]).iter().filter(|source| !source.is_of_tests()) {
        for (what, words, who) in WRITERS {
            if !who.iter().any(|who| source.shown().starts_with(who)) {
                assert_eq!(lines_with(&source.text, words), Vec::<&str>::new(), "{} changes {what}", source.shown());
            }
        }
    }
}

#[test]
fn every_writer_writes() {
    let sources = sources(&["src"]);
    for (what, words, who) in WRITERS {
        for who in who.iter().filter(|who| !who.ends_with("aside.rs")) {
            let writes = |source: &Source| source.shown().starts_with(who) && !lines_with(&source.text, words).is_empty();
            assert!(sources.iter().any(writes), "{who} does not change {what} any more: take it off the list");
        }
    }
}

#[test]
fn only_the_configuration_knows_profiles() {
    for source in sources(&["src"]).iter().filter(|source| !source.is_of_tests() && !source.shown().starts_with("src/config")) {
        let known = lines_with(&source.text, &["profiles::", "profile::", "Reading::", "Dialect::"]);
        assert_eq!(known, Vec::<&str>::new(), "{}", source.shown());
    }
}

/// The modules that `image/layout.ld` names by what the compiler makes of them: `14kube_projector3api4exec` is `api::exec`.
fn laid_out(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for mangled in text.split("14kube_projector").skip(1) {
        let mut rest = mangled;
        let mut path = Vec::new();
        while let Some(digits) = rest.find(|character: char| !character.is_ascii_digit()).filter(|digits| *digits > 0) {
            let (length, name) = rest.split_at(digits);
            let (name, after) = name.split_at(length.parse().unwrap());
            path.push(name);
            rest = after;
        }
        found.push(path.join("/"));
    }
    found
}

#[test]
fn what_is_laid_out_apart_is_where_the_linker_looks_for_it() {
    let modules = laid_out(&std::fs::read_to_string(source::root().join("image/layout.ld")).unwrap());
    assert!(modules.len() >= 5, "{modules:?}");
    for module in modules {
        let place = source::root().join("src").join(&module);
        assert!(place.is_dir() || place.with_extension("rs").is_file(), "image/layout.ld: there is no module {module}");
    }
}
