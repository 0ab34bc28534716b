//! From the configuration to running sources, and the way back by which the engine asks them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use crate::api::ApiServer;
use crate::app::followed::{Followed, followed, manifest_rules, written};
use crate::aside;
use crate::config::{Config, Method, ObjectSource};
use crate::core::discretion::Discretion;
use crate::core::files::store::Store;
use crate::core::object::{ObjectKey, SourceId, Wanted};
use crate::engine::outcome::Outcome;
use crate::health::{Contact, Health, WatchName};
use crate::metrics::Metrics;
use crate::source::Request;
use crate::source::cluster::ClusterSource;
use crate::source::downloads::{self, DownloadRequest, Downloader};
use crate::source::fetch::Fetcher;
use crate::source::mailbox::Mailbox;
use crate::source::manifests;
use crate::source::manifests::places::{self, Overlap};
use crate::source::scope::{After, Channels, Scope, ScopeObjects, WatchOptions};
use crate::web::Client;

/// Requests that may wait for a source; the engine repeats what does not fit.
const REQUESTS: usize = 256;
/// Manifests are looked at this often without being told by inotify.
const RESCAN: Duration = Duration::from_secs(60);

/// Running sources; none at first.
#[derive(Default)]
pub(crate) struct Sources {
    relist: Vec<(SourceId, mpsc::Sender<Request>)>,
    fetch: Fetch,
    /// Where files behind URLs are ordered, if keys name any.
    orders: Option<mpsc::UnboundedSender<DownloadRequest>>,
    /// Tells when the manifests have come to lie where files are written.
    misplaced: Option<oneshot::Receiver<String>>,
    /// What the folder of manifests holds, where one is read.
    found: Option<watch::Receiver<manifests::Tally>>,
    tasks: JoinSet<Result<(), String>>,
    /// What went wrong with those that have ended.
    failures: Vec<String>,
    /// What lives as long as the sources are wanted.
    helpers: JoinSet<()>,
    /// Where each source of a cluster is told of, and how many objects were told last.
    contacts: Vec<(SourceId, Contact, usize)>,
}

/// What has ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// A source, as it should where it lists once.
    Source,
    /// That of manifests, which have come to lie where files are written: what to say then.
    Misplaced(String),
    /// A task that reads objects or URLs, as none should.
    Helper,
}

#[derive(Default)]
enum Fetch {
    Cluster(mpsc::Sender<Wanted>),
    #[default]
    Manifests,
}

/// Looks whether the manifests, if any are read, are apart from what is written.
///
/// # Errors
/// The first setting that overlaps with SOURCE.
pub(crate) async fn apart(config: &Config) -> Result<(), Overlap> {
    let ObjectSource::Manifests(path) = &config.source else { return Ok(()) };
    let (path, written) = (path.clone(), written(config));
    // A look that died found nothing.
    aside::spawn(move || places::check(&path, &written)).await.unwrap_or(Ok(()))
}

/// How often manifests are looked at without being told by inotify. Each look is a contact, and HEALTH_STALE_AFTER wants one sooner
/// than that, also where nothing changes.
fn rescan(method: Method, stale_after: Option<Duration>) -> Duration {
    let rescan = match method {
        Method::Sleep(pause) => pause,
        Method::Watch | Method::List => RESCAN,
    };
    stale_after.map_or(rescan, |limit| rescan.min(limit / 2))
}

/// How a source is watched for ever.
pub(crate) fn watch_options(config: &Config) -> WatchOptions {
    WatchOptions {
        after: After::Watch,
        server_timeout: config.watch_server_timeout,
        client_timeout: config.watch_client_timeout,
        give_up: None,
        poll: config.poll,
    }
}

impl Sources {
    /// Starts every source, as METHOD says or as if it said something else.
    pub(crate) fn start(config: &Config, api: Option<ApiServer>, mailbox: &Mailbox, health: &Health, method: Method) -> Self {
        match (&config.source, api) {
            (ObjectSource::Cluster { .. }, Some(api)) => Self::cluster(config, &api, mailbox, health, method),
            (ObjectSource::Manifests(folder), _) => Self::manifests(config, folder.clone(), mailbox, health, method),
            (ObjectSource::Cluster { .. }, None) => Self::default(),
        }
    }

    /// From now on what keys name by their URLs is fetched too.
    #[must_use]
    pub(crate) fn with_downloads(
        mut self,
        config: &Config,
        client: Client,
        mailbox: &Mailbox,
        (discretion, metrics): (Discretion, Metrics),
    ) -> Self {
        let downloader = Downloader {
            client,
            settings: config.downloads.clone(),
            retry: config.web.retry,
            wording: config.wording,
            mailbox: mailbox.clone(),
            discretion,
            metrics,
        };
        let (orders, wanted) = mpsc::unbounded_channel();
        self.helpers.spawn(downloads::download(downloader, wanted).boxed());
        self.orders = Some(orders);
        self
    }

    /// From now on it is said what would be fetched.
    #[must_use]
    pub(crate) fn with_would_be_downloads(mut self, mailbox: &Mailbox) -> Self {
        let (orders, wanted) = mpsc::unbounded_channel();
        self.helpers.spawn(downloads::would_download(mailbox.clone(), wanted).boxed());
        self.orders = Some(orders);
        self
    }

    /// Orders what lies behind URLs.
    pub(crate) fn order(&self, outcome: &Outcome) {
        let Some(orders) = &self.orders else { return };
        let again = outcome.ask.iter().map(|(key, path)| DownloadRequest::Again { key: key.clone(), path: path.clone() });
        for order in outcome.remotes.iter().cloned().map(DownloadRequest::Files).chain(again) {
            // Whoever takes orders lives as long as we do.
            let _ = orders.send(order);
        }
    }

    fn cluster(config: &Config, api: &ApiServer, mailbox: &Mailbox, health: &Health, method: Method) -> Self {
        let after = match method {
            Method::List => After::End,
            Method::Watch => After::Watch,
            Method::Sleep(pause) => After::Sleep(pause),
        };
        let (mut relist, mut tasks, mut scopes) = (Vec::new(), JoinSet::new(), Vec::new());
        let except: Arc<[ObjectKey]> = config.objects.as_slice().into();
        for (id, Followed { kind, namespace, name }) in (0..).zip(followed(config)) {
            let contact = health.watch(WatchName { kind: Some(kind), namespace: namespace.clone(), name: name.clone() });
            let which = match (name, &config.selector) {
                (Some(name), _) => ScopeObjects::Named(name),
                (None, Some(selector)) => ScopeObjects::Labelled { selector: selector.clone(), except: except.clone() },
                // Nothing is followed by labels then.
                (None, None) => continue,
            };
            let scope = Scope { id: SourceId(id), kind, namespace, which, folder_annotation: config.files.folder_annotation.clone() };
            scopes.push((scope.clone(), contact.clone()));
            let (sender, requests) = mpsc::channel(4);
            relist.push((SourceId(id), sender));
            let source = ClusterSource::new(
                api.clone(),
                scope,
                WatchOptions { after, give_up: config.list_retry, ..watch_options(config) },
                Channels { mailbox: mailbox.clone(), requests, contact },
            );
            tasks.spawn(source.run().boxed());
        }
        let (fetch, wanted) = mpsc::channel(REQUESTS);
        let contacts = scopes.iter().map(|(scope, contact)| (scope.id, contact.clone(), 0)).collect();
        let mut sources = Self { relist, fetch: Fetch::Cluster(fetch), tasks, contacts, ..Self::default() };
        sources.helpers.spawn(Fetcher::new(api.clone(), scopes, mailbox.clone()).run(wanted).boxed());
        sources
    }

    fn manifests(config: &Config, folder: std::path::PathBuf, mailbox: &Mailbox, health: &Health, method: Method) -> Self {
        let rules = manifest_rules(config);
        let stale_after = config.health.as_ref().and_then(|health| health.stale_after);
        let rescan = rescan(config.method, stale_after);
        let mode = manifests::Cadence { once: method == Method::List, rescan, settle: config.source_settle };
        let contact = health.watch(WatchName { kind: None, namespace: None, name: None });
        let (sender, requests) = mpsc::channel(REQUESTS);
        let mailbox = mailbox.clone();
        let (tally, found) = watch::channel(manifests::Tally::default());
        let given = manifests::ManifestOptions { path: folder, rules, written: written(config), tally };
        let (tell, misplaced) = oneshot::channel();
        let mut tasks = JoinSet::new();
        let source = async move {
            let ended = manifests::run(given, mode, mailbox, requests, contact).await;
            if let Err(manifests::ManifestsError::Overlap(overlap)) = &ended {
                // Whoever only looks does not ask.
                let _ = tell.send(overlap.to_string());
            }
            ended.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        };
        tasks.spawn(source.boxed());
        Self { relist: vec![(SourceId(0), sender)], misplaced: Some(misplaced), found: Some(found), tasks, ..Self::default() }
    }

    /// Asks for objects again, or for the lists of those sources of which they are too many. What does not fit now is asked for later
    /// again.
    pub(crate) fn fetch(&self, wanted: impl Iterator<Item = Wanted>) {
        let mut by_source: BTreeMap<SourceId, Vec<Wanted>> = BTreeMap::new();
        wanted.for_each(|one| by_source.entry(one.source).or_default().push(one));
        for (source, wanted) in by_source {
            let relist = self.relist.iter().find(|(id, _)| *id == source).map(|(_, sender)| sender);
            if wanted.len() > crate::engine::FETCH_MAX {
                let _ = relist.map(|sender| sender.try_send(Request::Relist(source)).is_ok());
                continue;
            }
            for one in wanted {
                let _ = match (&self.fetch, relist) {
                    (Fetch::Cluster(sender), _) => sender.try_send(one).is_ok(),
                    (Fetch::Manifests, Some(sender)) => sender.try_send(Request::Fetch(one.key)).is_ok(),
                    (Fetch::Manifests, None) => false,
                };
            }
        }
    }

    /// Tells how many live objects each source lists.
    pub(crate) fn count(&mut self, store: &Store) {
        for (id, contact, told) in &mut self.contacts {
            let count = store.live_of(*id);
            if std::mem::replace(told, count) != count {
                contact.objects(count);
            }
        }
    }

    /// Whether every source has ended.
    pub(crate) fn all_ended(&mut self) -> bool {
        while let Some(ended) = self.tasks.try_join_next() {
            self.note(ended);
        }
        self.tasks.is_empty()
    }

    /// Resolves when a source has ended, or something that works for them.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn ended(&mut self) -> End {
        tokio::select! {
            Some(ended) = self.tasks.join_next() => {
                self.note(ended);
                // It was told before the end.
                let misplaced = self.misplaced.as_mut().and_then(|told| told.try_recv().ok());
                misplaced.map_or(End::Source, End::Misplaced)
            }
            Some(_) = self.helpers.join_next() => End::Helper,
            else => std::future::pending().await,
        }
    }

    /// Tells that everything that was found is on disk.
    pub(crate) fn in_sync(&self, objects: usize, files: usize) {
        match self.found.as_ref().map(|found| *found.borrow()) {
            None => tracing::info!(objects, files, "in sync"),
            Some(manifests::Tally { manifests, not_taken }) => tracing::info!(manifests, objects, not_taken, files, "in sync"),
        }
    }

    fn note(&mut self, ended: Result<Result<(), String>, JoinError>) {
        self.failures.extend(ended.unwrap_or_else(|error| Err(error.to_string())).err());
    }

    /// Waits for the ends and tells what went wrong.
    pub(crate) async fn failures(&mut self) -> Vec<String> {
        while let Some(ended) = self.tasks.join_next().await {
            self.note(ended);
        }
        std::mem::take(&mut self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s13_the_end_of_sources_and_of_what_works_for_them_is_told() {
        let mut sources = Sources::default();
        sources.tasks.spawn(async { Err("why".to_owned()) });
        sources.tasks.spawn(async { Ok(()) });
        assert_eq!((sources.ended().await, sources.ended().await), (End::Source, End::Source));
        assert!(sources.all_ended());
        assert_eq!(sources.failures().await, ["why"]);
        sources.helpers.spawn(async {});
        assert_eq!(sources.ended().await, End::Helper);
    }

    #[tokio::test]
    async fn s13_failures_are_kept_however_the_end_of_their_source_was_noticed() {
        let mut sources = Sources::default();
        sources.tasks.spawn(async { Err("why".to_owned()) });
        while !sources.all_ended() {
            tokio::task::yield_now().await;
        }
        assert_eq!(sources.failures().await, ["why"]);
    }

    #[test]
    fn m6_manifests_are_looked_at_twice_as_often_as_contact_is_wanted() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        for (method, stale_after, expected) in [
            (Method::Watch, None, minute),
            (Method::Watch, Some(minute), minute / 2),
            (Method::Watch, Some(hour), minute),
            (Method::Sleep(hour), None, hour),
            (Method::Sleep(hour), Some(minute), minute / 2),
        ] {
            assert_eq!(rescan(method, stale_after), expected, "{method:?} {stale_after:?}");
        }
    }
}
