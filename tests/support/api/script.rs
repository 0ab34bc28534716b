//! The test's side of the server: tokens, faults, and the request log.

use std::time::Instant;

use super::ApiServer;
use super::access::{RIG_TOKEN, Rule, User};
use super::fault::{Fault, FaultId, Injection, Matcher, Times};
use super::requests::{Counts, Request};
use super::route::Verb;

impl ApiServer {
    // ---- tokens ----

    /// Gives a token exactly these rights; a new token gets the user name `system:serviceaccount:default:TOKEN`.
    pub fn set_rbac(&self, token: &str, rules: &[Rule]) {
        let name = format!("system:serviceaccount:default:{token}");
        self.shared.state().access.insert(token.to_owned(), User { name, rules: Some(rules.to_vec()) });
    }

    /// Lets a token do everything.
    pub fn allow_all(&self, token: &str) {
        self.shared.state().access.insert(token.to_owned(), User::admin(token));
    }

    /// Makes a token unknown: 401.
    pub fn revoke_token(&self, token: &str) {
        self.shared.state().access.remove(token);
    }

    /// Makes these the only tokens, all-powerful. The rig's own stays.
    pub fn set_tokens(&self, tokens: &[&str]) {
        let mut state = self.shared.state();
        state.access.retain(|token, _| token == RIG_TOKEN);
        state.access.extend(tokens.iter().map(|token| ((*token).to_owned(), User::admin(token))));
    }

    // ---- faults ----

    /// Scripts a fault. Scripts are tried in the order in which they were given; the first that matches strikes.
    pub fn fault(&self, matcher: Matcher, times: Times, fault: Fault) -> FaultId {
        self.shared.state().faults.add(matcher, times, fault)
    }

    /// Ends a script; a `Stale` watch catches up.
    pub fn clear(&self, id: FaultId) {
        self.shared.state().faults.clear(id);
        self.shared.wake();
    }

    /// Ends all scripts.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear_all();
        self.shared.wake();
    }

    /// How many requests a script has hit: a test of a fault that never struck proves nothing.
    pub fn hits(&self, id: FaultId) -> usize {
        self.shared.state().faults.hits(id)
    }

    /// Makes something happen in every matching watch that is open now.
    pub fn inject(&self, matcher: Matcher, injection: Injection) {
        self.shared.state().injections.push((matcher, injection));
        self.shared.wake();
    }

    // ---- the request log ----

    /// Every request since the start or `clear_requests`, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.iter().map(|record| record.view()).collect()
    }

    /// Forgets the requests that are finished; open watches stay in the log.
    pub fn clear_requests(&self) {
        self.shared.state().requests.retain(|record| record.view().open);
    }

    /// The requests by kind.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.requests())
    }

    /// The requests for one resource by kind.
    pub fn counts_of(&self, resource: &str) -> Counts {
        let mut requests = self.requests();
        requests.retain(|request| request.resource == resource);
        Counts::of(&requests)
    }

    /// How many watches of a resource are open.
    pub fn open_watches(&self, resource: &str) -> usize {
        let watches = |request: &&Request| matches!(request.verb, Verb::StreamList | Verb::Watch);
        self.requests().iter().filter(watches).filter(|request| request.open && request.resource == resource).count()
    }

    /// When each connection was accepted, the rig's own included.
    pub fn connections(&self) -> Vec<Instant> {
        self.shared.state().connections.clone()
    }
}
