//! `status`: what the page of the instance on this machine shows, for a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::cli::OutputFormat;
use crate::commands::asking::LocalRequest;
use crate::commands::say;

/// An answer must come within this: the engine may be in the midst of a commit.
const WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked again.
const AGAIN: Duration = Duration::from_secs(2);
/// More than any answer has.
const LONGEST: u64 = 64 << 20;
/// Changes and problems that are printed.
const SHOWN: usize = 10;

/// How the answer is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StatusView {
    pub(crate) output: OutputFormat,
    /// Again and again, until somebody ends it.
    pub(crate) watch: bool,
    /// Whether anything is coloured.
    colours: bool,
    /// Whether what was printed before can be taken away.
    terminal: bool,
}

impl StatusView {
    /// A view on standard output. Colours are for terminals, and not where NO_COLOR is set.
    pub(crate) fn new(output: OutputFormat, watch: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { output, watch, colours, terminal }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints how it is: 0 if all is well, 1 if not, or if nobody answers.
pub(crate) async fn status(address: SocketAddr, view: StatusView) -> ExitCode {
    let mut printed = None;
    loop {
        let (text, well) = match look(address, view.output).await {
            Ok(status) => (shown(&status, view), status["verdict"]["ok"] == true && status["verdict"]["ready"] == true),
            Err(why) => (view.paint("31", &format!("not known: {why}")), false),
        };
        if printed.as_ref() != Some(&text) {
            if view.watch && view.terminal && view.output == OutputFormat::Table {
                // The cursor home, and all below it gone.
                let _ = write!(io::stdout(), "\x1b[H\x1b[2J");
            }
            say(&text);
            printed = Some(text);
        }
        if !view.watch {
            return if well { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        sleep(AGAIN).await;
    }
}

/// What is answered. The rows of files are for programs.
async fn look(address: SocketAddr, output: OutputFormat) -> Result<Value, String> {
    let path = if output == OutputFormat::Json { "/status" } else { "/status?files=no" };
    let answer = LocalRequest { address, path, within: WITHIN, most: LONGEST, settings: "STATUS_ADDR" }.send().await?;
    let status = serde_json::from_str::<Value>(&answer.body).ok().filter(|status| answer.is_ok() && status["verdict"].is_object());
    status.ok_or_else(|| format!("what answers at {address} is not a status page of ours"))
}

fn shown(status: &Value, view: StatusView) -> String {
    match view.output {
        // One line a look, so that a program can follow it.
        OutputFormat::Json if view.watch => status.to_string(),
        OutputFormat::Json => serde_json::to_string_pretty(status).unwrap_or_default(),
        OutputFormat::Table => table(status, view),
    }
}

/// A text, without what would steer a terminal.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().filter(|character| !character.is_control()).collect()
}

/// A time, without its fraction.
fn time(value: &Value) -> String {
    let text = text(value);
    if text.is_empty() { "never".to_owned() } else { text.split('.').next().unwrap_or_default().replace('T', " ") + "Z" }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn table(status: &Value, view: StatusView) -> String {
    let verdict = &status["verdict"];
    let colour = if verdict["ok"] == true { "32" } else { "31" };
    let mut lines = vec![view.paint(colour, &text(&verdict["sentence"]))];
    let ready = if verdict["ready"] == true { "ready" } else { "not ready" };
    lines.push(format!("version {}, started {}, {ready}", text(&status["version"]), time(&status["started"])));
    let problems = list(&status["problems"]);
    for problem in problems.iter().take(SHOWN) {
        let (level, colour) = if problem["level"] == "error" { ("error", "31") } else { ("warning", "33") };
        let since = if problem["since"].is_null() { String::new() } else { format!(" (since {})", time(&problem["since"])) };
        lines.push(String::new());
        lines.push(format!("{}  {}: {}{since}", view.paint(colour, level), text(&problem["what"]), text(&problem["reason"])));
        lines.push(format!("  {}", text(&problem["todo"])));
    }
    let total = status["problems_total"].as_u64().and_then(|total| usize::try_from(total).ok()).unwrap_or(problems.len());
    if let Some(more) = total.checked_sub(problems.len().min(SHOWN)).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more: --output json, or the page, has them"));
    }
    let watches = list(&status["watches"]);
    if !watches.is_empty() {
        let width = watches.iter().map(|watch| text(&watch["name"]).chars().count()).max().unwrap_or_default();
        lines.extend([String::new(), format!("{:<width$}  {:<12}  {:>7}  LAST CONTACT", "WATCH", "STATE", "OBJECTS")]);
        // Those that are not well come first.
        let (bad, good): (Vec<_>, Vec<_>) = watches.iter().partition(|watch| watch["ok"] != true);
        for watch in bad.into_iter().chain(good).take(SHOWN) {
            let (name, state, contact) = (text(&watch["name"]), text(&watch["state"]), time(&watch["last_contact"]));
            lines.push(format!("{name:<width$}  {state:<12}  {:>7}  {contact}", watch["objects"].as_u64().unwrap_or_default()));
        }
        if watches.len() > SHOWN {
            lines.push(format!("… and {} more", watches.len() - SHOWN));
        }
    }
    let changes = list(&status["timeline"]);
    if !changes.is_empty() {
        lines.extend([String::new(), "LAST CHANGES".to_owned()]);
        lines.extend(changes.iter().take(SHOWN).map(change));
    }
    lines.join("\n")
}

/// A line of the timeline.
fn change(change: &Value) -> String {
    let object = change["object"].as_str().map_or_else(|| "several objects".to_owned(), |_| text(&change["object"]));
    let what = match (change["files"].as_u64().unwrap_or_default(), list(&change["paths"]).first()) {
        (1, Some(path)) => text(path),
        (files, _) => format!("{files} files"),
    };
    let told = list(&change["told"]).iter().map(|told| format!("; {} {}", text(&told["reaction"]), text(&told["state"]).replace('_', " ")));
    format!("{}  {} {what} of {object}{}", time(&change["time"]), text(&change["what"]), told.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(colours: bool) -> StatusView {
        StatusView { output: OutputFormat::Table, watch: false, colours, terminal: colours }
    }

    fn bad() -> Value {
        json!({
            "version": "1.2.3", "started": "2026-11-30T00:01:00.123Z",
            "verdict": {"ok": false, "ready": true, "sentence": "1 problem: 1 path conflict."},
            "problems": [{"level": "error", "what": "/f/a", "reason": "ConfigMap/n/a keeps it\u{1b}[31m", "since": "2026-11-30T00:02:00.000Z", "todo": "Rename it."}],
            "problems_total": 3,
            "watches": [
                {"name": "secrets in n", "ok": true, "state": "watching", "objects": 2, "last_contact": "2026-11-30T00:03:00.000Z"},
                {"name": "configmaps in n", "ok": false, "state": "refused", "objects": 0, "last_contact": null},
            ],
            "timeline": [{"time": "2026-11-30T00:04:00.000Z", "what": "written", "object": "Secret/n/s", "files": 1, "paths": ["/f/s"],
                "told": [{"reaction": "request", "state": "given_up"}]}],
        })
    }

    #[test]
    fn a_terminal_is_told_what_is_wrong_and_what_to_do() {
        let expected = "\
1 problem: 1 path conflict.
version 1.2.3, started 2026-11-30 00:01:00Z, ready

error  /f/a: ConfigMap/n/a keeps it[31m (since 2026-11-30 00:02:00Z)
  Rename it.
… and 2 more: --output json, or the page, has them

WATCH            STATE         OBJECTS  LAST CONTACT
configmaps in n  refused             0  never
secrets in n     watching            2  2026-11-30 00:03:00Z

LAST CHANGES
2026-11-30 00:04:00Z  written /f/s of Secret/n/s; request given up";
        assert_eq!(shown(&bad(), view(false)), expected);
        assert!(shown(&bad(), view(true)).starts_with("\x1b[31m1 problem: 1 path conflict.\x1b[0m\n"));
    }

    #[test]
    fn json_is_the_answer_and_a_line_of_its_own_where_it_is_followed() {
        let shown = |watch| shown(&bad(), StatusView { output: OutputFormat::Json, watch, ..view(false) });
        assert!(shown(false).lines().count() > 10 && shown(true).lines().count() == 1);
        assert_eq!(serde_json::from_str::<Value>(&shown(true)).unwrap(), bad());
    }
}
