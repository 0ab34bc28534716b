//! Rules of the code that a compiler does not know.

use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false if entry.extension().is_some_and(|extension| extension == "rs") => found.push(entry),
                false => {}
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// Whether only tests are built of this file.
fn is_of_tests(file: &Path) -> bool {
    let shown = file.to_string_lossy();
    ["_tests.rs", "/tests.rs", "/stub.rs", "config/docs.rs"].iter().any(|end| shown.ends_with(end)) || shown.contains("_tests/")
}

/// The lines of a file that are neither comments nor behind `#[cfg(test)]`.
fn code(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect()
}

fn impurities(text: &str) -> Vec<&str> {
    const FORBIDDEN: [&str; 13] = [
        "tokio",
        "kube::",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "Instant",
        "SystemTime",
        "rustix",
        "crate::disk",
        "crate::source",
        "crate::api",
        "println!",
    ];
    code(text).into_iter().filter(|line| FORBIDDEN.iter().any(|forbidden| line.contains(forbidden))).collect()
}

#[test]
fn core_does_no_io_and_reads_no_clock() {
    for file in sources("src/core") {
        if is_of_tests(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(impurities(&text), Vec::<&str>::new(), "{}", file.display());
    }
}

#[test]
fn the_purity_check_finds_what_it_looks_for() {
    assert_eq!(
        impurities("use std::fs;\n// std::fs\nlet now = Instant::now();\n#[cfg(test)]\nuse tokio;"),
        ["use std::fs;", "let now = Instant::now();"]
    );
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    for file in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines: it wants a second module", file.display());
    }
}

#[test]
fn only_the_disk_module_writes_files() {
    const WRITERS: [&str; 6] = ["fs::write(", "File::create", "fs::remove_", "fs::rename(", "renameat", "unlinkat"];
    for file in sources("src") {
        let shown = file.to_string_lossy().into_owned();
        // `check` tries a file of its own to tell whether FOLDER can be written; `rotate` keeps log files.
        if shown.contains("/src/disk/")
            || shown.ends_with("commands/check.rs")
            || shown.ends_with("telemetry/rotate.rs")
            || is_of_tests(&file)
        {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let writes: Vec<_> = code(&text).into_iter().filter(|line| WRITERS.iter().any(|writer| line.contains(writer))).collect();
        assert_eq!(writes, Vec::<&str>::new(), "{shown}");
    }
}

#[test]
fn only_the_configuration_knows_profiles() {
    for file in sources("src") {
        let shown = file.to_string_lossy().into_owned();
        if shown.contains("/src/config") || is_of_tests(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let known: Vec<_> = code(&text).into_iter().filter(|line| line.contains("profiles::") || line.contains("Dialect::")).collect();
        assert_eq!(known, Vec::<&str>::new(), "{shown}");
    }
}
