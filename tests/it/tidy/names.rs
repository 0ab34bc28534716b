//! One name for one thing.

use std::collections::BTreeSet;

use crate::tidy::source::{Source, doubled, root, sources};

/// Imports of doubled names without their module.
fn bare(source: &Source, doubled: &BTreeSet<&str>) -> Vec<String> {
    let imported = source.imports.iter().filter(|(path, _)| path.first().is_some_and(|first| first == "crate"));
    let bare = imported.filter(|(path, _)| path.last().is_some_and(|name| doubled.contains(name.as_str())));
    bare.map(|(path, line)| format!("{}:{line}: {}", source.shown(), path.join("::"))).collect()
}

#[test]
fn a_name_that_stands_for_two_types_is_used_with_its_module() {
    let sources = sources(&["src"]);
    let doubled = doubled(&sources);
    let found: Vec<_> = sources.iter().flat_map(|source| bare(source, &doubled)).collect();
    assert!(found.is_empty(), "these names stand for two types or more: rename one, or import its module:\n{}", found.join("\n"));
}

#[test]
fn the_check_of_names_finds_what_it_looks_for() {
    let source = |path: &str, text: &str| Source::parse(root().join(path), text.to_owned());
    let sources = [
        source("src/disk/a.rs", "pub(crate) struct State; struct Once; #[cfg(test)] struct Report;"),
        source("src/web/b.rs", "enum State {} mod inner { pub(crate) struct Report; }"),
        source(
            "src/web/c.rs",
            "use crate::disk::a::{State, Once}; use crate::web::b; use crate::disk::a::State as Disk; use other::State;",
        ),
    ];
    let doubled = doubled(&sources);
    assert_eq!(doubled, BTreeSet::from(["State"]));
    assert_eq!(bare(&sources[2], &doubled), ["src/web/c.rs:1: crate::disk::a::State"]);
}
