//! What a row of the [table](crate::config::table) says of a setting.

use crate::config::read::numbers::Bounds;

/// One environment variable that we read.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Name of the variable, in upper case.
    pub(crate) name: &'static str,
    /// Under which heading it is documented.
    pub(crate) heading: Heading,
    /// What holds while the variable is unset or empty.
    pub(crate) default: Fallback,
    /// What the variable does, as one line of plain text.
    pub(crate) meaning: &'static str,
    /// The flag that says the same and beats the variable.
    pub(crate) flag: Option<Flag>,
    /// What a number may be.
    pub(crate) bounds: Option<Bounds>,
    /// A text that it refuses.
    #[cfg(test)]
    pub(crate) refused: fn() -> &'static str,
    /// Whether it takes a text.
    #[cfg(test)]
    pub(crate) takes: fn(&str) -> bool,
    /// The words that it takes, if only such.
    #[cfg(test)]
    pub(crate) words: fn() -> Vec<&'static str>,
}

/// What holds while a variable is unset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fallback {
    /// Nothing: the program does not start without it.
    Required,
    /// The same as if the variable had this value.
    Value(&'static str),
    /// A default that no single value expresses, in words.
    Described(&'static str),
    /// The feature is not used.
    Unset,
}

/// A flag of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flag {
    /// Where it stands in `--help`.
    pub(crate) position: usize,
    /// Its name, with its dashes.
    pub(crate) name: &'static str,
    /// What stands behind it.
    pub(crate) takes: Takes,
    /// What it does, as `--help` says it.
    pub(crate) help: &'static str,
}

/// What stands behind a flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Takes {
    /// A value, called this in `--help`.
    Value(&'static str),
    /// Such a value; several are joined by commas.
    Values(&'static str),
    /// Nothing: it means this value.
    Nothing(&'static str),
}

/// Headings of the documentation, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heading {
    /// Which objects are projected, and how they are read.
    Objects,
    /// Where files go and what they look like.
    Files,
    /// Conflicts, foreign files and bookkeeping.
    Ownership,
    /// Keys that name a URL, and how other servers are asked.
    Web,
    /// What the application is told.
    Reactions,
    /// Time limits of the API's watches, and how the API server is reached.
    Watches,
    /// The health endpoint.
    Health,
    /// What is written to the cluster.
    Cluster,
    /// One instance at a time, and one that changes nothing.
    Running,
    /// What is logged.
    Log,
}

impl Heading {
    /// All groups in the order in which they are documented.
    pub(crate) const ALL: [Self; 10] = [
        Self::Objects,
        Self::Files,
        Self::Ownership,
        Self::Web,
        Self::Reactions,
        Self::Watches,
        Self::Health,
        Self::Cluster,
        Self::Running,
        Self::Log,
    ];

    /// The heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Objects => "Which objects",
            Self::Files => "Which files",
            Self::Ownership => "Whose files",
            Self::Web => "Other servers",
            Self::Reactions => "Telling the application",
            Self::Watches => "Watches",
            Self::Health => "Health",
            Self::Cluster => "Finalizers and Events",
            Self::Running => "Exactly one, and dry",
            Self::Log => "Log",
        }
    }
}
