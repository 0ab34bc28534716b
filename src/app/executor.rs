//! What touches the disk runs here, one thing after the other: on a thread that nobody else can keep, no name server and no file.

use std::io;
use std::sync::mpsc::channel;
use std::thread::Builder;

use tokio::sync::oneshot;

use crate::aside::{Work, answered};

/// Takes what is to run, in order. In a test it may run at once, so that the clock stands still meanwhile.
pub(crate) struct Executor(pub(crate) Box<dyn Fn(Work) + Send>);

impl Executor {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, works) = channel::<Work>();
        Builder::new().name("disk".to_owned()).spawn(move || works.into_iter().for_each(|work| work()))?;
        // It fails where the thread has died, which whoever waits for the result is told.
        Ok(Self(Box::new(move |work| drop(sender.send(work)))))
    }

    /// Runs something; what is received is its result, or an error where the thread has died.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (work, result) = answered(work);
        (self.0)(work);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s10_the_disk_has_one_thread_that_is_not_of_the_pool() {
        let executor = Executor::start().unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        let first = executor.run(move || (name(), std::thread::current().id())).await.unwrap();
        let second = executor.run(move || (name(), std::thread::current().id())).await.unwrap();
        assert_eq!((first.0.as_deref(), first.1), (Some("disk"), second.1));
    }

    #[tokio::test]
    async fn s10_a_thread_that_died_is_told() {
        let executor = Executor::start().unwrap();
        assert!(executor.run(|| panic!("on purpose")).await.is_err());
        assert!(executor.run(|| 1).await.is_err());
    }
}
