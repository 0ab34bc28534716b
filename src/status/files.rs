//! Rows of files: how one is shown, all of them, and a page of them.

use std::cmp::Ordering;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::core::path::TargetPath;
use crate::engine::shown::{Awaited, FileRow, FileState};
use crate::status::board::Board;
use crate::status::desk::StatusAsk;
use crate::status::document::{WallTime, json};
use crate::status::problem::{ProblemKind, refusal};

/// What the parts of a row are.
pub(super) const COLUMNS: [&str; 9] = ["path", "kind", "namespace", "name", "mode", "size", "state", "why", "since"];
/// Rows that are asked for, or sent, at a time.
pub(super) const BLOCK: usize = 200;
/// More rows than this are only shown in pages.
pub(super) const ROWS_MAX: usize = 20_000;
/// Rows of the largest page.
const PAGE_MAX: usize = 1000;
/// How long the engine may take for an answer: a commit may be under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// A row, in the order of [`COLUMNS`].
#[derive(Serialize)]
struct ShownRow<'a>(
    String,
    Option<&'static str>,
    Option<&'a str>,
    Option<&'a str>,
    Option<String>,
    Option<u32>,
    &'static str,
    String,
    Option<WallTime>,
);

impl<'a> ShownRow<'a> {
    fn new(board: &Board, row: &'a FileRow) -> Self {
        let object = row.object.as_deref();
        let path = board.show(&row.path);
        let since = problem_of(row.state).and_then(|kind| board.since(kind, &path));
        Self(
            path,
            object.map(|key| key.kind.as_str()),
            object.map(|key| &*key.namespace),
            object.map(|key| &*key.name),
            row.file.map(|(mode, _)| format!("{mode:04o}")),
            row.file.map(|(_, size)| size),
            word(row.state),
            why(row),
            since,
        )
    }
}

/// The word of a state.
const fn word(state: FileState) -> &'static str {
    match state {
        FileState::Failed(_) => "failed",
        FileState::Blocked(_) => "blocked",
        FileState::Conflict => "conflict",
        FileState::Held => "held",
        FileState::Pending(_) => "pending",
        FileState::Kept => "kept",
        FileState::Leaving => "leaving",
        FileState::Fine => "ok",
    }
}

/// How bad a state is: the worst first.
const fn badness(state: FileState) -> u8 {
    match state {
        FileState::Failed(_) => 0,
        FileState::Blocked(_) => 1,
        FileState::Conflict => 2,
        FileState::Held => 3,
        FileState::Pending(_) => 4,
        FileState::Leaving => 5,
        FileState::Kept => 6,
        FileState::Fine => 7,
    }
}

/// Whether a row is one of those that are not well.
const fn is_bad(state: FileState) -> bool {
    badness(state) < 5
}

const fn problem_of(state: FileState) -> Option<ProblemKind> {
    match state {
        FileState::Failed(_) => Some(ProblemKind::Failed),
        FileState::Blocked(_) => Some(ProblemKind::Blocked),
        FileState::Conflict => Some(ProblemKind::Conflict),
        FileState::Held => Some(ProblemKind::Held),
        FileState::Pending(Awaited::FailedDownload) => Some(ProblemKind::Undownloaded),
        FileState::Pending(_) | FileState::Kept | FileState::Leaving | FileState::Fine => None,
    }
}

fn why(row: &FileRow) -> String {
    match row.state {
        FileState::Failed(class) => format!("{}; it is tried again", refusal(class)),
        FileState::Blocked(by) => by.to_string(),
        FileState::Conflict => row.other.as_ref().map(|other| format!("{other} wants this path, too")).unwrap_or_default(),
        FileState::Held => "it stays until its object's new file can be written".to_owned(),
        FileState::Pending(Awaited::Turn) => "it is about to be written".to_owned(),
        FileState::Pending(Awaited::Download) => "it waits for what lies behind its URL".to_owned(),
        FileState::Pending(Awaited::FailedDownload) => "what lies behind its URL could not be had yet".to_owned(),
        FileState::Pending(Awaited::Object) => "its object could not be read".to_owned(),
        FileState::Kept => "no object is known to want it; it stays".to_owned(),
        FileState::Leaving => "no object wants it".to_owned(),
        FileState::Fine => String::new(),
    }
}

/// Rows as JSON, with commas between them.
pub(super) fn rows_json(board: &Board, rows: &[FileRow]) -> String {
    let mut text = json(&rows.iter().map(|row| ShownRow::new(board, row)).collect::<Vec<_>>());
    text.pop();
    text.split_off(1.min(text.len()))
}

/// What is sent of rows that are otherwise now, or gone.
pub(super) fn delta(board: &Board, rows: &[FileRow], gone: &[TargetPath]) -> String {
    let gone: Vec<_> = gone.iter().map(|path| board.show(path)).collect();
    format!(r#"{{"rows":[{}],"gone":{}}}"#, rows_json(board, rows), json(&gone))
}

/// Asks the engine, which may be at work, or not there yet.
async fn ask<T>(board: &Board, ask: impl FnOnce(oneshot::Sender<T>) -> StatusAsk) -> Option<T> {
    if !board.has_engine() {
        return None;
    }
    let (answer, answered) = oneshot::channel();
    let deadline = Instant::now() + PATIENCE;
    timeout_at(deadline, board.ask(ask(answer))).await.ok()?;
    timeout_at(deadline, answered).await.ok()?.ok()
}

/// How many paths there are, and all of them unless they are too many; nothing where the engine does not answer.
pub(super) async fn paths(board: &Board, most: usize) -> Option<(usize, Vec<TargetPath>)> {
    ask(board, |answer| StatusAsk::Paths { most, answer }).await
}

/// A block of rows.
pub(super) async fn block(board: &Board, paths: &[TargetPath]) -> Option<Vec<FileRow>> {
    let paths = paths.to_vec();
    ask(board, |answer| StatusAsk::Rows { paths, answer }).await
}

/// All rows of these paths, and whether these are all.
pub(super) async fn rows(board: &Board, paths: &[TargetPath]) -> (Vec<FileRow>, bool) {
    let mut rows = Vec::with_capacity(paths.len());
    for paths in paths.chunks(BLOCK) {
        let Some(block) = block(board, paths).await else { return (rows, false) };
        rows.extend(block);
    }
    (rows, true)
}

/// Which page is asked for.
pub(super) struct PageQuery {
    words: Vec<String>,
    sort: SortBy,
    descends: bool,
    only_bad: bool,
    offset: usize,
    limit: usize,
}

enum SortBy {
    Path,
    Object,
    Size,
    Mode,
    State,
}

impl PageQuery {
    /// Reads a query; what it does not say, or says in other words, is as usual.
    pub(super) fn parse(query: &str) -> Self {
        let mut page = Self { words: Vec::new(), sort: SortBy::Path, descends: false, only_bad: false, offset: 0, limit: BLOCK };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = value.replace('+', " ");
            let value = percent_encoding::percent_decode_str(&value).decode_utf8_lossy();
            match name {
                "search" => page.words = value.split_whitespace().map(str::to_lowercase).collect(),
                "sort" => {
                    page.sort = match &*value {
                        "object" => SortBy::Object,
                        "size" => SortBy::Size,
                        "mode" => SortBy::Mode,
                        "state" => SortBy::State,
                        _ => SortBy::Path,
                    }
                }
                "order" => page.descends = value == "desc",
                "only" => page.only_bad = value == "bad",
                "offset" => page.offset = value.parse().unwrap_or(0),
                "limit" => page.limit = value.parse().unwrap_or(BLOCK).clamp(1, PAGE_MAX),
                _ => {}
            }
        }
        page
    }

    fn takes(&self, board: &Board, row: &FileRow) -> bool {
        if self.only_bad && !is_bad(row.state) {
            return false;
        }
        if self.words.is_empty() {
            return true;
        }
        // FOLDER's own name would match every row: only a word that begins as a whole path does is looked for there.
        let (path, whole) = (row.path.as_str().to_lowercase(), board.show(&row.path).to_lowercase());
        let object = row.object.as_ref().map(|key| key.to_string().to_lowercase()).unwrap_or_default();
        self.words.iter().all(|word| path.contains(word) || object.contains(word) || (word.starts_with('/') && whole.starts_with(word)))
    }

    fn compare(&self, one: &FileRow, other: &FileRow) -> Ordering {
        let by = match self.sort {
            SortBy::Path => Ordering::Equal,
            SortBy::Object => one.object.cmp(&other.object),
            SortBy::Size => one.file.map(|(_, size)| size).cmp(&other.file.map(|(_, size)| size)),
            SortBy::Mode => one.file.map(|(mode, _)| mode).cmp(&other.file.map(|(mode, _)| mode)),
            SortBy::State => badness(one.state).cmp(&badness(other.state)),
        };
        let order = by.then_with(|| one.path.cmp(&other.path));
        if self.descends { order.reverse() } else { order }
    }

    /// The page of these rows. May take a while: not for a thread that has something else to do.
    pub(super) fn page(&self, board: &Board, rows: Vec<FileRow>) -> String {
        let total = rows.len();
        let mut matching: Vec<FileRow> = rows.into_iter().filter(|row| self.takes(board, row)).collect();
        matching.sort_unstable_by(|one, other| self.compare(one, other));
        let shown: Vec<FileRow> = matching.iter().skip(self.offset).take(self.limit).cloned().collect();
        format!(
            r#"{{"total":{total},"matching":{},"offset":{},"time":{},"rows":[{}]}}"#,
            matching.len(),
            self.offset,
            json(&WallTime::now()),
            rows_json(board, &shown)
        )
    }
}
