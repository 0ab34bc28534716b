//! REQ_URL with `{pod}` as its host: asks each of the pods that EXEC_LABELS selects, at its own address.
//!
//! A pod that was told is not asked again for the same change; one that is not ready, terminates or went is none of them. It takes the
//! right to list pods, and no other. Never asks at the address of a node, as pods in their node's network have it: what listens there
//! need not be theirs.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::api::ApiServer;
use crate::config::read::exec::AskedPods;
use crate::core::discretion::Since;
use crate::core::retry::{Retry, RetryReason};
use crate::core::tell::pace::{FaultKind, Fingerprint, Pace};
use crate::tell::exec::targets::{Failures, PodTarget, in_pods, targets};
use crate::tell::http::{self, Asker, FailedAsk};
use crate::tell::words::warn_once;
use crate::tell::{Fault, Fired, Reaction};
use crate::web::address::at_pod;
use crate::web::error::WebError;
use crate::web::{Reach, Terms};

/// See the module's header.
pub(crate) struct AskPods {
    asker: Asker,
    settings: AskedPods,
    api: ApiServer,
    retry: Retry,
    round: Round,
    /// Those that refused who we are, and when each of them is asked again.
    refusing: HashMap<String, Pace>,
    began: Instant,
    /// How many there were the last time, and how many of them in their node's network.
    last: (usize, usize),
    /// Why the last attempt failed.
    failure: String,
}

/// What is known of the pods since something was new to tell.
#[derive(Default)]
struct Round {
    /// What was known before the first attempt.
    first: Option<Since>,
    /// Uids of the pods that are asked no more: they were told, or it is of no use.
    done: HashSet<String>,
    /// Of others that were asked in vain.
    unwell: HashMap<String, Unwell>,
    /// Of what the first one that is asked no more and was not told failed.
    lost: Option<String>,
}

/// A pod that was asked in vain.
#[derive(Default)]
struct Unwell {
    /// How often it did not answer.
    unanswered: u32,
    /// Why it was not told the last time, and what it said.
    told: (String, String),
}

impl AskPods {
    /// A reaction that asks these pods.
    pub(crate) fn new(asker: Asker, settings: AskedPods, api: ApiServer, retry: Retry) -> Self {
        Self {
            asker,
            settings,
            api,
            retry,
            round: Round::default(),
            refusing: HashMap::new(),
            began: Instant::now(),
            last: (usize::MAX, 0),
            failure: String::new(),
        }
    }

    async fn run(&mut self) -> Result<(), Fault> {
        let since = self.asker.listener.begins();
        let first = *self.round.first.get_or_insert(since);
        let all = self.found().await?;
        let (shown, now) = (self.credentials().await, self.began.elapsed());
        let mut refusing = self.spared(&all, shown, now);
        let left = all.iter().filter(|target| !self.round.done.contains(&target.uid) && !refusing.contains(&target.uid));
        let left: Vec<(&PodTarget, IpAddr)> = left.filter_map(|target| target.address.map(|address| (target, address))).collect();
        let asked: Vec<_> = left.into_iter().map(async |(target, address)| (target, self.ask_at(address, since).await)).collect();
        let ends: Vec<(&PodTarget, Result<(), FailedAsk>)> =
            stream::iter(asked).buffer_unordered(self.settings.concurrency).collect().await;
        let (mut failed, mut was_shown) = (Failures::default(), false);
        for (target, end) in ends {
            let Some(fault) = self.judge(target, end) else { continue };
            if let FaultKind::Refused { credentials: Some(_), .. } = fault.kind {
                was_shown = true;
                refusing.insert(target.uid.clone());
                self.refusing.entry(target.uid.clone()).or_default().failed(fault.kind, now, &self.retry);
            } else {
                failed.add(&target.pod, fault);
            }
        }
        if let Some(fault) = failed.fault(refusing.len(), all.len()) {
            return Err(fault);
        }
        if let Some(one) = all.iter().find(|target| refusing.contains(&target.uid)) {
            let why = self.round.unwell.get(&one.uid).map_or("our credentials were refused before", |unwell| &unwell.told.0);
            let why = in_pods(refusing.len(), all.len(), &one.pod, why);
            let kind = match shown {
                Some(credentials) => FaultKind::Spared { credentials, shown: was_shown },
                None => FaultKind::Refused { credentials: None, wish: None },
            };
            return Err(Fault::new(kind, why));
        }
        if let Some(why) = self.round.lost.take() {
            return Err(Fault::new(FaultKind::Permanent, why));
        }
        // Some may have been told before others.
        self.asker.listener.told(first);
        Ok(())
    }

    /// Those of these pods that are not told yet, and are not to be shown again now what they refused.
    fn spared(&mut self, all: &[PodTarget], shown: Option<Fingerprint>, now: Duration) -> HashSet<String> {
        self.refusing.retain(|uid, _| all.iter().any(|target| target.uid == *uid));
        let spared = self.refusing.iter_mut().filter_map(|(uid, pace)| {
            pace.would_show(shown, now);
            (!self.round.done.contains(uid) && (pace.due() > now || !pace.may_show(shown, now))).then(|| uid.clone())
        });
        spared.collect()
    }

    /// Notes what became of asking a pod; nothing where it is not to be asked again for this.
    fn judge(&mut self, target: &PodTarget, end: Result<(), FailedAsk>) -> Option<Fault> {
        let Err(failure) = end else {
            debug!(pod = target.pod, "the pod was told");
            self.round.done.insert(target.uid.clone());
            self.refusing.remove(&target.uid);
            return None;
        };
        let fault = self.asker.fault(&failure);
        if self.is_lost(target, &fault, failure.answer) {
            self.round.done.insert(target.uid.clone());
            self.round.lost.get_or_insert_with(|| format!("{}: {}", target.pod, fault.why));
            return None;
        }
        Some(fault)
    }

    /// Whether it is of no use to ask this pod again for what there is to tell.
    fn is_lost(&mut self, PodTarget { uid, pod, .. }: &PodTarget, fault: &Fault, answer: String) -> bool {
        let (why, unwell) = (&fault.why, self.round.unwell.entry(uid.clone()).or_default());
        let told = (why.clone(), answer);
        warn_once!(unwell.told != told, %pod, why, answer = told.1, "the pod was not told");
        unwell.told = told;
        unwell.unanswered += u32::from(fault.kind == FaultKind::Unanswered);
        fault.kind == FaultKind::Permanent || unwell.unanswered > self.retry.read
    }

    /// The pods to ask now.
    async fn found(&mut self) -> Result<Vec<PodTarget>, Fault> {
        let AskedPods { labels, namespace, .. } = &self.settings;
        let (mut found, skipped) = targets(&self.api, (&self.settings).into()).await.map_err(|failure| {
            let why = match failure.code() {
                Some(403) => format!("not permitted: list pods in namespace {namespace} (see rbac/pods.yaml)"),
                _ => format!("listing pods: {failure}"),
            };
            Fault::new(FaultKind::Trouble(RetryReason::Later, failure.retry_after()), why)
        })?;
        let all = found.len();
        found.retain(|target| target.address.is_some());
        let now = (found.len(), all - found.len());
        let before = std::mem::replace(&mut self.last, now);
        if now.1 > 0 && now.1 != before.1 {
            warn!(%labels, %namespace, pods = now.1, "pods without an address of their own (hostNetwork) are not asked");
        }
        if now.0 == 0 && before.0 > 0 {
            warn!(%labels, %namespace, skipped, "there is no pod to ask");
        }
        Ok(found)
    }

    async fn ask_at(&self, address: IpAddr, since: Since) -> Result<(), FailedAsk> {
        let url = self.addressed(address).map_err(|error| FailedAsk::unasked(&self.asker.call.url.0, error))?;
        let rules = Terms { reach: Reach::Pod { address, name: self.settings.server_name.clone() }, credentials: http::only(&url) };
        self.asker.ask(&url, &rules, since).await
    }

    /// The URL of the pod that has this address.
    fn addressed(&self, address: IpAddr) -> Result<String, WebError> {
        at_pod(&self.asker.call.url.0, address, self.settings.server_name.as_deref())
    }
}

impl Reaction for AskPods {
    fn name(&self) -> &'static str {
        "request"
    }

    fn skips_initial(&self) -> bool {
        self.asker.call.skips_initial
    }

    fn is_remembered(&self) -> bool {
        true
    }

    fn credentials(&mut self) -> BoxFuture<'_, Option<Fingerprint>> {
        Box::pin(async {
            // Each of them is shown the same.
            let url = self.addressed(Ipv4Addr::UNSPECIFIED.into()).ok()?;
            self.asker.client.credentials_shown(&url, &http::only(&url)).await
        })
    }

    fn spares_credentials(&self) -> bool {
        !self.refusing.is_empty()
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn exhausted(&self) -> String {
        self.asker.exhausted("not every pod was told, trying again later", &self.failure)
    }

    fn renew(&mut self) {
        self.round = Round::default();
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        Box::pin(async {
            let fired = self.run().await;
            self.failure = fired.as_ref().err().map(|fault| fault.why.clone()).unwrap_or_default();
            fired
        })
    }
}
