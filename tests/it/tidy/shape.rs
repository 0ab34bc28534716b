//! What a reader can hold.

use std::path::PathBuf;

use crate::tidy::source::{Source, sources};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions that are too long.
fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let file = (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines", source.shown()));
    let functions = source.functions.iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
    file.into_iter().chain(functions.map(|(name, lines)| format!("{}: {name} has {lines} lines", source.shown()))).collect()
}

#[test]
fn files_and_functions_are_no_longer_than_a_reader_can_hold() {
    let found: Vec<_> = sources(&["src", "tests", "benches"]).iter().flat_map(too_long).collect();
    assert!(found.is_empty(), "more than {FILE_LINES_MAX} lines a file or {FUNCTION_LINES_MAX} a function:\n{}", found.join("\n"));
}

#[test]
fn the_check_of_shapes_finds_what_it_looks_for() {
    let body = |lines: usize| format!("{{\n{}}}", "    a();\n".repeat(lines - 2));
    let text = format!(
        "async fn short() {}\nimpl A {{ fn long() {} }}\n#[cfg(test)]\nmod tests {{ fn in_tests(\n    a: u8,\n) {} }}\n{}",
        body(70),
        body(71),
        body(69),
        "//\n".repeat(200)
    );
    let source = Source::parse(PathBuf::from("a.rs"), text);
    assert_eq!(too_long(&source), ["a.rs: 413 lines", "a.rs: long has 71 lines", "a.rs: in_tests has 71 lines"]);
}
