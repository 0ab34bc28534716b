//! Which files are wanted, and which of them is asked for next. Asks nobody and reads no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::read::origin::Origin;
use crate::core::memory::give_back;
use crate::core::object::remote::RemoteFiles;
use crate::core::object::{ObjectKey, Payload};
use crate::core::path::TargetPath;
use crate::core::retry::Attempts;
use crate::web::Validators;
use crate::web::address::{Secrecy, quoted};
use crate::web::error::WebError;

/// Questions under way at once.
const ASKING_MAX: usize = 4;
/// Questions under way at once to one server.
const ASKING_MAX_PER_SERVER: usize = 2;

/// Which file.
pub(super) type Name = (Arc<ObjectKey>, TargetPath);

/// What is asked for a file.
pub(super) struct FileQuestion {
    url: Payload,
    pub(crate) ticket: u64,
    /// Nothing: the bytes are wanted in any case.
    pub(crate) validators: Option<Validators>,
}

/// One wanted file.
pub(super) struct File {
    url: Payload,
    pub(crate) ticket: u64,
    server: Option<Origin>,
    pub(crate) validators: Validators,
    pub(crate) attempts: Attempts,
    /// Whether its failure was told.
    pub(crate) failing: bool,
    state: DownloadState,
}

enum DownloadState {
    /// It is asked for then.
    Due(Instant),
    /// The attempt with this number is under way.
    Asking(u64, Option<AbortHandle>),
    /// It is not asked for any more.
    Done,
}

/// All wanted files.
#[derive(Default)]
pub(super) struct Book {
    files: HashMap<Arc<ObjectKey>, BTreeMap<TargetPath, File>>,
    servers: HashMap<Option<Origin>, Server>,
    asking: usize,
    serial: u64,
}

#[derive(Default)]
struct Server {
    due: BTreeSet<(Instant, Name)>,
    asking: usize,
}

impl FileQuestion {
    /// The URL as text.
    pub(crate) fn url(&self) -> Result<&str, WebError> {
        text(&self.url).ok_or(WebError::Url)
    }
}

impl File {
    /// Whether a round is under way: an attempt, or the pause after one.
    fn is_asked_for(&self) -> bool {
        match self.state {
            DownloadState::Asking(..) => true,
            DownloadState::Due(_) => self.attempts != Attempts::default(),
            DownloadState::Done => false,
        }
    }

    /// Its URL as the lines may show it that are quoted from the original.
    pub(crate) fn quoted(&self, secrecy: Secrecy) -> String {
        quoted(text(&self.url).unwrap_or_default(), secrecy)
    }
}

fn text(url: &Payload) -> Option<&str> {
    std::str::from_utf8(url.bytes()).ok().map(str::trim)
}

impl Book {
    /// Replaces what an object wanted. Questions that are the same go on; one that has failed for good is asked again if so told.
    pub(crate) fn want(&mut self, wanted: RemoteFiles, asks_failed_again: bool, now: Instant) {
        let RemoteFiles { key, files } = wanted;
        let mut before = self.files.remove(&key).unwrap_or_default();
        let mut after = BTreeMap::new();
        for remote in files {
            let name = (Arc::clone(&key), remote.path.clone());
            let same = |old: &File| old.ticket == remote.ticket && old.url == remote.url;
            let file = match before.remove(&remote.path) {
                Some(mut old) if same(&old) => {
                    if asks_failed_again && old.failing && matches!(old.state, DownloadState::Done) {
                        old.attempts = Attempts::default();
                        self.schedule(&name, &mut old, now);
                    }
                    old
                }
                old => {
                    old.iter().for_each(|old| self.call_off(&name, old));
                    let failing = old.is_some_and(|old| old.failing && old.url == remote.url);
                    let server = text(&remote.url).and_then(Origin::parse);
                    let (validators, attempts) = Default::default();
                    let mut file =
                        File { url: remote.url, ticket: remote.ticket, server, validators, attempts, failing, state: DownloadState::Done };
                    self.schedule(&name, &mut file, now);
                    file
                }
            };
            after.insert(remote.path, file);
        }
        for (path, old) in before {
            self.call_off(&(Arc::clone(&key), path), &old);
        }
        if !after.is_empty() {
            self.files.insert(key, after);
        }
        give_back(&mut self.files);
    }

    /// Forgets what is known of a file and asks for it at once. A round that brings the bytes in any case goes on: whoever asks again
    /// and again would never see the end of a slow one.
    pub(crate) fn again(&mut self, name: &Name, now: Instant) {
        let Some(mut file) = self.take(name) else { return };
        if file.is_asked_for() && file.validators == Validators::default() {
            return self.put(name, file);
        }
        self.call_off(name, &file);
        file.validators = Validators::default();
        file.attempts = Attempts::default();
        self.schedule(name, &mut file, now);
        self.put(name, file);
    }

    /// When something is due that could be asked for, as far as there are slots.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.first().map(|(at, _)| at)
    }

    /// Takes what has been due for longest and marks it as asked for.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Name, u64, FileQuestion)> {
        let (_, name) = self.first().filter(|(at, _)| *at <= now)?;
        let name = name.clone();
        let mut file = self.take(&name)?;
        self.call_off(&name, &file);
        self.serial += 1;
        self.asking += 1;
        self.servers.entry(file.server.clone()).or_default().asking += 1;
        file.state = DownloadState::Asking(self.serial, None);
        let validators = Some(file.validators.clone()).filter(|validators| *validators != Validators::default());
        let question = FileQuestion { url: file.url.clone(), ticket: file.ticket, validators };
        self.put(&name, file);
        Some((name, self.serial, question))
    }

    /// Notes how the attempt under way can be called off.
    pub(crate) fn started(&mut self, (key, path): &Name, handle: AbortHandle) {
        if let Some(DownloadState::Asking(_, place)) =
            self.files.get_mut(key).and_then(|files| files.get_mut(path)).map(|file| &mut file.state)
        {
            *place = Some(handle);
        }
    }

    /// The file whose attempt has ended, unless the attempt was called off meanwhile.
    pub(crate) fn ended(&mut self, name: &Name, serial: u64) -> Option<&mut File> {
        let (key, path) = name;
        let file = self.files.get_mut(key)?.get_mut(path)?;
        matches!(file.state, DownloadState::Asking(current, _) if current == serial).then_some(file)
    }

    /// Ends a round: the file is asked for again then, or not any more.
    pub(crate) fn rest(&mut self, name: &Name, again: Option<Instant>) {
        let Some(mut file) = self.take(name) else { return };
        self.call_off(name, &file);
        file.attempts = Attempts::default();
        file.state = DownloadState::Done;
        if let Some(at) = again {
            self.schedule(name, &mut file, at);
        }
        self.put(name, file);
    }

    /// Goes on with a round: the file is asked for again then.
    pub(crate) fn retry(&mut self, name: &Name, at: Instant) {
        let Some(mut file) = self.take(name) else { return };
        self.call_off(name, &file);
        self.schedule(name, &mut file, at);
        self.put(name, file);
    }

    fn first(&self) -> Option<(Instant, &Name)> {
        if self.asking >= ASKING_MAX {
            return None;
        }
        let ready = self.servers.values().filter(|server| server.asking < ASKING_MAX_PER_SERVER);
        ready.filter_map(|server| server.due.first()).min().map(|(at, name)| (*at, name))
    }

    fn schedule(&mut self, name: &Name, file: &mut File, at: Instant) {
        file.state = DownloadState::Due(at);
        self.servers.entry(file.server.clone()).or_default().due.insert((at, name.clone()));
    }

    /// Takes the file out of its server's queue, or gives its slot back.
    fn call_off(&mut self, name: &Name, file: &File) {
        let Some(server) = self.servers.get_mut(&file.server) else { return };
        match &file.state {
            DownloadState::Due(at) => {
                server.due.remove(&(*at, name.clone()));
            }
            DownloadState::Asking(_, handle) => {
                server.asking -= 1;
                self.asking -= 1;
                // One that has ended already does not mind.
                handle.iter().for_each(AbortHandle::abort);
            }
            DownloadState::Done => {}
        }
        if server.asking == 0 && server.due.is_empty() {
            self.servers.remove(&file.server);
            give_back(&mut self.servers);
        }
    }

    fn take(&mut self, (key, path): &Name) -> Option<File> {
        self.files.get_mut(key)?.remove(path)
    }

    fn put(&mut self, (key, path): &Name, file: File) {
        self.files.entry(Arc::clone(key)).or_default().insert(path.clone(), file);
    }
}
