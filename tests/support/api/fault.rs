//! Scripted faults: which requests they hit, how often, and what goes wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::route::{Asked, Verb};

/// Which requests a fault hits. Without verbs and resource: every one (but never the rig's own).
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    verbs: Vec<Verb>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    page: Option<usize>,
    query: Option<String>,
    token: Option<String>,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of these kinds for one resource; an empty resource means any.
    pub fn verbs(verbs: &[Verb], resource: &str) -> Self {
        let resource = Some(resource.to_owned()).filter(|resource| !resource.is_empty());
        Self { verbs: verbs.to_vec(), resource, ..Self::default() }
    }

    /// Everything that is asked of one resource.
    pub fn resource(resource: &str) -> Self {
        Self::verbs(&[], resource)
    }

    /// Reads of one object.
    pub fn get(resource: &str) -> Self {
        Self::verbs(&[Verb::Get], resource)
    }

    /// Lists, each page by itself.
    pub fn list(resource: &str) -> Self {
        Self::verbs(&[Verb::List], resource)
    }

    /// Streaming lists (`sendInitialEvents=true`).
    pub fn stream_list(resource: &str) -> Self {
        Self::verbs(&[Verb::StreamList], resource)
    }

    /// Watches that are no streaming lists.
    pub fn watch(resource: &str) -> Self {
        Self::verbs(&[Verb::Watch], resource)
    }

    /// Watches of both kinds.
    pub fn any_watch(resource: &str) -> Self {
        Self::verbs(&[Verb::StreamList, Verb::Watch], resource)
    }

    /// Lists and watches of all kinds.
    pub fn reads(resource: &str) -> Self {
        Self::verbs(&[Verb::List, Verb::StreamList, Verb::Watch], resource)
    }

    /// Creations.
    pub fn create(resource: &str) -> Self {
        Self::verbs(&[Verb::Create], resource)
    }

    /// Commands in pods.
    pub fn exec() -> Self {
        Self::verbs(&[Verb::Exec], "pods")
    }

    /// Patches.
    pub fn patch(resource: &str) -> Self {
        Self::verbs(&[Verb::Patch], resource)
    }

    /// Only this page of a list, from 1.
    pub fn page(self, page: usize) -> Self {
        Self { page: Some(page), ..self }
    }

    /// Only this namespace.
    pub fn namespace(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    /// Only the object of this name.
    pub fn name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Only requests with this parameter: `resourceVersion=0`.
    pub fn query(self, parameter: &str) -> Self {
        Self { query: Some(parameter.to_owned()), ..self }
    }

    /// Only requests with this bearer token.
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Whether a request is meant.
    pub fn matches(&self, asked: &Asked, token: &str) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        let parameter = |wanted: &str| asked.parameters.iter().any(|(name, value)| format!("{name}={value}") == wanted);
        (self.verbs.is_empty() || self.verbs.contains(&asked.verb))
            && fits(&self.resource, Some(asked.plural()))
            && fits(&self.namespace, asked.namespace.as_deref())
            && fits(&self.name, asked.name.as_deref())
            && fits(&self.token, Some(token))
            && self.page.is_none_or(|page| page == asked.page)
            && self.query.as_deref().is_none_or(parameter)
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Times {
    /// The first matching request.
    Once,
    /// The first so many.
    N(usize),
    /// All, until cleared.
    Always,
}

/// What happens in a watch, at its start or while it is open.
#[derive(Clone, Debug)]
pub enum Injection {
    /// An ERROR event with this Status code (410: `Expired`), then the end.
    Error(u16),
    /// A clean end.
    Close,
    /// Half a line, then the connection breaks.
    Cut,
    /// Half a line, then a clean end.
    HalfLine,
    /// These bytes and a line feed, in between; the watch goes on.
    Line(Vec<u8>),
    /// One well-formed ADDED event of about this many bytes.
    HugeLine(usize),
    /// An event that never happened, or happened before.
    Event(&'static str, Value),
    /// Nothing for a while; then all that was missed.
    Stall(Duration),
    /// Nothing ever again, bookmarks included; the connection stays.
    Silence,
}

/// Events that a watch loses.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// Only events of this type: `DELETED`.
    pub kind: Option<&'static str>,
    /// Only events of the object of this name.
    pub name: Option<String>,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer instead; without a body the Status object that belongs to the code.
    Status {
        /// HTTP status.
        code: u16,
        /// Headers, such as `Retry-After`.
        headers: Vec<(&'static str, String)>,
        /// Body, if not a Status object.
        body: Option<Vec<u8>>,
    },
    /// HTTP status 410.
    HttpGone,
    /// HTTP status 410 as for a continue token that is too old.
    ContinueGone,
    /// 422 on `sendInitialEvents`, as a server without streaming lists says it.
    RejectSendInitialEvents,
    /// 200, but a plain watch: no initial events, no end bookmark.
    IgnoreSendInitialEvents,
    /// A streaming list whose end bookmark never comes; otherwise it goes on.
    NoEndBookmark,
    /// The connection breaks without an answer.
    Reset,
    /// Accepted, never answered.
    Hang,
    /// Status and headers, then nothing.
    StallHeaders,
    /// The answer byte by byte, at this interval.
    Trickle(Duration),
    /// The answer after this time; further faults apply then.
    Delay(Duration),
    /// The body ends cleanly after so many bytes.
    CloseAfterBytes(usize),
    /// The connection breaks after so many bytes of body.
    CutAfterBytes(usize),
    /// This happens in the watch after so many events (0: at once).
    AfterEvents(usize, Injection),
    /// The watch loses these events.
    Lose(Loss),
    /// The watch sends every event twice.
    Duplicate,
    /// The watch sends events in groups of so many, backwards.
    Reorder(usize),
    /// After each change the watch sends the version before it once more.
    ReplayOld,
    /// A stale cache: lists and watches see nothing newer than this resourceVersion until the fault is cleared.
    Stale(u64),
}

impl Fault {
    /// An answer with this status.
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new(), body: None }
    }

    /// An answer with this status and Retry-After, which may be garbage.
    pub fn retry_after(code: u16, after: &str) -> Self {
        Self::Status { code, headers: vec![("Retry-After", after.to_owned())], body: None }
    }

    /// ERROR 410 in the stream, at once.
    pub fn gone_in_stream() -> Self {
        Self::AfterEvents(0, Injection::Error(410))
    }

    /// A clean end after so many events.
    pub fn close_after(events: usize) -> Self {
        Self::AfterEvents(events, Injection::Close)
    }

    /// A broken connection, half a line sent, after so many events.
    pub fn cut_after(events: usize) -> Self {
        Self::AfterEvents(events, Injection::Cut)
    }

    /// Bytes that are no event, at once.
    pub fn raw_line(bytes: impl Into<Vec<u8>>) -> Self {
        Self::AfterEvents(0, Injection::Line(bytes.into()))
    }
}

/// Names a script, for clearing and counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultId(pub(super) usize);

/// A fault with its matcher and what is left of it.
pub struct Script {
    id: FaultId,
    matcher: Matcher,
    fault: Fault,
    left: Option<usize>,
    hits: usize,
    cleared: bool,
}

/// All scripts, in the order in which they were given.
#[derive(Default)]
pub struct Faults(Vec<Script>);

impl Faults {
    /// Adds a script.
    pub fn add(&mut self, matcher: Matcher, times: Times, fault: Fault) -> FaultId {
        let id = FaultId(self.0.len());
        let left = match times {
            Times::Once => Some(1),
            Times::N(times) => Some(times),
            Times::Always => None,
        };
        self.0.push(Script { id, matcher, fault, left, hits: 0, cleared: false });
        id
    }

    /// The faults that this request meets: delays, and the first that is none.
    pub fn strike(&mut self, asked: &Asked, token: &str) -> Vec<(FaultId, Fault)> {
        let mut struck = Vec::new();
        for script in &mut self.0 {
            if script.cleared || script.left == Some(0) || !script.matcher.matches(asked, token) {
                continue;
            }
            script.left = script.left.map(|left| left - 1);
            script.hits += 1;
            struck.push((script.id, script.fault.clone()));
            if !matches!(script.fault, Fault::Delay(_)) {
                break;
            }
        }
        struck
    }

    /// Ends a script; what it did to open watches ends as well where it can.
    pub fn clear(&mut self, id: FaultId) {
        if let Some(script) = self.0.get_mut(id.0) {
            script.cleared = true;
        }
    }

    /// Ends all scripts.
    pub fn clear_all(&mut self) {
        self.0.iter_mut().for_each(|script| script.cleared = true);
    }

    /// Whether a script was not cleared yet.
    pub fn is_active(&self, id: FaultId) -> bool {
        self.0.get(id.0).is_some_and(|script| !script.cleared)
    }

    /// How many requests a script has hit.
    pub fn hits(&self, id: FaultId) -> usize {
        self.0.get(id.0).map_or(0, |script| script.hits)
    }
}

/// A well-formed event of about `size` bytes.
pub fn huge_event(kind: &str, size: usize) -> String {
    let metadata = json!({"name": "huge", "namespace": "default", "uid": "0", "resourceVersion": "1"});
    let start = format!(r#"{{"type":"ADDED","object":{{"kind":"{kind}","apiVersion":"v1","metadata":{metadata},"data":{{"huge":""#);
    format!("{start}{}\"}}}}}}\n", "x".repeat(size))
}
