//! The main loop: waits for news, time or the end, and runs one commit at a time on the disk thread. Where nothing is projected it has
//! no engine, and only waits.

mod committed;
mod opening;

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::api::ApiServer;
use crate::app::executor::Executor;
use crate::app::publish::Publisher;
use crate::app::reactions;
use crate::app::shutdown::Shutdown;
use crate::app::sources::{End, Sources};
use crate::app::{Tasks, place, settings, triggers};
use crate::config::read::child::ChildStart;
use crate::config::{Config, Method};
use crate::core::debt::Debt;
use crate::core::discretion::Discretion;
use crate::core::files::project::Urls;
use crate::disk::dry::RunFs;
use crate::disk::ledger::Place;
use crate::engine::Engine;
use crate::engine::outcome::Settings;
use crate::health::{Beat, Health};
use crate::metrics::{FileWork, Metrics};
use crate::source::mailbox::Mailbox;
use crate::status::board::Board;
use crate::status::desk::{Desk, StatusAsk};
use crate::tell::runner::Runner;
use crate::tell::{Means, child};
use crate::web::Client;

/// A stop waits this long for a disk that hangs.
const STOP_WITHIN: Duration = Duration::from_millis(1800);
/// How late the loop may be before it counts as stuck.
pub(crate) const SLACK: Duration = Duration::from_secs(30);
/// A reaction that runs when we stop gets this long to end.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// The loop looks around at least this often.
pub(crate) const LOOK: Duration = Duration::from_secs(60);

/// Resolves when the application may have been told of everything, or never will be.
async fn told(runner: Option<&mut Runner>) -> Wakeup {
    let Some(runner) = runner else { return std::future::pending().await };
    if runner.settled_or_ended().await { Wakeup::Told } else { Wakeup::LoopEnd("the task that tells the application ended early".into()) }
}

/// Resolves when somebody looks.
async fn asked(desk: Option<&mut Desk>) -> StatusAsk {
    match desk {
        Some(desk) => desk.asked().await,
        None => std::future::pending().await,
    }
}

/// How the loop ended.
pub(crate) enum LoopEnd {
    /// Asked to stop, or METHOD=LIST is on disk.
    Done,
    /// What went wrong.
    Failed(String),
    /// Which setting cannot be kept here.
    Settings(String),
}

/// What woke the loop.
enum Wakeup {
    Arrived,
    Due,
    Resync,
    /// The application may have been told of everything.
    Told,
    /// The beat that others look for.
    Look,
    /// Somebody looks.
    Asked(StatusAsk),
    /// A source has ended, as it should.
    Listed,
    /// A task has ended that should not.
    LoopEnd(String),
    /// Somebody asks us to, or the manifests have come to lie where files are written.
    Stop(LoopEnd),
}

/// See the module's header.
pub(crate) struct EngineLoop {
    executor: Executor,
    settings: Settings,
    place: Place,
    engine: Option<Engine<RunFs>>,
    api: Option<ApiServer>,
    health: Health,
    metrics: Metrics,
    beat: Beat,
    publisher: Publisher,
    /// What may be repeated of what others say.
    discretion: Discretion,
    /// Asks servers other than the API, where any are asked.
    web: Option<Client>,
    runner: Option<Runner>,
    child: Option<child::ChildHandle>,
    /// Where people look, if they do.
    desk: Option<Desk>,
    mailbox: Mailbox,
    started: Instant,
    ready: bool,
    /// Whether it was told that everything is in sync.
    in_sync: bool,
    /// Whether objects that lost the label while nobody watched were looked for.
    swept: bool,
    /// Whether every wanted file was found while another instance held the ledger.
    stood_by: bool,
}

/// Whom the loop asks and tells.
pub(crate) struct Servers {
    /// The API server, unless manifests are read.
    pub(crate) api: Option<ApiServer>,
    /// Asks servers other than the API, where any are asked.
    pub(crate) web: Option<Client>,
    /// The application, where it is a child of ours: started, and told of changes.
    pub(crate) child: Option<child::ChildHandle>,
    /// Where people look, if they do.
    pub(crate) desk: Option<Desk>,
}

impl EngineLoop {
    /// A loop that has not begun.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn new(
        config: &Config,
        pod: Option<String>,
        servers: Servers,
        (health, metrics): (Health, Metrics),
        publisher: Publisher,
    ) -> std::io::Result<Self> {
        let beat = health.looped(if config.projects() { "engine" } else { "triggers" });
        let Servers { api, web, child, desk } = servers;
        Ok(Self {
            executor: Executor::start()?,
            settings: settings(config),
            place: place(config, pod),
            engine: None,
            api,
            health,
            beat,
            mailbox: if metrics.is_on() { Mailbox::with_times() } else { Mailbox::default() },
            metrics,
            publisher,
            discretion: Discretion::new(config.react_output),
            runner: None,
            child,
            desk,
            web,
            started: Instant::now(),
            ready: false,
            in_sync: false,
            swept: false,
            stood_by: false,
        })
    }

    /// Runs to the end.
    pub(crate) async fn run(mut self, config: &Config, shutdown: &mut Shutdown, tasks: &mut Tasks) -> LoopEnd {
        let mut sources = match self.begin(config, shutdown, tasks).await {
            Ok(sources) => sources,
            Err(ended) => return ended,
        };
        let once = config.method == Method::List;
        let mut resync = config.resync.filter(|_| config.projects()).map(|period| Instant::now() + period);
        let mut wake = None;
        loop {
            let input = self.next_input((wake, resync), shutdown, tasks, &mut sources).await;
            let now = self.started.elapsed();
            let mut read = None;
            let outcome = match input {
                Wakeup::Stop(ended) => {
                    self.stop_reactions(shutdown).await;
                    return ended;
                }
                Wakeup::Told => {
                    self.note_reacted(shutdown).await;
                    None
                }
                Wakeup::LoopEnd(why) => return LoopEnd::Failed(why),
                Wakeup::Listed if !once => return LoopEnd::Failed("a source ended early".into()),
                Wakeup::Asked(ask) => {
                    self.answer(ask);
                    continue;
                }
                Wakeup::Look | Wakeup::Listed => None,
                Wakeup::Arrived | Wakeup::Due => {
                    let (batch, first) = self.mailbox.take_read();
                    read = first;
                    Some(self.on_disk(shutdown, move |engine| engine.converge(batch, now)).await)
                }
                Wakeup::Resync => {
                    resync = config.resync.map(|period| Instant::now() + period);
                    Some(self.on_disk(shutdown, move |engine| engine.verify(now)).await)
                }
            };
            if let Some(outcome) = outcome {
                let Some(outcome) = outcome else {
                    return self.interrupted(shutdown);
                };
                self.metrics.committed(&FileWork { delay: read.map(|read| read.elapsed()), ..outcome.work() });
                wake = outcome.wake.map(|wake| self.started + wake);
                if config.timing.on_start && outcome.ready && !self.ready {
                    self.owe_start(shutdown).await;
                }
                self.publish(&outcome, &mut sources, config, tasks);
                if let (Wakeup::Resync, Some(engine)) = (&input, &self.engine) {
                    self.publisher.verified(&outcome, engine.store());
                }
                self.note_reacted(shutdown).await;
                // News goes before whoever looks, and may not end: one gets an answer after each commit.
                if let Some(ask) = self.desk.as_mut().and_then(Desk::waiting) {
                    self.answer(ask);
                }
            }
            // Nothing that we wait for will come.
            let is_given_up = || self.engine.as_ref().is_some_and(|engine| !engine.store().settled());
            let awaits = || self.engine.as_ref().is_some_and(|engine| engine.store().remotes().pending() > 0);
            if once && sources.all_ended() && self.mailbox.is_empty() && (is_given_up() || self.ready && !awaits()) {
                return self.complete(&mut sources, shutdown, config).await;
            }
        }
    }

    /// Starts what the loop waits for.
    async fn begin(&mut self, config: &Config, shutdown: &mut Shutdown, tasks: &mut Tasks) -> Result<Sources, LoopEnd> {
        let (client, api, child) = (self.web.as_ref(), self.api.as_ref(), self.child.as_ref());
        let (events, health, discretion) = (self.publisher.events(), &self.health, &self.discretion);
        let board = self.desk.as_ref().map(Desk::board);
        self.runner = reactions::start(config, &Means { client, api, events, child, discretion }, (health, &self.metrics), board);
        self.settings.reacts = self.runner.as_ref().is_some_and(Runner::heeds_files);
        if config.child.as_ref().is_some_and(|child| child.start == ChildStart::Now) {
            self.start_child();
        }
        let mut sources = Sources::default();
        if config.projects() {
            self.open(config, shutdown, tasks).await?;
            sources = Sources::start(config, self.api.clone(), &self.mailbox, &self.health, config.method);
            if config.dry_run && config.urls != Urls::Plain {
                sources = sources.with_would_be_downloads(&self.mailbox);
            } else if let Some(client) = self.web.take().filter(|_| config.urls != Urls::Plain) {
                sources = sources.with_downloads(config, client, &self.mailbox, (self.discretion.clone(), self.metrics.clone()));
            }
        } else {
            let Some(runner) = &mut self.runner else {
                return Err(LoopEnd::Failed("nothing is projected, and nobody is to be told of anything".into()));
            };
            runner.without_files();
        }
        if let (Some(api), Some(runner)) = (&self.api, &self.runner) {
            triggers::start(config, api, runner, &self.health, tasks);
        }
        Ok(sources)
    }

    /// The application is to be told of all files once, whatever changed. That is owed like a change, through restarts.
    async fn owe_start(&mut self, shutdown: &mut Shutdown) {
        let _ = self.on_disk(shutdown, Engine::owe).await;
        if let Some((runner, engine)) = self.runner.as_ref().zip(self.engine.as_ref()) {
            runner.owe_all(self.owned(engine));
        }
    }

    /// What the runner was told before needs no telling: the child reads it.
    fn start_child(&self) {
        if let Some(child) = &self.child {
            child.start();
        }
    }

    /// Notes in the ledger that the application was told of everything, or what a next process has to know of attempts to tell it.
    async fn note_reacted(&mut self, shutdown: &mut Shutdown) {
        let Some((runner, engine)) = self.runner.as_ref().zip(self.engine.as_ref().filter(|engine| engine.owes_reaction())) else { return };
        // A disk that hangs is noticed by the next commit.
        let Some(mut debt) = runner.owed() else {
            let _ = self.on_disk(shutdown, Engine::reacted).await;
            return;
        };
        // What holds nothing else needs no record.
        debt.clean = debt != Debt::default() && self.discretion.is_clean();
        if *engine.debt() != debt {
            let _ = self.on_disk(shutdown, |engine| engine.note_debt(debt)).await;
        }
    }

    /// What is not told when we stop is told at the next start.
    async fn stop_reactions(&mut self, shutdown: &mut Shutdown) {
        if let Some(runner) = &mut self.runner {
            runner.stop(GRACE).await;
        }
        self.note_reacted(shutdown).await;
    }

    /// Every arm is cancel-safe.
    async fn next_input(
        &mut self,
        (wake, resync): (Option<Instant>, Option<Instant>),
        shutdown: &mut Shutdown,
        tasks: &mut Tasks,
        sources: &mut Sources,
    ) -> Wakeup {
        let look = Instant::now() + LOOK;
        self.beat.expect_within(LOOK + SLACK);
        let far = look + LOOK;
        tokio::select! {
            biased;
            () = shutdown.asked() => Wakeup::Stop(LoopEnd::Done),
            why = tasks.ended() => Wakeup::LoopEnd(why),
            end = sources.ended() => match end {
                End::Source => Wakeup::Listed,
                End::Misplaced(why) => Wakeup::Stop(LoopEnd::Settings(why)),
                End::Helper => Wakeup::LoopEnd("a task that reads objects or URLs ended early".into()),
            },
            () = self.mailbox.arrived() => Wakeup::Arrived,
            () = sleep_until(wake.unwrap_or(far)), if wake.is_some() => Wakeup::Due,
            () = sleep_until(resync.unwrap_or(far)), if resync.is_some() => Wakeup::Resync,
            input = told(self.runner.as_mut()) => input,
            ask = asked(self.desk.as_mut()) => Wakeup::Asked(ask),
            () = sleep_until(look) => Wakeup::Look,
        }
    }

    /// Runs something on the disk thread. `None` when a stop was asked for and the disk did not answer.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        shutdown: &mut Shutdown,
        work: impl FnOnce(&mut Engine<RunFs>) -> T + Send + 'static,
    ) -> Option<T> {
        let mut engine = self.engine.take()?;
        self.beat.waiting();
        self.shown(|board| board.busy(true));
        let mut task = self.executor.run(move || {
            let done = work(&mut engine);
            (engine, done)
        });
        let done = tokio::select! {
            done = &mut task => done,
            () = shutdown.asked() => timeout(STOP_WITHIN, task).await.ok()?,
        };
        let (engine, done) = done.ok()?;
        self.metrics.stands(&engine.standing());
        self.engine = Some(engine);
        self.shown(|board| board.busy(false));
        Some(done)
    }

    /// Answers whoever looks, between two commits.
    fn answer(&self, ask: StatusAsk) {
        if let (Some(desk), Some(engine)) = (&self.desk, &self.engine) {
            desk.answer(ask, engine);
        }
    }

    /// Tells whoever looks.
    fn shown(&self, tell: impl FnOnce(&Board)) {
        if let Some(desk) = &self.desk {
            tell(desk.board());
        }
    }

    /// A commit did not come back: the disk hangs while we stop, or its thread died.
    fn interrupted(&self, shutdown: &Shutdown) -> LoopEnd {
        match shutdown.was_asked() {
            true => {
                tracing::warn!("stopped while the disk hangs");
                LoopEnd::Done
            }
            false => LoopEnd::Failed("the disk thread died".into()),
        }
    }
}

#[cfg(test)]
mod tests;
