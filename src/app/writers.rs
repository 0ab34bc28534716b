//! The writers that tell the cluster what became of its objects, and their end.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::ApiServer;
use crate::app::shutdown::Shutdown;
use crate::app::{Tasks, named};
use crate::config::Config;
use crate::report::farewell::Home;
use crate::report::would::would_write;
use crate::report::{events, finalizers};

/// Objects that wait for us to go are released within this when we are asked to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// We ask for this long at most whether our own namespace is being deleted.
const ASK_HOME: Duration = Duration::from_secs(1);
/// And release everything of ours in it for this long at most, within the 30 seconds that a pod gets by default.
const FAREWELL: Duration = Duration::from_secs(20);

/// The writers that tell the cluster what became of its objects.
pub(super) struct Writers {
    pub(super) events: Option<events::EventSender>,
    pub(super) finalizers: Option<finalizers::FinalizerSender>,
    home: Option<(ApiServer, Home)>,
}

impl Writers {
    /// Starts those that settings ask for.
    pub(super) fn start(config: &Config, api: &ApiServer, stopped: &watch::Receiver<bool>, tasks: &mut Tasks) -> Self {
        let events = config.event_logging.then(|| {
            let (sender, mut writer) = events::writer(api.clone(), events::instance_name(&hostname()));
            let stopped = stopped.clone();
            let run = async move {
                until_stopped(writer.run(), stopped).await;
                writer.drain(DRAIN).await;
            };
            tasks.writers.spawn(named("that writes Events", run).boxed());
            sender
        });
        let finalizers = config.finalizers.clone().map(|ours| {
            let (sender, mut writer) = finalizers::writer(api.clone(), ours, events.clone());
            let stopped = stopped.clone();
            let run = async move {
                until_stopped(writer.run(), stopped).await;
                writer.drain(DRAIN).await;
            };
            tasks.writers.spawn(named("that writes finalizers", run).boxed());
            sender
        });
        let home = config
            .guarded_home()
            .zip(config.finalizers.as_ref())
            .map(|(namespace, ours)| (api.clone(), Home { namespace: namespace.to_owned(), kinds: config.places().0, which: ours.into() }));
        Self { events, finalizers, home }
    }

    /// Only says what would be written.
    pub(super) fn would(config: &Config, stopped: &watch::Receiver<bool>, tasks: &mut Tasks) -> Self {
        let finalizers = config.finalizers.as_ref().map(|ours| {
            let (sender, mut writer) = would_write(ours.name.clone());
            let stopped = stopped.clone();
            let run = async move {
                until_stopped(writer.run(), stopped).await;
                writer.drain();
            };
            tasks.writers.spawn(named("that says what finalizers would be written", run).boxed());
            sender
        });
        Self { events: None, finalizers, home: None }
    }

    /// Waits for the drains, and where our own namespace is being deleted releases everything of ours in it; a second signal ends
    /// the wait.
    pub(super) async fn end(self, shutdown: &mut Shutdown, writers: &mut JoinSet<&'static str>) {
        let Self { home, .. } = self;
        let drained = async {
            // A task that panicked has nothing left to drain.
            while writers.join_next().await.is_some() {}
        };
        let home = home.filter(|_| shutdown.was_asked());
        let ended = async {
            // Guarding ends first: it would put back what is taken off.
            let (_, dying) = tokio::join!(timeout(DRAIN + Duration::from_millis(200), drained), dying(home));
            if let Some((api, home)) = dying {
                farewell(&api, &home).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = shutdown.insisted() => {}
        }
    }
}

/// Our own namespace, if it is being deleted.
async fn dying(home: Option<(ApiServer, Home)>) -> Option<(ApiServer, Home)> {
    let (api, home) = home?;
    let why = match timeout(ASK_HOME, home.is_terminating(&api)).await {
        Ok(Ok(terminating)) => return terminating.then_some((api, home)),
        Ok(Err(failure)) if failure.code() == Some(403) => "may not get it: grant the verb, see rbac/*/finalizers.yaml".to_owned(),
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    tracing::warn!(
        namespace = home.namespace,
        why,
        "stopped without knowing whether our own namespace is being deleted: if it is, objects with our finalizer in it need `release`"
    );
    None
}

async fn farewell(api: &ApiServer, home: &Home) {
    match timeout(FAREWELL, home.release(api)).await {
        Ok(objects) => tracing::info!(namespace = home.namespace, objects, "our own namespace is being deleted: finalizers removed"),
        Err(_) => tracing::warn!(
            namespace = home.namespace,
            "our own namespace is being deleted, and not every finalizer could be removed in time: run `release`"
        ),
    }
}

/// Runs something to its end, or until everything stops.
async fn until_stopped(run: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = run => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "kube-projector".to_owned(), |name| name.trim().to_owned())
}
