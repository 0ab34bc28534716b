//! Reads along while another instance holds the ledger: whoever waits for it is ready as soon as every wanted file is there, so that
//! a rolling update on a shared volume goes on. Writes nothing.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::ApiServer;
use crate::app::preview;
use crate::app::sources::Sources;
use crate::aside;
use crate::config::{Config, Method};
use crate::disk::ledger::Place;
use crate::health::Health;
use crate::source::mailbox::Mailbox;

/// Time between two looks at every file, and at least ten times what a look takes, up to this.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is known of the files of the instance that holds the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadAlong {
    /// A wanted file is missing, or not known yet.
    Incomplete,
    /// Every wanted file is there.
    Complete {
        /// But not every kind or namespace could be listed.
        refused: bool,
    },
}

/// Ends when it is dropped.
pub(crate) struct Standby {
    seen: watch::Receiver<ReadAlong>,
    task: JoinHandle<()>,
}

impl Standby {
    /// Begins to read along.
    pub(crate) fn begin(config: &Config, api: Option<ApiServer>, place: Place) -> Self {
        let (sender, seen) = watch::channel(ReadAlong::Incomplete);
        let config = config.clone();
        Self { seen, task: tokio::spawn(async move { read_along(&config, api, place, &sender).await }.boxed()) }
    }

    /// What was found so far. Once complete, it stays so.
    pub(crate) fn seen(&self) -> ReadAlong {
        *self.seen.borrow()
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_along(config: &Config, api: Option<ApiServer>, place: Place, seen: &watch::Sender<ReadAlong>) {
    let mut pause = PAUSE;
    loop {
        // A list that is made once is made anew, from nothing, until what it names is there.
        if let Some(complete) = follow(config, api.clone(), &place, &mut pause).await {
            let _ = seen.send(complete);
            return;
        }
        sleep(pause).await;
    }
}

/// Nothing of anybody is taken over by who only reads.
const fn in_use(_: (u64, u64)) -> bool {
    true
}

/// Follows the sources until every wanted file is there; nothing where they ended before.
async fn follow(config: &Config, api: Option<ApiServer>, place: &Place, pause: &mut Duration) -> Option<ReadAlong> {
    let (of, at) = (config.clone(), place.clone());
    let mut preview = aside::spawn(move || preview(&of, at, in_use)).await.ok()?;
    // Nobody asks how these watches are: they end when ours begin.
    let (mailbox, health) = (Mailbox::default(), Health::new(None));
    let mut sources = Sources::start(config, api, &mailbox, &health, config.method);
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = mailbox.arrived() => {
                let batch = mailbox.take();
                preview = aside::spawn(move || { preview.fold(batch); preview }).await.ok()?;
            }
            () = sleep_until(next) => {
                let began = Instant::now();
                let looked = aside::spawn(move || {
                    let complete = preview.store().settled() && preview.is_complete(in_use);
                    (preview, complete)
                });
                let complete;
                (preview, complete) = looked.await.ok()?;
                if complete && mailbox.is_empty() {
                    return Some(ReadAlong::Complete { refused: preview.store().refused() });
                }
                if config.method == Method::List && sources.all_ended() && mailbox.is_empty() {
                    return None;
                }
                sources.fetch(preview.unread().into_iter());
                *pause = (began.elapsed() * 10).clamp(PAUSE, PAUSE_MAX);
                next = Instant::now() + *pause;
            }
        }
    }
}
