//! The application as our child: started once its files are there, told of changes, and ended with us.
//!
//! One task owns the process (`owner`); everybody else asks it by a `Control`. A reload is a [`Reaction`] like the others, so that
//! retries, figures and what is owed come from the one runner.

mod backoff;
mod owner;
mod process;
mod signals;

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::read::child::ChildSettings;
use crate::health::Health;
use crate::tell::child::owner::{ChildStatus, Owner};
use crate::tell::child::signals::Signals;
use crate::tell::{Fault, Fired, Reaction, Way};

use rustix::process::Signal;

/// Controls that wait for the owner.
const MAILBOX: usize = 8;

/// The command behind `--`.
pub(super) const WAY: Way = Way::new(
    |config| config.child.is_some(),
    |_, means| Some(Box::new(ReloadChild { handle: means.child?.clone(), change: Novelty::New })),
    // There is none in a dry run.
    |_| String::new(),
);

/// What the owner of the process is asked.
enum Control {
    /// The files are there: start it, unless it was started.
    Start,
    /// The files have changed; answers when it knows.
    Reload(Novelty, oneshot::Sender<Result<(), Fault>>),
    /// Pass on a signal that we got.
    Forward(Signal),
    /// End it: TERM, and KILL when its time is up.
    Stop,
    /// End it now.
    Hurry,
}

/// Whether a child that ended is told of something new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Novelty {
    /// It may be what the child needs: it is started again earlier.
    New,
    /// It was told before, in vain.
    Known,
}

/// The child and the task that owns it.
pub(crate) struct Child {
    handle: ChildHandle,
    ended: watch::Receiver<Option<u8>>,
    task: JoinHandle<()>,
}

/// Asks the owner of the child.
#[derive(Clone)]
pub(crate) struct ChildHandle {
    controls: mpsc::Sender<Control>,
    /// When the child was started last: it has read, or will read, what was on disk then.
    started: Arc<watch::Sender<Option<Instant>>>,
}

/// Tells the child of changes.
pub(crate) struct ReloadChild {
    handle: ChildHandle,
    change: Novelty,
}

/// Begins to own a child, which is not started yet. From now on the signals that are passed on do not end us.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn own(settings: ChildSettings, health: Health) -> std::io::Result<Child> {
    let (controls, mailbox) = mpsc::channel(MAILBOX);
    let started = Arc::new(watch::Sender::new(None));
    let (end, ended) = watch::channel(None);
    let owner = Owner::new(settings, mailbox, Signals::heard()?, ChildStatus { started: started.clone(), ended: end, health });
    Ok(Child { handle: ChildHandle { controls, started }, ended, task: tokio::spawn(owner.run().boxed()) })
}

impl Child {
    /// Asks the owner.
    pub(crate) fn handle(&self) -> ChildHandle {
        self.handle.clone()
    }

    /// Holds the exit code once the child has ended by itself for good.
    pub(crate) fn ended(&self) -> watch::Receiver<Option<u8>> {
        self.ended.clone()
    }

    /// Ends the child and waits for that. Its exit code, if it has ended by itself.
    pub(crate) async fn end(self) -> Option<u8> {
        // It fails where the task has ended.
        let _ = self.handle.controls.send(Control::Stop).await;
        let _ = self.task.await;
        *self.ended.borrow()
    }
}

impl ChildHandle {
    /// The files are there: starts the child, unless it was started. It reads what is on disk now, so it needs not be told of that.
    pub(crate) fn start(&self) {
        self.started.send_if_modified(|started| started.is_none().then(|| *started = Some(Instant::now())).is_some());
        // It fails where the task has ended.
        let _ = self.controls.try_send(Control::Start);
    }

    async fn reload(&self, change: Novelty) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        let gone = || Fault::later("the child has ended".to_owned());
        self.controls.send(Control::Reload(change, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Reaction for ReloadChild {
    fn name(&self) -> &'static str {
        "child"
    }

    fn knows(&self, newest: Instant) -> bool {
        self.handle.started.borrow().is_some_and(|started| started >= newest)
    }

    fn exhausted(&self) -> String {
        "the child was not told, trying again later".to_owned()
    }

    fn renew(&mut self) {
        self.change = Novelty::New;
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        let change = std::mem::replace(&mut self.change, Novelty::Known);
        self.handle.reload(change).boxed()
    }
}
