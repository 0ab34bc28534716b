//! The reasons of our Events: the one table that code, documentation and tests share. Names never change lightly.

/// How an Event is shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Severity {
    /// Something that was asked for happened.
    Normal,
    /// Somebody should look.
    Warning,
}

impl Severity {
    /// The `type` of an Event.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// One reason.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(crate) struct Reason {
    /// `reason` of the Event, in PascalCase.
    pub(crate) name: &'static str,
    /// `action` of the Event: what we were doing.
    pub(crate) action: &'static str,
    /// `type` of the Event.
    pub(crate) severity: Severity,
    /// What happened, for the documentation.
    pub(crate) meaning: &'static str,
}

/// Files of the object were written or changed.
pub(crate) static FILES_WRITTEN: Reason =
    normal("FilesWritten", "Write", "files of this object were written or changed; the note tells how many and where");
/// Files of the object were removed.
pub(crate) static FILES_REMOVED: Reason =
    normal("FilesRemoved", "Remove", "files of this object were removed: it is gone, no longer selected, or dropped the keys");
/// Our finalizer was taken off the object.
pub(crate) static FINALIZER_RELEASED: Reason =
    normal("FinalizerReleased", "Release", "our finalizer was taken off: the object's files are removed, or it left the selector");
/// Another object keeps the path.
pub(crate) static PATH_CONFLICT: Reason = warning(
    "PathConflict",
    "Resolve",
    "another object claims the same path and keeps it; the note names the path, the winner and the rule (CONFLICT)",
);
/// The folder annotation leads nowhere allowed.
pub(crate) static PATH_REJECTED: Reason = warning(
    "PathRejected",
    "Project",
    "the folder annotation is not allowed: outside FOLDER and ALLOWED_FOLDERS, or with `..`; no file of the object is written",
);
/// An annotation of ours says what it cannot say.
pub(crate) static ANNOTATION_REJECTED: Reason = warning(
    "AnnotationRejected",
    "Project",
    "an annotation of kube-projector.dev has a value that it cannot have; the object's files stay as they are until that is put right",
);
/// A key cannot be a file.
pub(crate) static KEY_REJECTED: Reason = warning(
    "KeyRejected",
    "Project",
    "one key cannot be a file: its name is reserved, too long or not a file name, or its value cannot be decoded or unpacked; other keys are written",
);
/// A file could not be written or removed.
pub(crate) static WRITE_FAILED: Reason = warning(
    "WriteFailed",
    "Write",
    "a file could not be written or removed; it is tried again, the note names the path and the error; or an old file stays because the new one of its object could not be written",
);
/// A foreign file was replaced.
pub(crate) static FOREIGN_FILE_REPLACED: Reason =
    warning("ForeignFileReplaced", "Write", "a file that was not ours stood at a wanted path and was replaced (ADOPT)");
/// A foreign file was kept.
pub(crate) static FOREIGN_FILE_KEPT: Reason =
    warning("ForeignFileKept", "Write", "a file that is not ours stands at a wanted path and was kept (ADOPT)");
/// The application was told.
pub(crate) static RELOAD_SUCCEEDED: Reason = normal(
    "ReloadSucceeded",
    "Reload",
    "on our own pod: a script, a signal, the child, a request or a command in pods told the application; on another pod: EXEC_COMMAND ran there with exit code 0",
);
/// The application was not told.
pub(crate) static RELOAD_FAILED: Reason = warning(
    "ReloadFailed",
    "Reload",
    "on our own pod: the application could not be told, by which means and why; on another pod: EXEC_COMMAND failed there, or could not be run; the note holds the code or the reason, and the length of what was said, which is in the log",
);

/// Every reason there is.
#[cfg(test)]
pub(crate) static REASONS: [&Reason; 12] = [
    &FILES_WRITTEN,
    &FILES_REMOVED,
    &FINALIZER_RELEASED,
    &PATH_CONFLICT,
    &PATH_REJECTED,
    &ANNOTATION_REJECTED,
    &KEY_REJECTED,
    &WRITE_FAILED,
    &FOREIGN_FILE_REPLACED,
    &FOREIGN_FILE_KEPT,
    &RELOAD_SUCCEEDED,
    &RELOAD_FAILED,
];

/// The table of `docs/events.md`.
#[cfg(test)]
pub(crate) fn table() -> String {
    use std::fmt::Write as _;

    let mut out = String::from("| Reason | Type | Action | Meaning |\n|---|---|---|---|\n");
    for Reason { name, action, severity, meaning } in REASONS {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| `{name}` | {} | {action} | {meaning} |", severity.as_str());
    }
    out
}

const fn normal(name: &'static str, action: &'static str, meaning: &'static str) -> Reason {
    Reason { name, action, severity: Severity::Normal, meaning }
}

const fn warning(name: &'static str, action: &'static str, meaning: &'static str) -> Reason {
    Reason { name, action, severity: Severity::Warning, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_holds_the_table() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md")).expect("docs/events.md");
        assert!(text.contains(&table()), "docs/events.md should contain:\n{}", table());
    }

    #[test]
    fn every_reason_is_one_the_api_server_takes() {
        let mut names: Vec<&str> = REASONS.iter().map(|reason| reason.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REASONS.len());
        for reason in REASONS {
            let pascal =
                |text: &str| text.starts_with(|first: char| first.is_ascii_uppercase()) && text.chars().all(|c| c.is_ascii_alphabetic());
            assert!(pascal(reason.name) && pascal(reason.action) && reason.name.len() <= 128 && reason.action.len() <= 128, "{reason:?}");
        }
    }
}
