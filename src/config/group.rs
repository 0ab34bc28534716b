//! Under which headings settings are documented.

/// Headings of the documentation, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
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
    /// What is logged.
    Log,
}

impl Group {
    /// All groups in the order in which they are documented.
    pub(crate) const ALL: [Self; 9] =
        [Self::Objects, Self::Files, Self::Ownership, Self::Web, Self::Reactions, Self::Watches, Self::Health, Self::Cluster, Self::Log];

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
            Self::Log => "Log",
        }
    }
}
