//! The words between the list+watch machine of [`crate::core::watch`] and whoever drives it.

use std::time::Duration;

/// Where a source stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MachineState {
    /// Nothing is open: the next call is a list.
    Idle,
    /// A streaming list is open; its end mark has not come.
    Streaming,
    /// Pages are read one by one; `token` asks for the next.
    Paging {
        /// The continue token, none before the first page.
        token: Option<String>,
    },
    /// A watch runs, or is to be opened, from this resourceVersion.
    Watching {
        /// resourceVersion of the last event or bookmark.
        revision: u64,
    },
}

/// A request to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// `watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=`
    StreamList,
    /// `limit=…&continue=…`, resourceVersion unset: a consistent read, never "0".
    Page {
        /// How many objects.
        limit: u32,
        /// Where to go on.
        token: Option<String>,
    },
    /// `watch=1&resourceVersion=…`
    Watch {
        /// Where to go on.
        revision: u64,
    },
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Start, or the wait is over.
    Ready,
    /// The response is here and it is 200.
    Opened,
    /// An object in a list or a watch.
    Object {
        /// Its resourceVersion.
        revision: u64,
    },
    /// A bookmark.
    Bookmark {
        /// Its resourceVersion.
        revision: u64,
        /// Whether it ends a streaming list.
        ends_list: bool,
    },
    /// A page was read to its end.
    PageEnd {
        /// resourceVersion of the list.
        revision: u64,
        /// Token of the next page; none on the last one.
        token: Option<String>,
        /// Objects in this page.
        objects: u32,
        /// Bytes of this page.
        bytes: u64,
    },
    /// The stream ended without an error.
    Ended,
    /// The read deadline passed.
    Silent,
    /// Something failed.
    Failed(Trouble),
    /// Somebody needs a new list, read page by page (a reader that may wait).
    Relist,
}

/// How a request or stream failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// 410 in any form: status of a watch or page, or an ERROR event.
    Gone,
    /// 403.
    Refused,
    /// 400 or 422 to a streaming list.
    Unsupported,
    /// 429, 5xx and other answers, with the server's wish.
    Status {
        /// `Retry-After`, if there was one that makes sense.
        retry_after: Option<Duration>,
    },
    /// Connection refused, reset, timed out.
    Transport,
    /// A line that cannot be read, or is too long.
    Garbage,
}

/// What the engine is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// Nothing.
    Nothing,
    /// A list with this number begins.
    ListBegin {
        /// Whether it may take back what was seen.
        consistent: bool,
    },
    /// The object at hand.
    Object,
    /// The list is complete.
    ListEnd,
    /// The server refuses.
    Refused,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// Read on.
    Read,
    /// Make this request; whatever is open is dropped.
    Call(Call),
    /// Drop what is open, wait, then say [`Input::Ready`].
    Wait(Duration),
}

/// The answer to one input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Next {
    /// What the engine is told.
    pub tell: Tell,
    /// What to do.
    pub(crate) then: Then,
}

/// Counters of a source; they only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Lists begun after the first one.
    pub(crate) relists: u64,
    /// Failures of any sort.
    pub(crate) failures: u64,
    /// Events older than what was seen, ignored.
    pub(crate) stale: u64,
    /// Broken lines.
    pub(crate) garbage: u64,
}
