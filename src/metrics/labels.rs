//! Every label that a metric may have, and every value of it: closed enums, so that no name of a user's becomes a series.

/// What tells series of one metric apart.
pub(crate) trait Label: Copy + 'static {
    /// Every value, in the order in which it is shown.
    const ALL: &'static [Self];
    /// How each is spelled, and what it means.
    const VALUES: &'static [(&'static str, &'static str)];

    /// Where it stands in [`Self::ALL`].
    fn index(self) -> usize;

    /// How it is spelled.
    fn as_str(self) -> &'static str;
}

/// Makes enums of rows that say `Variant = "value", "meaning";`.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $value:literal, $meaning:literal;)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub(crate) enum $name {
                $(#[doc = $meaning] $variant,)*
            }

            impl Label for $name {
                const ALL: &'static [Self] = &[$(Self::$variant),*];
                const VALUES: &'static [(&'static str, &'static str)] = &[$(($value, $meaning)),*];

                fn index(self) -> usize {
                    self as usize
                }

                fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $value,)* }
                }
            }
        )*
    };
}

labels! {
    /// What a watch follows.
    Resource {
        ConfigMaps = "configmaps", "ConfigMaps";
        Secrets = "secrets", "Secrets";
        Pods = "pods", "pods that the application's command runs in, or that are told of";
        Manifests = "manifests", "a folder of manifests";
    }
    /// Why a path is not as it should be.
    StuckReason {
        Failed = "failed", "writing or removing fails, and is tried again";
        Blocked = "blocked", "something is in the way: a foreign file, a folder, a link, another projector's file";
        Held = "held", "an old file stays until the one that takes its place can be written";
        Unread = "unread", "an object's bytes could not be read from the API server; counts objects";
    }
    /// What the file system said.
    FileErrorClass {
        NoSpace = "no_space", "no space or quota left";
        ReadOnly = "read_only", "the file system is read-only";
        Denied = "denied", "permission denied";
        InTheWay = "in_the_way", "something else stands there";
        Other = "other", "anything else, such as an error of the device";
    }
    /// What was asked of the API server.
    Verb {
        Get = "get", "one object";
        List = "list", "a list, or a page of one";
        Watch = "watch", "a watch, or a list that is streamed";
        Create = "create", "a new object, such as an Event";
        Patch = "patch", "a change of an object";
        Connect = "connect", "a command in a pod";
    }
    /// What the API server answered.
    AnswerCode {
        Switching = "101", "a command in a pod begins";
        Ok = "200", "success";
        Created = "201", "made";
        BadRequest = "400", "not understood";
        Unauthorized = "401", "who we are is not believed";
        Forbidden = "403", "we may not";
        NotFound = "404", "not there";
        Conflict = "409", "changed meanwhile";
        Gone = "410", "too old";
        Unprocessable = "422", "not valid";
        TooMany = "429", "too many requests";
        ServerError = "5xx", "any error of the server";
        Other = "other", "any other code";
        None = "none", "no answer";
    }
    /// How the application is told.
    ReactionKind {
        Script = "script", "SCRIPT";
        Signal = "signal", "SIGNAL";
        Child = "child", "the application as a child, by its signal";
        Request = "request", "REQ_URL";
        Exec = "exec", "EXEC_COMMAND";
    }
    /// What became of an attempt to bring what lies behind a URL.
    DownloadResult {
        Fetched = "fetched", "new bytes";
        Unchanged = "unchanged", "the same as before";
        Failed = "failed", "nothing usable";
    }
}

impl AnswerCode {
    /// The one of a status.
    pub(crate) fn of(status: u16) -> Self {
        match status {
            101 => Self::Switching,
            200 => Self::Ok,
            201 => Self::Created,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            410 => Self::Gone,
            422 => Self::Unprocessable,
            429 => Self::TooMany,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

impl ReactionKind {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_of_those_that_are_counted_apart() {
        for status in 100..600_u16 {
            let (code, shown) = (AnswerCode::of(status).as_str(), status.to_string());
            assert!(code == shown || code == "other" || (status >= 500 && code == "5xx"), "{status} counts as {code}");
        }
        for (value, _) in AnswerCode::VALUES.iter().filter(|(value, _)| value.parse::<u16>().is_ok()) {
            assert_eq!(AnswerCode::of(value.parse().unwrap()).as_str(), *value);
        }
    }

    #[test]
    fn a_label_stands_where_its_index_says() {
        assert!(AnswerCode::ALL.iter().enumerate().all(|(at, code)| code.index() == at));
        assert!(AnswerCode::ALL.iter().zip(AnswerCode::VALUES).all(|(code, (value, _))| code.as_str() == *value));
    }
}
