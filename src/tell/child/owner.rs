//! The one task that starts, tells, stops and waits for the child.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::aside;
use crate::config::read::child::{ChildReload, ChildSettings, RestartPolicy};
use crate::config::read::reload::signal_name;
use crate::core::retry::RetryReason;
use crate::core::tell::pace::FaultKind;
use crate::health::{DeadChild, Health};
use crate::tell::Fault;
use crate::tell::child::backoff::{BACKOFF, Restarts};
use crate::tell::child::process::Process;
use crate::tell::child::signals::Signals;
use crate::tell::child::{Control, Novelty};

/// A process that was killed is gone within this, or hangs in the kernel.
const GONE: Duration = Duration::from_secs(5);
/// Exit codes of a shell for a program that is not there, and for one that cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTED: u8 = 126;

const DEAD: &str = "the child ended, and is not started again yet";

type ReloadAnswer = oneshot::Sender<Result<(), Fault>>;

/// See the module's header.
pub(super) struct Owner {
    settings: ChildSettings,
    mailbox: mpsc::Receiver<Control>,
    signals: Signals,
    tellings: ChildStatus,
    restarts: Restarts,
    phase: Phase,
}

/// Where the owner tells how the child is.
pub(super) struct ChildStatus {
    /// When it was started last.
    pub(super) started: Arc<watch::Sender<Option<Instant>>>,
    /// With what code it ended for good.
    pub(super) ended: watch::Sender<Option<u8>>,
    /// Whether it is dead for now.
    pub(super) health: Health,
}

/// Where the child is.
enum Phase {
    /// Not started yet.
    Waiting,
    Running(Process),
    /// Asked to end.
    Stopping {
        process: Process,
        /// When to kill it, or to give it up.
        due: Instant,
        killed: bool,
        then: AfterExit,
    },
    /// It ended by itself.
    Resting {
        /// Its exit code.
        code: u8,
        /// When it may be started again because of a change.
        earliest: Instant,
        /// When it is started again.
        due: Instant,
    },
    Ended,
}

/// What follows when a child that was asked to end is gone.
enum AfterExit {
    /// It is started again, and this is answered.
    Again(Option<ReloadAnswer>),
    End,
}

enum Wakeup {
    Control(Control),
    /// The process ended, with this exit code.
    Exited(u8),
    Due,
}

/// What was meant for a child that was just being started: it may run before we know.
#[derive(Default)]
struct Meant {
    /// By when it has to have started, to be asked to end then.
    stop: Option<Instant>,
    signals: Vec<Signal>,
}

impl Meant {
    fn hear(&mut self, control: Control, kill_timeout: Duration) {
        match control {
            Control::Stop => self.stop = self.stop.or_else(|| Some(Instant::now() + kill_timeout)),
            Control::Hurry => self.stop = Some(Instant::now()),
            Control::Forward(signal) if self.signals.contains(&signal) => {}
            Control::Forward(signal) => self.signals.push(signal),
            Control::Reload(_, answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(Err(Fault::later("the child is being started".to_owned())));
            }
            Control::Start => {}
        }
    }
}

impl Owner {
    pub(super) fn new(settings: ChildSettings, mailbox: mpsc::Receiver<Control>, signals: Signals, tellings: ChildStatus) -> Self {
        Self { settings, mailbox, signals, tellings, restarts: Restarts::default(), phase: Phase::Waiting }
    }

    /// Runs until the child has ended for good.
    pub(super) async fn run(mut self) {
        while !matches!(self.phase, Phase::Ended) {
            let input = self.input().await;
            let phase = std::mem::replace(&mut self.phase, Phase::Ended);
            self.phase = match input {
                Wakeup::Control(Control::Start) => self.start(phase).await,
                Wakeup::Control(Control::Reload(change, answer)) => self.reload(phase, change, answer).await,
                Wakeup::Control(Control::Forward(signal)) => forward(phase, signal),
                Wakeup::Control(Control::Stop) => self.stop(phase),
                Wakeup::Control(Control::Hurry) => hurry(phase),
                Wakeup::Exited(code) => self.exited(phase, code).await,
                Wakeup::Due => self.due(phase).await,
            };
        }
    }

    /// Every arm is cancel-safe.
    async fn input(&mut self) -> Wakeup {
        let due = match &self.phase {
            Phase::Stopping { due, .. } | Phase::Resting { due, .. } => Some(*due),
            Phase::Waiting | Phase::Running(_) | Phase::Ended => None,
        };
        let process = match &mut self.phase {
            Phase::Running(process) | Phase::Stopping { process, .. } => Some(process),
            Phase::Waiting | Phase::Resting { .. } | Phase::Ended => None,
        };
        let exit = async {
            match process {
                Some(process) => process.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            code = exit => Wakeup::Exited(code),
            control = self.signals.next() => Wakeup::Control(control),
            Some(control) = self.mailbox.recv() => Wakeup::Control(control),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Wakeup::Due,
        }
    }

    async fn start(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Waiting => self.launch().await,
            started @ (Phase::Running(_) | Phase::Stopping { .. } | Phase::Resting { .. } | Phase::Ended) => started,
        }
    }

    async fn launch(&mut self) -> Phase {
        // It reads what is on disk now.
        self.tellings.started.send_replace(Some(Instant::now()));
        let program = self.settings.command.first().map(|program| program.display().to_string()).unwrap_or_default();
        let command = self.settings.command.clone();
        // Aside: where the program's file system hangs, so does whoever starts it.
        let mut starting = aside::spawn(move || Process::start(&command));
        let mut meant = Meant::default();
        let started = loop {
            let due = meant.stop;
            tokio::select! {
                biased;
                started = &mut starting => break started.unwrap_or_else(|error| Err(io::Error::other(error))),
                control = self.signals.next() => meant.hear(control, self.settings.kill_timeout),
                Some(control) = self.mailbox.recv() => meant.hear(control, self.settings.kill_timeout),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    tracing::warn!(program, "stopped while the child is being started");
                    return Phase::Ended;
                }
            }
        };
        match started {
            Ok(process) => {
                tracing::info!(program, pid = process.pid(), "child started");
                self.tellings.health.set_dead_child(None);
                let phase = meant.signals.into_iter().fold(Phase::Running(process), forward);
                if meant.stop.is_some() { self.stop(phase) } else { phase }
            }
            Err(_) if meant.stop.is_some() => Phase::Ended,
            Err(error) => {
                tracing::error!(program, %error, "the child cannot be started");
                self.gone(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTED }, Duration::ZERO)
            }
        }
    }

    /// The child ended although nobody asked it to.
    fn gone(&mut self, code: u8, ran: Duration) -> Phase {
        match self.settings.restart {
            RestartPolicy::Never => {
                match code {
                    0 => tracing::info!(code, "the child ended, and so do we"),
                    _ => tracing::error!(code, "the child ended, and so do we"),
                }
                self.tellings.ended.send_replace(Some(code));
                Phase::Ended
            }
            RestartPolicy::Always => {
                let pause = self.restarts.after(ran);
                tracing::warn!(code, pause_seconds = pause.as_secs(), "the child ended, it is started again");
                let now = Instant::now();
                self.rest(code, now + BACKOFF.first, now + pause)
            }
        }
    }

    fn rest(&self, code: u8, earliest: Instant, due: Instant) -> Phase {
        self.tellings.health.set_dead_child(Some(DeadChild { code, due }));
        Phase::Resting { code, earliest, due }
    }

    async fn reload(&mut self, phase: Phase, change: Novelty, answer: ReloadAnswer) -> Phase {
        let (answered, phase) = match (phase, self.settings.reload) {
            // It reads the files when it starts.
            (Phase::Waiting, _) => (Ok(()), Phase::Waiting),
            // What changed may be what it ended by.
            (Phase::Resting { code, earliest, due }, _) if change == Novelty::New && earliest < due => {
                tracing::info!("the files have changed: the child is started again without the rest of its pause");
                let wish = Some(earliest.saturating_duration_since(Instant::now()));
                let kind = FaultKind::Trouble(RetryReason::Connect, wish);
                (Err(Fault::new(kind, DEAD.to_owned())), self.rest(code, earliest, earliest))
            }
            (phase @ Phase::Resting { .. }, _) => (Err(Fault::later(DEAD.to_owned())), phase),
            (Phase::Running(process), ChildReload::Signal(signal)) => (process.tell(signal).await, Phase::Running(process)),
            (Phase::Running(process), ChildReload::Restart) => {
                return self.ask_to_end(process, self.settings.kill_signal, AfterExit::Again(Some(answer)));
            }
            (phase @ Phase::Stopping { then: AfterExit::Again(_), .. }, _) => {
                (Err(Fault::later("the child takes long to end".to_owned())), phase)
            }
            (phase @ (Phase::Stopping { then: AfterExit::End, .. } | Phase::Ended), _) => {
                (Err(Fault::later("the child is asked to end".to_owned())), phase)
            }
        };
        // Whoever asked may have gone.
        let _ = answer.send(answered);
        phase
    }

    fn stop(&self, phase: Phase) -> Phase {
        match phase {
            Phase::Waiting | Phase::Resting { .. } | Phase::Ended => Phase::Ended,
            Phase::Running(process) => self.ask_to_end(process, Signal::TERM, AfterExit::End),
            Phase::Stopping { process, due, killed, then: AfterExit::Again(_) } => {
                ask(&process, Signal::TERM);
                Phase::Stopping { process, due, killed, then: AfterExit::End }
            }
            ending @ Phase::Stopping { then: AfterExit::End, .. } => ending,
        }
    }

    fn ask_to_end(&self, process: Process, signal: Signal, then: AfterExit) -> Phase {
        tracing::debug!(pid = process.pid(), signal = signal_name(signal), "child asked to end");
        ask(&process, signal);
        Phase::Stopping { process, due: Instant::now() + self.settings.kill_timeout, killed: false, then }
    }

    async fn exited(&mut self, phase: Phase, code: u8) -> Phase {
        match phase {
            Phase::Running(process) => {
                // What it left behind must not stand in the way of the next one, nor outlive us.
                let ran = process.since().elapsed();
                drop(process);
                self.gone(code, ran)
            }
            Phase::Stopping { process, then: AfterExit::Again(answer), .. } => {
                drop(process);
                let phase = self.launch().await;
                let answered = match phase {
                    Phase::Running(_) => Ok(()),
                    _ => Err(Fault::later("the child cannot be started".to_owned())),
                };
                // Whoever asked may have gone.
                let _ = answer.map(|answer| answer.send(answered));
                phase
            }
            Phase::Stopping { then: AfterExit::End, .. } => {
                tracing::info!(code, "child ended");
                Phase::Ended
            }
            phase @ (Phase::Waiting | Phase::Resting { .. } | Phase::Ended) => phase,
        }
    }

    async fn due(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Resting { .. } => self.launch().await,
            Phase::Stopping { process, killed: false, then, .. } => {
                let seconds = self.settings.kill_timeout.as_secs_f32();
                tracing::warn!(pid = process.pid(), seconds, "the child does not end, it is killed (KILL_TIMEOUT)");
                kill(process, then)
            }
            Phase::Stopping { process, killed: true, then: AfterExit::Again(answer), .. } => {
                let pid = process.pid();
                let _ = answer.map(|answer| answer.send(Err(Fault::later(format!("process {pid} was killed and is still there")))));
                kill(process, AfterExit::Again(None))
            }
            Phase::Stopping { process, killed: true, then: AfterExit::End, .. } => {
                tracing::warn!(pid = process.pid(), "the child was killed and is still there");
                Phase::Ended
            }
            phase @ (Phase::Waiting | Phase::Running(_) | Phase::Ended) => phase,
        }
    }
}

fn hurry(phase: Phase) -> Phase {
    match phase {
        Phase::Waiting | Phase::Resting { .. } | Phase::Ended => Phase::Ended,
        Phase::Running(process) | Phase::Stopping { process, .. } => {
            tracing::warn!(pid = process.pid(), "asked to stop again: the child is killed");
            kill(process, AfterExit::End)
        }
    }
}

fn kill(process: Process, then: AfterExit) -> Phase {
    process.kill();
    Phase::Stopping { process, due: Instant::now() + GONE, killed: true, then }
}

fn forward(phase: Phase, signal: Signal) -> Phase {
    if let Phase::Running(process) | Phase::Stopping { process, .. } = &phase {
        tracing::debug!(pid = process.pid(), signal = signal_name(signal), "signal passed on");
        send(process, signal);
    }
    phase
}

/// Asks a process to end. One that is stopped has to go on for that.
fn ask(process: &Process, signal: Signal) {
    send(process, signal);
    send(process, Signal::CONT);
}

fn send(process: &Process, signal: Signal) {
    if let Err(error) = process.send(signal) {
        tracing::warn!(pid = process.pid(), signal = signal_name(signal), %error, "the child got no signal");
    }
}
