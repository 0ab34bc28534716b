//! What is known of files whose bytes lie behind URLs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::digest::{Digest, Digester};
use crate::core::files::project::RemoteProjection;
use crate::core::object::ObjectKey;
use crate::core::object::remote::{Remote, RemoteFiles};
use crate::core::path::TargetPath;

/// How far a file behind a URL has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RemoteState {
    /// Nobody has answered yet.
    Pending,
    /// The first question found no answer.
    Failed,
    /// The bytes were here.
    Known,
}

/// One file of one object.
struct RemoteClaim {
    path: TargetPath,
    url: Digest,
    ticket: u64,
    state: RemoteState,
    encoded: bool,
}

/// The files behind URLs of all live objects. Few objects have any.
#[derive(Default)]
pub(crate) struct Remotes {
    claims: HashMap<Arc<ObjectKey>, Vec<RemoteClaim>>,
    tickets: u64,
}

impl Remotes {
    /// Replaces what an object wants. Returns what is to be asked for, if that is for anybody to know: a file whose URL is the same
    /// keeps its ticket and what is known of it.
    pub(crate) fn replace(&mut self, key: &Arc<ObjectKey>, wanted: Vec<RemoteProjection>, digester: &Digester) -> Option<RemoteFiles> {
        if wanted.is_empty() && self.claims.is_empty() {
            return None;
        }
        let known = self.claims.remove(key);
        if wanted.is_empty() && known.is_none() {
            return None;
        }
        let known = known.unwrap_or_default();
        let (mut claims, mut files) = (Vec::with_capacity(wanted.len()), Vec::with_capacity(wanted.len()));
        for RemoteProjection { path, url, encoded, .. } in wanted {
            let digest = digester.digest(url.bytes());
            let before = known.iter().find(|claim| claim.path == path && claim.url == digest);
            let (ticket, state) = before.map_or_else(|| (self.next_ticket(), RemoteState::Pending), |claim| (claim.ticket, claim.state));
            files.push(Remote { path: path.clone(), url, ticket });
            claims.push(RemoteClaim { path, url: digest, ticket, state, encoded });
        }
        if !claims.is_empty() {
            self.claims.insert(key.clone(), claims);
        }
        Some(RemoteFiles { key: key.clone(), files })
    }

    /// How far this file has come; nothing if its bytes are in the object itself.
    pub(crate) fn state(&self, path: &TargetPath, key: &ObjectKey) -> Option<RemoteState> {
        if self.claims.is_empty() {
            return None;
        }
        self.claims.get(key)?.iter().find(|claim| claim.path == *path).map(|claim| claim.state)
    }

    /// Notes an answer. Returns whether its bytes would come in base64, or nothing if nobody waits for an answer to that question.
    pub(crate) fn answered(&mut self, key: &ObjectKey, path: &TargetPath, ticket: u64, state: RemoteState) -> Option<bool> {
        let claim = self.claims.get_mut(key)?.iter_mut().find(|claim| claim.path == *path && claim.ticket == ticket)?;
        // What was known once stays known: the file is there.
        if state == RemoteState::Known || claim.state == RemoteState::Pending {
            claim.state = state;
        }
        Some(claim.encoded)
    }

    /// Whether a file of the object has had no answer yet.
    pub(crate) fn awaits(&self, key: &ObjectKey) -> bool {
        self.claims.get(key).is_some_and(|claims| claims.iter().any(|claim| claim.state == RemoteState::Pending))
    }

    /// How many files have had no answer yet.
    pub(crate) fn pending(&self) -> usize {
        self.claims.values().flatten().filter(|claim| claim.state == RemoteState::Pending).count()
    }

    /// Whether the bytes of every file were here.
    pub(crate) fn are_known(&self) -> bool {
        self.claims.values().flatten().all(|claim| claim.state == RemoteState::Known)
    }

    /// Files whose bytes could not be had so far, each with its object. Looks at all.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (&TargetPath, &Arc<ObjectKey>)> {
        let failed = |claim: &&RemoteClaim| claim.state == RemoteState::Failed;
        self.claims.iter().flat_map(move |(key, claims)| claims.iter().filter(failed).map(move |claim| (&claim.path, key)))
    }

    /// Gives back room that only what is gone took.
    pub(super) fn tidy(&mut self) {
        self.claims.shrink_to_fit();
    }

    fn next_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}
