//! SIGTERM and SIGINT: the first asks to stop, the second insists. The end of the child asks too.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Hears both signals.
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
    child: Option<watch::Receiver<Option<u8>>>,
    asked: bool,
}

impl Shutdown {
    /// From now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn on_signals() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, child: None, asked: false })
    }

    /// From now on the end of the child, which has an exit code then, asks to stop.
    pub(crate) fn follow(&mut self, child: watch::Receiver<Option<u8>>) {
        self.child = Some(child);
    }

    /// Resolves when we are asked to stop, at once if we were.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn asked(&mut self) {
        if !self.asked {
            let mut child = self.child.clone();
            let ended = async {
                match &mut child {
                    // The task that owns the child ends only after this, or because we stop.
                    Some(child) => drop(child.wait_for(Option::is_some).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.signalled() => {}
                () = ended => {}
            }
            self.asked = true;
        }
    }

    /// Resolves at the next signal after the one that asked.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn insisted(&mut self) {
        self.asked().await;
        self.signalled().await;
    }

    /// Whether we were asked to stop.
    pub(crate) const fn was_asked(&self) -> bool {
        self.asked
    }

    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
