//! Who may know whom: a module uses what stands before it, and nothing behind it.

use crate::tidy::source::{Source, root, sources};

/// From what everybody stands on to what stands on everybody.
const ORDER: [&str; 21] = [
    "core",
    "aside",
    "lookup",
    "yaml",
    "config",
    "telemetry",
    "metrics",
    "health",
    "web",
    "api",
    "source",
    "disk",
    "engine",
    "report",
    "tell",
    "status",
    "serve",
    "app",
    "cli",
    "commands",
    "main",
];

/// The same within the core.
const CORE: [&str; 17] = [
    "backoff",
    "names",
    "memory",
    "schedule",
    "settle",
    "spread",
    "retry",
    "policy",
    "record",
    "debt",
    "path",
    "digest",
    "discretion",
    "object",
    "files",
    "watch",
    "tell",
];

/// Uses of something that stands behind who uses it, and of what is in no order at all.
fn backward(source: &Source) -> Vec<String> {
    let module = source.module();
    let mut found = Vec::new();
    for (path, line) in &source.paths {
        for (depth, order) in [(0, &ORDER[..]), (1, &CORE[..])] {
            let (Some(from), Some(to)) = (module.get(depth), path.get(depth + 1)) else { continue };
            if depth == 1 && (module[0] != "core" || path[1] != "core") {
                continue;
            }
            let place = |name: &String| order.iter().position(|other| other == name);
            if place(from).is_none() || place(to).is_none() || place(to) > place(from) {
                found.push(format!("{}:{line}: {} uses {}", source.shown(), module.join("::"), path.join("::")));
            }
        }
    }
    found
}

#[test]
fn no_module_uses_what_stands_behind_it() {
    let found: Vec<_> = sources(&["src"]).iter().filter(|source| !source.is_of_tests()).flat_map(backward).collect();
    assert!(found.is_empty(), "against the order of modules in tests/it/tidy/borders.rs:\n{}", found.join("\n"));
}

#[test]
fn the_order_of_modules_is_told_in_lib_rs() {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let map = text.split("# Where things are").nth(1).and_then(|text| text.split("# Invariants").next()).unwrap();
    let told =
        ORDER[..ORDER.len() - 1].iter().map(|name| map.find(&format!("`{name}`")).unwrap_or_else(|| panic!("{name} is not on the map")));
    assert!(told.clone().is_sorted(), "another order: {:?}", told.collect::<Vec<_>>());
    let declared = text.lines().filter(|line| line.contains("mod ") && line.ends_with(';')).count();
    assert_eq!(declared, ORDER.len() - 1, "main is the only one that lib.rs does not declare");
}

#[test]
fn the_check_of_borders_finds_what_it_looks_for() {
    let source = |path: &str, text: &str| Source::parse(root().join(path), text.to_owned());
    let text = "use crate::core::object::Kind;\nfn a() { crate::tell::fire(); }\n#[cfg(test)]\nmod tests { use crate::tell::x; }";
    assert_eq!(backward(&source("src/disk/a.rs", text)), ["src/disk/a.rs:2: disk::a uses crate::tell::fire"]);
    let text = "use crate::core::{object::Kind, tell};";
    assert_eq!(backward(&source("src/core/files/a.rs", text)), ["src/core/files/a.rs:1: core::files::a uses crate::core::tell"]);
    assert_eq!(backward(&source("src/main.rs", "use kube_projector::commands;")), Vec::<String>::new());
}
