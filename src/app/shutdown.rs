//! SIGTERM and SIGINT: the first asks to stop, the second insists.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears both signals.
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
    asked: bool,
}

impl Shutdown {
    /// From now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn on_signals() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, asked: false })
    }

    /// Resolves when we are asked to stop, at once if we were.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn asked(&mut self) {
        if !self.asked {
            self.signalled().await;
            self.asked = true;
        }
    }

    /// Resolves at the next signal after the one that asked.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn insisted(&mut self) {
        self.asked().await;
        self.signalled().await;
    }

    /// Whether we were asked to stop.
    pub const fn was_asked(&self) -> bool {
        self.asked
    }

    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
