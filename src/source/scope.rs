//! What one source of the cluster follows, and how it goes on.

use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use tokio::sync::mpsc;

use crate::api::decode::Decoder;
use crate::api::objects;
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, ObjectKey, SourceId};
use crate::core::retry::Retry;
use crate::health::Contact;
use crate::source::Request;
use crate::source::mailbox::Mailbox;

/// One kind in one namespace, or in all; or one object by its name.
#[derive(Clone)]
pub(crate) struct Scope {
    /// Position in the engine's list of sources.
    pub(crate) id: SourceId,
    /// ConfigMaps, Secrets or pods.
    pub(crate) kind: Kind,
    /// The namespace; none for the whole cluster.
    pub(crate) namespace: Option<String>,
    /// Which of them.
    pub(crate) which: ScopeObjects,
    /// FOLDER_ANNOTATION.
    pub(crate) folder_annotation: String,
}

/// Which objects of a kind and namespace.
#[derive(Clone)]
pub(crate) enum ScopeObjects {
    /// The one of this name, whatever its labels.
    Named(String),
    /// Those that carry labels.
    Labelled {
        /// LABEL and LABEL_VALUE.
        selector: Selector,
        /// But these, which have sources of their own: two sources never speak about one object.
        except: Arc<[ObjectKey]>,
    },
    /// Secrets of a type.
    OfType {
        /// The type.
        of_type: String,
        /// Labels that they carry besides.
        selector: Selector,
    },
}

impl Scope {
    /// The name of the only object, where there is one.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.which {
            ScopeObjects::Named(name) => Some(name),
            ScopeObjects::Labelled { .. } | ScopeObjects::OfType { .. } => None,
        }
    }

    /// The namespace, for people.
    pub(crate) fn shown(&self) -> &str {
        self.namespace.as_deref().unwrap_or("ALL")
    }

    /// The rights that it lives on, for people.
    pub(crate) fn rights(&self) -> &'static str {
        match (&self.which, self.kind) {
            (ScopeObjects::OfType { .. }, _) | (_, Kind::Pod) => "the service account needs list and watch (rbac/exec.yaml)",
            (ScopeObjects::Named(_), _) => "the service account needs get and watch for this name (rbac/)",
            (ScopeObjects::Labelled { .. }, _) => "the service account needs get, list and watch (rbac/)",
        }
    }

    /// Builds the requests about its collection.
    pub(crate) fn collection(&self) -> kube::core::Request {
        objects(self.kind, self.namespace.as_deref())
    }

    /// How its objects are read.
    pub(crate) fn reader(&self) -> Decoder {
        Decoder { kind: self.kind, folder_annotation: self.folder_annotation.clone() }
    }

    /// What selects them. RBAC rules with resourceNames admit a list by this field selector.
    pub(crate) fn selection(&self) -> ListParams {
        let all = ListParams::default();
        match &self.which {
            ScopeObjects::Named(name) => all.fields(&format!("metadata.name={name}")),
            ScopeObjects::Labelled { selector, .. } => all.labels(&selector.to_string()),
            ScopeObjects::OfType { of_type, selector } => all.labels(&selector.to_string()).fields(&format!("type={of_type}")),
        }
    }

    /// Whether an object that the server lists here is this source's to tell of.
    pub(crate) fn takes(&self, key: &ObjectKey) -> bool {
        match &self.which {
            ScopeObjects::Named(_) | ScopeObjects::OfType { .. } => true,
            ScopeObjects::Labelled { except, .. } => !except.contains(key),
        }
    }
}

/// What follows a complete list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// A watch, for ever.
    Watch,
    /// Nothing: METHOD=LIST.
    End,
    /// This pause, then the next list: METHOD=SLEEP.
    Sleep(Duration),
}

/// How a source goes on, and for how long it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchOptions {
    /// What follows a complete list.
    pub(crate) after: After,
    /// WATCH_SERVER_TIMEOUT: the server ends a watch after this.
    pub(crate) server_timeout: Duration,
    /// WATCH_CLIENT_TIMEOUT: we do, after this.
    pub(crate) client_timeout: Duration,
    /// Bounds of a single list while the server cannot be reached, or refuses; `None`: it is waited for.
    pub(crate) give_up: Option<Retry>,
    /// Time between two readings of an object that we may read by its name only.
    pub(crate) poll: Duration,
}

/// What connects a source with the rest.
pub(crate) struct Channels {
    /// Where its events go.
    pub(crate) mailbox: Mailbox,
    /// Where the engine asks.
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Where it tells how it is.
    pub(crate) contact: Contact,
}
