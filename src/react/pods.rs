//! REQ_URL with `{pod}` as its host: asks each of the pods that EXEC_LABELS selects, at its own address.
//!
//! A pod that was told is not asked again for the same change; one that is not ready, terminates or went is none of them. It takes the
//! right to list pods, and no other. Never asks at the address of a node, as pods in their node's network have it: what listens there
//! need not be theirs.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use futures::StreamExt as _;
use futures::stream;
use tracing::{debug, warn};

use crate::config::Wording;
use crate::config::exec::AskedPods;
use crate::config::web::{Call, CredentialOrigins};
use crate::core::retry::{Retry, Trouble};
use crate::react::exec::targets::{Target, targets};
use crate::react::http::{self, Failed};
use crate::react::{Fault, Fired, Reaction, Shown};
use crate::source::api::ApiServer;
use crate::web::address::{Secrecy, at_pod, origin, quoted};
use crate::web::error::WebError;
use crate::web::{Client, Reach, Rules};

/// See the module's header.
pub struct Pods {
    call: Call,
    settings: AskedPods,
    api: ApiServer,
    client: Client,
    retry: Retry,
    wording: Wording,
    /// Uids of the pods that are asked no more since something was new: they were told, or it is of no use.
    done: HashSet<String>,
    /// Of others that were asked since then in vain: how often they did not answer.
    unwell: HashMap<String, u32>,
    /// Of what the first one that is asked no more and was not told failed.
    lost: Option<String>,
    /// How many there were the last time, and how many of them in their node's network.
    last: (usize, usize),
    /// Why the last attempt failed.
    failure: String,
}

impl Pods {
    /// A reaction that asks these pods.
    pub fn new(call: Call, settings: AskedPods, api: ApiServer, client: Client, (retry, wording): (Retry, Wording)) -> Self {
        let (done, unwell, failure) = (HashSet::new(), HashMap::new(), String::new());
        Self { call, settings, api, client, retry, wording, done, unwell, lost: None, last: (usize::MAX, 0), failure }
    }

    async fn run(&mut self) -> Result<(), Fault> {
        let all = self.found().await?;
        let left: Vec<(&Target, IpAddr)> = all
            .iter()
            .filter(|target| !self.done.contains(&target.uid))
            .filter_map(|target| target.address.map(|address| (target, address)))
            .collect();
        let asked: Vec<_> = left.into_iter().map(async |(target, address)| (target, self.ask_at(address).await)).collect();
        let ends: Vec<(&Target, Result<(), Failed>)> = stream::iter(asked).buffer_unordered(self.settings.concurrency).collect().await;
        let mut failed: Vec<(&Target, Fault)> = Vec::new();
        for (target, end) in ends {
            let Err(fault) = end.map_err(|failed| failed.fault(&self.client)) else {
                debug!(pod = target.pod, "the pod was told");
                self.done.insert(target.uid.clone());
                continue;
            };
            if self.is_lost(target, &fault) {
                self.done.insert(target.uid.clone());
                self.lost.get_or_insert_with(|| format!("{}: {}", target.pod, fault.why()));
            } else {
                failed.push((target, fault));
            }
        }
        let count = failed.len();
        let Some((first, fault)) = failed.first() else {
            return self.lost.take().map_or(Ok(()), |why| Err(Fault::Permanent(why)));
        };
        let why = format!("in {count} of {} pods, {}: {}", all.len(), first.pod, fault.why());
        Err(failed.iter().skip(1).fold(fault.clone(), |one, (_, other)| one.and(other)).because(why))
    }

    /// Whether it is of no use to ask this pod again for what there is to tell.
    fn is_lost(&mut self, Target { uid, pod, .. }: &Target, fault: &Fault) -> bool {
        if self.unwell.contains_key(uid) {
            debug!(%pod, why = fault.why(), "the pod was not told");
        } else {
            warn!(%pod, why = fault.why(), "the pod was not told");
        }
        let unanswered = self.unwell.entry(uid.clone()).or_default();
        *unanswered += u32::from(matches!(fault, Fault::Unanswered(_)));
        matches!(fault, Fault::Permanent(_)) || *unanswered > self.retry.read
    }

    /// The pods to ask now.
    async fn found(&mut self) -> Result<Vec<Target>, Fault> {
        let AskedPods { labels, namespace, .. } = &self.settings;
        let (mut found, skipped) = targets(&self.api, (&self.settings).into()).await.map_err(|failure| {
            let why = match failure.code() {
                Some(403) => format!("not permitted: list pods in namespace {namespace} (see rbac/pods.yaml)"),
                _ => format!("listing pods: {failure}"),
            };
            Fault::Transient { trouble: Trouble::Later, wish: failure.retry_after(), why }
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

    async fn ask_at(&self, address: IpAddr) -> Result<(), Failed> {
        let (url, credentials) = self.addressed(address).map_err(Failed::early)?;
        let rules = Rules { reach: Reach::Pod { address, name: self.settings.server_name.clone() }, credentials };
        http::ask(&self.client, &self.call, &url, &rules, self.wording).await
    }

    /// The URL of the pod that has this address, and that it gets our credentials.
    fn addressed(&self, address: IpAddr) -> Result<(String, CredentialOrigins), WebError> {
        let url = at_pod(&self.call.url.0, address, self.settings.server_name.as_deref())?;
        let credentials = CredentialOrigins::Only(origin(&url).into_iter().collect());
        Ok((url, credentials))
    }
}

impl Reaction for Pods {
    fn name(&self) -> &'static str {
        "request"
    }

    fn skips_initial(&self) -> bool {
        self.call.skips_initial
    }

    fn is_remembered(&self) -> bool {
        true
    }

    fn credentials(&mut self) -> Shown<'_> {
        Box::pin(async {
            // Each of them is shown the same.
            let (url, origins) = self.addressed(Ipv4Addr::UNSPECIFIED.into()).ok()?;
            self.client.credentials_shown(&url, &origins).await
        })
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn exhausted(&self) -> String {
        match self.wording {
            Wording::Own => "not every pod was told, trying again later".to_owned(),
            Wording::Sidecar => {
                format!("Max retries exceeded for URL {}: {}", quoted(&self.call.url.0, Secrecy::Open), self.failure)
            }
        }
    }

    fn renew(&mut self) {
        self.done.clear();
        self.unwell.clear();
        self.lost = None;
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        Box::pin(async {
            let fired = self.run().await;
            self.failure = fired.as_ref().err().map(|fault| fault.why().to_owned()).unwrap_or_default();
            fired
        })
    }
}
