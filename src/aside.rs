//! What lies outside FOLDER is looked at aside: on another thread and for a bounded time, because any of it may hang.
//!
//! A file is opened without waiting for anybody, and has to be a regular one of a bounded size. A look that hangs keeps its thread and
//! is never begun a second time: whoever asks meanwhile is told so at once.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use rustix::fs::OFlags;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

/// The largest file that is read.
const BYTES_MAX: u64 = 4 << 20;
/// How long a look may take while we run.
pub(crate) const WITHIN: Duration = Duration::from_secs(2);
/// And before that, when somebody may still be writing what we are to read.
pub const AT_START: Duration = Duration::from_secs(10);

/// What a small regular file holds. Never waits for whoever writes to a FIFO.
///
/// # Errors
/// What is no regular file, or too large.
pub(crate) fn contents(file: &Path) -> io::Result<Vec<u8>> {
    let (file, length) = regular(file)?;
    read(file, length)
}

/// As [`contents`]; what was handed to us by a descriptor may be anything.
///
/// # Errors
/// As [`contents`].
pub fn handed(file: &Path) -> io::Result<Vec<u8>> {
    if is_descriptor(file) { read(File::open(file)?, 0) } else { contents(file) }
}

/// Whether the path leads to a file that was open when we were started.
pub(crate) fn is_descriptor(file: &Path) -> bool {
    file == Path::new("/dev/stdin")
        || file.parent().is_some_and(|folder| [Path::new("/dev/fd"), Path::new("/proc/self/fd")].contains(&folder))
}

/// Whether others may read the file for us.
///
/// # Errors
/// As [`contents`].
pub(crate) fn check(file: &Path) -> io::Result<()> {
    let (_, length) = regular(file)?;
    if length > BYTES_MAX { Err(too_large()) } else { Ok(()) }
}

fn regular(file: &Path) -> io::Result<(File, u64)> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(irregular());
    }
    Ok((file, metadata.len()))
}

/// What is said of a path that leads to no regular file.
pub(crate) fn irregular() -> io::Error {
    io::Error::other("expected a regular file")
}

fn too_large() -> io::Error {
    io::Error::other("expected a small file, this one has more than 4 MiB")
}

fn read(file: File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if length <= BYTES_MAX {
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    }
    if length.max(bytes.len() as u64) > BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

/// Bytes as text.
///
/// # Errors
/// What is no UTF-8.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "expected text in UTF-8"))
}

/// What is to run on another thread.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Work that sends its result. What is received is that, or an error where the work died.
pub(crate) fn answered<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Work, oneshot::Receiver<T>) {
    let (done, result) = oneshot::channel();
    // Whoever asked may have given up.
    (Box::new(move || drop(done.send(work()))), result)
}

/// Does something on another thread. What is received is its result, or an error where it panicked.
///
/// All work is one type to the runtime, whose code for a task is compiled once for each type.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (work, result) = answered(work);
    drop(spawn_blocking(work));
    result
}

/// Does something once on another thread.
///
/// # Errors
/// When it does not end in time. It goes on.
pub async fn once<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    match timeout(patience, spawn(work)).await {
        Ok(done) => done.map_err(io::Error::other),
        Err(_) => Err(hangs()),
    }
}

fn hangs() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it hangs")
}

/// Something that is looked at again and again. Clones share their looks.
pub(crate) struct Look<T>(Arc<Mutex<Option<Running<T>>>>);

/// A look that has not ended.
struct Running<T> {
    until: Instant,
    seen: watch::Receiver<Option<T>>,
}

impl<T> Clone for Look<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Look<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Look<T> {
    /// Looks on another thread, unless it is looked already.
    ///
    /// # Errors
    /// When no look ends in time; at once if one hangs.
    ///
    /// # Cancel safety
    /// The look goes on.
    pub(crate) async fn aside(&self, patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        self.by(patience, async { spawn(work).await.ok() }).await
    }

    /// As [`Look::aside`], by a future that gives nothing where it fails.
    ///
    /// # Errors
    /// As [`Look::aside`].
    pub(crate) async fn by(&self, patience: Duration, work: impl Future<Output = Option<T>> + Send + 'static) -> io::Result<T> {
        let (until, mut seen) = self.join(patience, work);
        let found = timeout_at(until, async { seen.wait_for(Option::is_some).await.ok().and_then(|found| found.clone()) }).await;
        found.map_err(|_| hangs())?.ok_or_else(|| io::Error::other("the look failed"))
    }

    fn join(&self, patience: Duration, work: impl Future<Output = Option<T>> + Send + 'static) -> (Instant, watch::Receiver<Option<T>>) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that failed has dropped its end.
        if let Some(Running { until, seen }) = running.as_ref().filter(|running| running.seen.has_changed().is_ok()) {
            return (*until, seen.clone());
        }
        let (sender, seen) = watch::channel(None);
        let until = Instant::now() + patience;
        *running = Some(Running { until, seen: seen.clone() });
        let shared = self.0.clone();
        let looking = async move {
            let found = work.await;
            // Nothing is kept: it may be secret.
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if found.is_some() {
                sender.send_replace(found);
            }
        };
        tokio::spawn(looking.boxed());
        (until, seen)
    }
}

/// A small regular file that is read again and again.
#[derive(Clone)]
pub(crate) struct SmallFile {
    path: PathBuf,
    look: Look<Result<Vec<u8>, Arc<io::Error>>>,
}

impl SmallFile {
    /// Reads nothing yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, look: Look::default() }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds now.
    ///
    /// # Errors
    /// As [`contents`], and when that hangs.
    pub(crate) async fn read(&self, patience: Duration) -> Result<Vec<u8>, Arc<io::Error>> {
        let path = self.path.clone();
        self.look.aside(patience, move || contents(&path).map_err(Arc::new)).await?
    }

    /// As [`SmallFile::read`].
    ///
    /// # Errors
    /// As [`SmallFile::read`], and what is no text.
    pub(crate) async fn text(&self, patience: Duration) -> Result<String, Arc<io::Error>> {
        Ok(text(self.read(patience).await?)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn s5_only_small_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
        assert!(made.success(), "mkfifo is there");
        std::fs::write(path("large"), vec![b'x'; 4 << 20]).unwrap();
        File::create(path("huge")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("large", path("link")).unwrap();
        assert_eq!(contents(&path("link")).unwrap().len(), 4 << 20);
        let why = |path: &Path| contents(path).unwrap_err().to_string();
        for irregular in [path("fifo"), folder.path().to_owned(), "/dev/zero".into(), "/dev/stdin".into()] {
            assert_eq!(why(&irregular), "expected a regular file", "{}", irregular.display());
        }
        assert!(why(&path("huge")).contains("more than 4 MiB") && check(&path("huge")).is_err());
        assert!(why(&path("none")).contains("No such file"));
    }

    #[test]
    fn s5_descriptors_are_known_by_their_paths() {
        for (path, expected) in [("/dev/stdin", true), ("/dev/fd/63", true), ("/proc/self/fd/0", true), ("/dev/zero", false), ("/", false)]
        {
            assert_eq!(is_descriptor(Path::new(path)), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn s5_a_look_that_hangs_is_begun_once_and_waited_for_once() {
        let (look, begun) = (Look::<usize>::default(), Arc::new(AtomicUsize::new(0)));
        let (permit, permitted) = channel::<()>();
        let count = begun.clone();
        let hangs = look.aside(Duration::from_millis(20), move || {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let _ = permitted.recv();
            number
        });
        assert_eq!(hangs.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let count = begun.clone();
        let again = || {
            let count = count.clone();
            look.aside(Duration::from_secs(60), move || count.fetch_add(1, Ordering::SeqCst))
        };
        for _ in 0..3 {
            // Sixty seconds are not waited for: the patience of the one that hangs is over.
            assert_eq!(again().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        permit.send(()).unwrap();
        while look.0.lock().unwrap().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(again().await.unwrap(), 1, "once it has ended it is looked again");
    }

    #[tokio::test]
    async fn s5_whoever_asks_while_it_is_looked_shares_the_look() {
        let (look, begun) = (Look::<usize>::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let count = begun.clone();
            look.aside(Duration::from_secs(60), move || count.fetch_add(1, Ordering::SeqCst))
        };
        let (first, second) = tokio::join!(ask(), ask());
        assert_eq!((first.unwrap(), second.unwrap()), (0, 0));
    }

    #[tokio::test]
    async fn s5_a_look_that_fails_is_no_obstacle_to_the_next() {
        let look = Look::<u8>::default();
        assert!(look.by(Duration::from_secs(60), async { None }).await.is_err());
        assert_eq!(look.aside(Duration::from_secs(60), || 7).await.unwrap(), 7);
    }
}
