//! What may be met in the log, in an Event or in a health answer stands in docs/troubleshooting.md, and nothing else does.

use std::collections::BTreeSet;

use crate::tidy::said::{KINDS, Texts, VARIABLE, alerts, texts};
use crate::tidy::source::{Source, root, sources};

const PAGE: &str = "docs/troubleshooting.md";
const ALERTS: &str = "examples/monitoring/alerts.yaml";

/// The code span at the beginning of a text, and what is behind it.
fn span(text: &str) -> Option<(&str, &str)> {
    let fence = &text[..text.len() - text.trim_start_matches('`').len()];
    let (inside, after) = text[fence.len()..].split_once(fence).filter(|_| !fence.is_empty())?;
    Some((inside.strip_prefix(' ').and_then(|inside| inside.strip_suffix(' ')).unwrap_or(inside), after))
}

/// What the lines of a page name: `- WARN `text`, Event `reason``.
fn listed(page: &str) -> BTreeSet<(&'static str, String)> {
    let mut listed = BTreeSet::new();
    for mut rest in page.lines().filter_map(|line| line.strip_prefix("- ")) {
        while let Some((kind, after)) = KINDS.iter().find_map(|kind| Some((*kind, rest.strip_prefix(*kind)?.strip_prefix(' ')?))) {
            let Some((text, after)) = span(after) else { break };
            listed.insert((kind, text.to_owned()));
            rest = after.strip_prefix(", ").unwrap_or_default();
        }
    }
    listed
}

/// A line of the page.
fn entry(kind: &str, text: &str) -> String {
    match text.contains('`') {
        true => format!("- {kind} `` {text} ``"),
        false => format!("- {kind} `{text}`"),
    }
}

/// What is wrong with a page for these texts.
fn wrong(page: &str, texts: &Texts, unreadable: &[String]) -> Vec<String> {
    let listed = listed(page);
    let missing = texts.iter().filter(|((kind, text), _)| !listed.contains(&(*kind, text.clone())));
    let missing = missing.map(|((kind, text), place)| format!("missing:  {}        ({place})", entry(kind, text)));
    let gone = listed.iter().filter(|named| !texts.contains_key(*named)).map(|(kind, text)| format!("gone:     {}", entry(kind, text)));
    missing.chain(gone).chain(unreadable.iter().map(|place| format!("unreadable: {place}"))).collect()
}

#[test]
fn the_page_of_troubles_names_what_the_source_says_and_nothing_else() {
    let (mut texts, unreadable) = texts(&sources(&["src"]));
    texts.extend(alerts(ALERTS, &std::fs::read_to_string(root().join(ALERTS)).unwrap()));
    let wrong = wrong(&std::fs::read_to_string(root().join(PAGE)).unwrap_or_default(), &texts, &unreadable);
    assert!(
        wrong.is_empty(),
        "{PAGE}\n\
         missing:    put the line, as it stands here, under the heading of the symptom that somebody who meets it has; beside a line \
         that is there if it means the same (`- WARN `one`, Event `other``). Indented below it: a sentence on what it means, and \
         one on what to do.\n\
         gone:       no source says this any more, or says it otherwise: take the line out, or mend it.\n\
         unreadable: this test cannot see the text: write it where it is used, or add to {VARIABLE:?} in tests/it/tidy/said.rs.\n\
         `…` stands for what differs each time.\n\n{}\n",
        wrong.join("\n")
    );
}

#[test]
fn the_check_of_troubles_finds_what_it_looks_for() {
    let source = |path: &str, text: &str| Source::parse(root().join(path), text.to_owned());
    let sources = [
        source(
            "src/a.rs",
            r#"fn a() {
                tracing::warn!(x = "no", %y, why = format!("no {x}"), "one {x} of `b`");
                tokio::select! { _ = z => { error!(target: "x", "two {}", z) } }
                warn_once!(is_news, pod, "three");
                tracing::warn!(why);
                tracing::error!("{words}");
                info!("no");
            }
            #[cfg(test)]
            mod tests { fn a() { warn!("no"); } }"#,
        ),
        source("src/config/b.rs", r#"fn b() { reader.warn(format!("{a} four {{}}")); reader.warnings.push(FIVE); reader.warn(text); }"#),
        source("src/config/c.rs", r#"const FIVE: &str = "five"; fn remarked() { "={a} six" }"#),
        source("src/tell/d.rs", r#"impl A for B { fn exhausted(&self) -> String { "seven".to_owned() } }"#),
        source("src/report/e.rs", r#"static A: Reason = warning("Eight", "no", "no");"#),
        source(
            "src/health/report.rs",
            r#"#[derive(Serialize)] struct Report { nine: u8, #[serde(skip)] no: u8 } fn report() { format!("ten {x}"); } fn a() { format!("no"); }
               #[derive(Serialize)] enum State { ElevenUp, #[serde(rename = "twelve")] No } struct Other { no: u8 }"#,
        ),
        source("src/f.rs", r#"enum PathError { #[error("thirteen {0}")] A } fn a() { set(Readiness::Waiting("fourteen".to_owned())) }"#),
        source("src/status/h.rs", r#"kinds! { FifteenUp: "no", "no", "no"; }"#),
        source("src/g_tests.rs", r#"fn a() { warn!("no"); }"#),
    ];
    let (texts, unreadable) = texts(&sources);
    let found: Vec<_> = texts.keys().map(|(kind, text)| entry(kind, text)).collect();
    let expected = [
        "- ERROR `seven`",
        "- ERROR `two …`",
        "- Event `Eight`",
        "- Health `eleven_up`",
        "- Health `fourteen`",
        "- Health `nine`",
        "- Health `ten …`",
        "- Health `twelve`",
        "- Problem `fifteen_up`",
        "- Reason `thirteen …`",
        "- WARN `five`",
        "- WARN `` one … of `b` ``",
        "- WARN `three`",
        "- WARN `… four {}`",
        "- WARN `…=… six`",
    ];
    let sorted = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&found), expected.iter().map(|line| (*line).to_owned()).collect());
    assert_eq!(unreadable, ["src/a.rs:5: warn!", "src/config/b.rs:1: a warning about settings"]);

    let rules = "groups:\n- rules:\n  - alert: Sixteen\n    expr: no\n";
    assert_eq!(alerts("a.yaml", rules), Texts::from([(("Alert", "Sixteen".to_owned()), "a.yaml:3".to_owned())]));
    let whole = format!("# Page\n{}\n  Said.\n- Other `text`\n", found.join("\n  Means.\n"));
    assert_eq!(wrong(&whole, &texts, &[]), [""; 0]);
    let joined = whole.replace("- WARN `five`", "").replace("- Event `Eight`", "- Event `Eight`, WARN `five`");
    assert_eq!(wrong(&joined, &texts, &[]), [""; 0]);
    let less = whole.replace("- WARN `three`", "- WARN `old`");
    assert_eq!(wrong(&less, &texts, &[]), ["missing:  - WARN `three`        (src/a.rs:4)", "gone:     - WARN `old`"]);
}
