//! What the application is told of besides its files: watches of pods and Secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::ApiServer;
use crate::app::Tasks;
use crate::app::sources;
use crate::app::told::{self, Keeper};
use crate::config::Config;
use crate::config::read::exec::ExecSettings;
use crate::config::read::triggers::SecretTrigger;
use crate::core::backoff::random;
use crate::core::object::{Kind, ObjectKey, SourceId};
use crate::core::tell::cause::Cause;
use crate::core::tell::trigger::{News, Watched};
use crate::health::{Health, Readiness, WatchName};
use crate::source::Request;
use crate::source::cluster::ClusterSource;
use crate::source::mailbox::Mailbox;
use crate::source::scope::{Channels, Scope, ScopeObjects};
use crate::tell::runner::Runner;
use crate::tell::runner::occasions::Occasions;

/// What a run after the start is named by.
const START: &str = "the start";

/// From watches to the runner.
struct Follower {
    watched: Watched,
    mailbox: Mailbox,
    /// Where each source is asked for its list.
    relist: BTreeMap<SourceId, mpsc::Sender<Request>>,
    pods_delay: Duration,
    secrets_delay: Duration,
    occasions: Occasions,
    /// Whose readiness waits for the first lists.
    health: Option<Health>,
    exec: ExecSettings,
    /// Whether the first lists lead to a run.
    on_start: bool,
    /// What was told outlives us.
    keeper: Option<Keeper>,
    /// Nothing runs: what would is said.
    dry: bool,
}

/// Starts the watches that are asked for. They go on whatever METHOD says.
pub(crate) fn start(config: &Config, api: &ApiServer, runner: &Runner, health: &Health, tasks: &mut Tasks) {
    let Some(exec) = &config.exec else { return };
    let (pods, secrets) = (&config.triggers.pods, &config.triggers.secrets);
    let scope = |id, kind, which| Scope {
        id: SourceId(id),
        kind,
        namespace: Some(exec.namespace.clone()),
        which,
        folder_annotation: String::new(),
    };
    let pods_scope =
        pods.as_ref().map(|pods| scope(0, Kind::Pod, ScopeObjects::Labelled { selector: pods.selector.clone(), except: Arc::default() }));
    let of_type = |secrets: &SecretTrigger| ScopeObjects::OfType { of_type: secrets.of_type.clone(), selector: secrets.selector.clone() };
    let secrets_scope = secrets.as_ref().map(|secrets| scope(1, Kind::Secret, of_type(secrets)));
    let mailbox = Mailbox::default();
    let mut relist = BTreeMap::new();
    for scope in [pods_scope, secrets_scope].into_iter().flatten() {
        let contact = health.watch(WatchName { kind: Some(scope.kind), namespace: scope.namespace.clone(), name: None });
        let (sender, requests) = mpsc::channel(1);
        relist.insert(scope.id, sender);
        let channels = Channels { mailbox: mailbox.clone(), requests, contact };
        let source = ClusterSource::new(api.clone(), scope, sources::watch_options(config), channels);
        tasks.spawn("that follows what the application is told of", async {
            // A watch never ends by itself.
            let _ = source.run().await;
        });
    }
    if relist.is_empty() {
        if config.triggers.start {
            runner.occasions().happened(Cause::Start, START, Duration::ZERO);
        }
        return;
    }
    let follower = Follower {
        watched: Watched::new(relist.keys().copied().collect(), (random(), random())),
        mailbox,
        relist,
        pods_delay: pods.as_ref().map(|pods| pods.delay).unwrap_or_default(),
        secrets_delay: secrets.as_ref().map(|secrets| secrets.delay).unwrap_or_default(),
        occasions: runner.occasions(),
        health: (!config.projects()).then(|| health.clone()),
        exec: exec.clone(),
        on_start: config.triggers.start,
        keeper: told::place(config).map(Keeper::new),
        dry: config.dry_run,
    };
    tasks.spawn("that tells of pods and Secrets", follower.follow());
}

impl Follower {
    async fn follow(mut self) {
        if let Some(keeper) = &self.keeper {
            let told = keeper.read(&self.exec).await;
            self.watched = self.watched.after(told);
        }
        if self.dry {
            self.keeper = None;
        }
        loop {
            // Every arm is cancel-safe.
            tokio::select! {
                () = self.mailbox.arrived() => self.fold(),
                () = self.occasions.delivered() => {
                    [Cause::Pods, Cause::Secrets].into_iter().for_each(|cause| self.watched.told(cause, self.occasions.told(cause)));
                }
                kept = kept(self.keeper.as_mut()) => {
                    if !kept {
                        self.watched.lost();
                    }
                }
            }
            if let Some(keeper) = &mut self.keeper {
                keeper.begin(&mut self.watched);
            }
        }
    }

    /// What happened at once is told as one.
    fn happened(&mut self, cause: Cause, keys: &[ObjectKey]) {
        let delay = if cause == Cause::Pods { self.pods_delay } else { self.secrets_delay };
        let names: Vec<String> = keys.iter().map(ObjectKey::to_string).collect();
        for object in &names {
            match self.dry {
                true => tracing::info!(object, ?delay, "would run the command because of this"),
                false => tracing::debug!(object, ?delay, "worth telling of"),
            }
        }
        let number = self.occasions.all_happened(cause, &names, delay);
        keys.iter().for_each(|key| self.watched.expect(key, number));
    }

    fn fold(&mut self) {
        for event in self.mailbox.take() {
            match self.watched.fold(event) {
                News::Nothing => {}
                News::Happened(cause, key) => self.happened(cause, &[key]),
                News::Untold(cause, keys) => self.happened(cause, &keys),
                News::Lost(source) => {
                    // What does not fit is asked for already.
                    let _ = self.relist.get(&source).map(|sender| sender.try_send(Request::Relist(source)));
                }
            }
        }
        if !self.watched.is_settled() {
            return;
        }
        if std::mem::take(&mut self.on_start) {
            self.occasions.happened(Cause::Start, START, Duration::ZERO);
        }
        if let Some(health) = self.health.take() {
            health.set_readiness(Readiness::Ready);
            tracing::info!("watching");
        }
    }
}

/// Resolves when the keeper may begin to write: false if what it began is lost.
async fn kept(keeper: Option<&mut Keeper>) -> bool {
    match keeper {
        Some(keeper) => keeper.ended().await,
        None => std::future::pending().await,
    }
}
