//! How the text of a setting becomes a value, and what became of it.

use std::path::{Path as FilePath, PathBuf};

use crate::config::profiles::{Dialect, sidecar};
use crate::config::read::numbers::{Bounds, Number};
use crate::config::read::parse::{self, Expected};
use crate::config::read::paths;

/// How a text becomes a value.
pub(crate) enum ValueForm<T: 'static> {
    /// It is one of these words, in any case.
    Words(&'static [(&'static str, T)]),
    /// Any text that this takes.
    Text(fn(&str) -> Result<T, Expected>),
    /// A path, or what has paths in it. Relative ones start at the folder.
    Path(fn(&str, &FilePath) -> Result<T, Expected>),
    /// A number within bounds.
    Number(fn(&str, Bounds) -> Result<Number<T>, Expected>, Bounds),
    /// Ours, and that of k8s-sidecar.
    PerDialect(fn(&str) -> Result<T, Expected>, fn(&str) -> Result<Remarked<T>, Expected>),
}

/// A value, and what is to be said of how it was read: the end of a warning that begins with the setting.
pub(crate) type Remarked<T> = (T, Option<String>);

/// `true`, `false` and the like.
pub(crate) const BOOLEAN: ValueForm<bool> = ValueForm::Words(&parse::BOOLEANS);
/// A boolean that k8s-sidecar has, too.
pub(crate) const TRUTH: ValueForm<bool> = ValueForm::PerDialect(parse::boolean, sidecar::truth);
/// A boolean that is true for k8s-sidecar only when it is spelled in lower case.
pub(crate) const EXACT_TRUTH: ValueForm<bool> = ValueForm::PerDialect(parse::boolean, sidecar::exact_truth);
/// One path.
pub(crate) const PATH: ValueForm<PathBuf> = ValueForm::Path(|text, folder| Ok(paths::path(text, folder)));

impl<T: Clone> ValueForm<T> {
    /// What a number may be.
    pub(crate) const fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Number(_, bounds) => Some(*bounds),
            _ => None,
        }
    }

    /// The words that are accepted, if only such.
    #[cfg(test)]
    pub(crate) fn words(&self) -> Vec<&'static str> {
        match self {
            Self::Words(words) => words.iter().map(|(word, _)| *word).collect(),
            _ => Vec::new(),
        }
    }

    /// A text that is not accepted.
    #[cfg(test)]
    pub(crate) fn refused(&self) -> &'static str {
        let bad = match self {
            Self::Number(_, Bounds { least: 0, .. }) => "-1",
            Self::Number(..) => "0",
            _ => "?!",
        };
        let is_refused = self.read(bad, Dialect::Own, FilePath::new("/")).is_err();
        if is_refused { bad } else { "\u{fffd}" }
    }

    /// The value of a text.
    ///
    /// # Errors
    /// What would have been accepted.
    pub(crate) fn read(&self, text: &str, dialect: Dialect, folder: &FilePath) -> Result<Remarked<T>, Expected> {
        let value = match self {
            _ if text.contains(char::REPLACEMENT_CHARACTER) => Err("text in UTF-8".into()),
            Self::Words(words) => parse::choice(text, words),
            Self::Text(parse) => parse(text),
            Self::Path(parse) => parse(text, folder),
            Self::Number(parse, bounds) => return parse(text, *bounds).map(|number| number.remarked(text, *bounds)),
            Self::PerDialect(_, sidecar) if dialect == Dialect::Sidecar => return sidecar(text),
            Self::PerDialect(parse, _) => parse(text),
        };
        value.map(|value| (value, None))
    }
}

/// What became of a setting.
pub(crate) enum ReadValue<T> {
    /// Nothing gives it.
    Absent,
    /// It has the value that the profile says.
    Default(T),
    /// It has this value.
    Given(T),
    /// What gives it cannot be used, which has been noted.
    Refused,
}

impl<T: Clone> ReadValue<T> {
    /// The value, be it given or not.
    pub(crate) fn value(&self) -> Option<T> {
        match self {
            Self::Default(value) | Self::Given(value) => Some(value.clone()),
            Self::Absent | Self::Refused => None,
        }
    }

    /// As [`Self::value`], of a setting that may be absent: `Some(None)`.
    pub(crate) fn optional(&self) -> Option<Option<T>> {
        match self {
            Self::Refused => None,
            read => Some(read.value()),
        }
    }

    /// Whether something gives it, be it of use or not.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Given(_) | Self::Refused)
    }
}
