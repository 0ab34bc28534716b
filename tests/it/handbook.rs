//! README and handbook: every page is found from the index, links lead somewhere, and what the README shows is what is printed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::projector::Projector;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page: those beside the sources, those of the handbook, and those of the examples.
fn pages() -> BTreeSet<PathBuf> {
    let mut pages: BTreeSet<_> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].iter().map(|name| root().join(name)).collect();
    let mut folders = vec![root().join("docs"), root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false if entry.extension().is_some_and(|extension| extension == "md") => drop(pages.insert(entry)),
                false => {}
            }
        }
    }
    pages
}

/// Where the links of a page lead, images included: file and heading, if any.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://"));
    links.map(|link| link.split_once('#').unwrap_or((link, "")))
}

/// The anchors of the headings of a page.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let mut in_block = false;
    let headings = text.lines().filter(move |line| {
        in_block ^= line.trim_start().starts_with("```");
        !in_block && line.starts_with('#')
    });
    let anchor = |title: &str| title.to_lowercase().replace(' ', "-").replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "");
    headings.map(move |heading| anchor(heading.trim_start_matches(['#', ' '])))
}

/// What a link of a page leads to, if there is such a thing.
fn aim(page: &Path, (file, heading): (&str, &str)) -> Option<PathBuf> {
    let aim = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file).canonicalize().ok()? };
    let is_there = heading.is_empty() || anchors(&std::fs::read_to_string(&aim).ok()?).any(|known| known == heading);
    is_there.then_some(aim)
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let of_page = links(&text).filter(|link| aim(&page, *link).is_none());
        dead.extend(of_page.map(|(file, heading)| format!("{}: {file}#{heading}", page.display())));
    }
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn every_page_of_the_handbook_is_in_its_index() {
    let index = root().join("docs/README.md");
    let text = std::fs::read_to_string(&index).unwrap();
    let listed: BTreeSet<_> = links(&text).filter_map(|link| aim(&index, link)).collect();
    let missing: Vec<_> =
        pages().into_iter().filter(|page| page.starts_with(root().join("docs")) && *page != index && !listed.contains(page)).collect();
    assert_eq!(missing, Vec::<PathBuf>::new(), "not in docs/README.md");
}

/// The blocks of a page in a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Whether a text is what is shown, where `…` stands for anything.
fn fits(text: &str, shown: &str) -> bool {
    let Some((first, others)) = shown.split_once('…') else { return text == shown };
    let Some(rest) = text.strip_prefix(first) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(&rest[at..], others))
}

#[test]
fn the_readme_shows_what_its_command_prints() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let command = blocks(&readme, "sh").into_iter().find_map(|block| block.trim().strip_prefix("cargo run -- ")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut arguments: Vec<_> = command.split(' ').collect();
    let folder = home.path().join("out").display().to_string();
    let place = arguments.iter().position(|argument| *argument == "./out").unwrap();
    arguments[place] = &folder;

    let projector = Projector::builder().working_directory(root()).args(&arguments).env("LOG_FORMAT", "text").start();
    projector.wait_output("in sync");
    let output = projector.output();
    let printed: Vec<_> = output.lines().filter_map(|line| line.split_once(' ')).map(|(_, line)| line).collect();
    let shown = blocks(&readme, "text").into_iter().next().unwrap().replace("[::]:8080", "…");
    let shown: Vec<_> = shown.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(printed.len(), shown.len(), "{output}");
    // The health endpoints are served beside the rest, so that line may come later.
    let false_lines: Vec<_> = shown.iter().filter(|shown| !printed.iter().any(|printed| fits(printed, shown))).collect();
    assert_eq!(false_lines, Vec::<&&str>::new(), "README.md shows this, and nothing like it is printed:\n{output}");
}

#[test]
fn the_checks_of_the_handbook_find_what_they_look_for() {
    let text = "[a](b.md#c) ![d](e.png) [f](https://g) [h](#i)";
    assert_eq!(links(text).collect::<Vec<_>>(), [("b.md", "c"), ("e.png", ""), ("", "i")]);
    assert_eq!(anchors("# One, `two`\n```sh\n# no\n```\n## Three_4").collect::<Vec<_>>(), ["one-two", "three_4"]);
    let readme = root().join("README.md");
    assert_eq!(aim(&readme, ("docs/events.md", "events")), Some(root().join("docs/events.md")));
    assert_eq!(aim(&readme, ("docs/events.md", "nothing")), None);
    assert_eq!(aim(&readme, ("docs/nothing.md", "")), None);
    assert!(fits("a/b/c=1", "a…c=1") && fits("a", "a") && fits("a b", "…b"));
    assert!(!fits("a/b/c=12", "a…c=1") && !fits("xa", "a") && !fits("ab", "a"));
}
