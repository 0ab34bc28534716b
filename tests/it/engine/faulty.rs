//! The kernel's file system, counted, with one fault: it dies at a call, or answers some calls with an error.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use kube_projector::core::files::entry::Replace;
use kube_projector::disk::fs::{Confine, Fs, Kernel, Meta};
use rustix::io::Errno;

/// What goes wrong, counted in calls since the file system was made.
#[derive(Clone, Copy, Default, Debug)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// This call and all after it have no effect: the process is dead.
    Dies { at: usize },
    /// So many calls from this one on fail and have no effect.
    Fails { at: usize, calls: usize, errno: Errno },
    /// So many calls from this one on write only half of what they are given.
    Short { at: usize, calls: usize },
    /// The first write from this call on writes only half, and so many calls after it fail: also those that would tidy up.
    Tears { at: usize, calls: usize },
    /// After so many writes and new folders, each fails until a file with a name of its own is removed.
    Full { writes: usize, errno: Errno },
    /// After so many writes and new folders, each fails.
    Refuses { writes: usize, errno: Errno },
}

/// Called before each call.
type Before = Box<dyn FnMut() + Send>;

/// Called after each call that put a file in its place or took it away: the call, and the name.
type Watch = Box<dyn FnMut(&'static str, &str) + Send>;

#[derive(Default)]
struct State {
    calls: usize,
    fault: Fault,
    struck: Option<&'static str>,
    torn: Option<usize>,
    written: usize,
    ignores_case: bool,
    watch: Option<Watch>,
    before: Option<Before>,
    odd: Odd,
    numbers: u64,
}

/// What other file systems do differently.
#[derive(Clone, Copy, Default, Debug)]
pub struct Odd {
    /// It can neither rename without replacing nor make hard links.
    pub plain: bool,
    /// Files and folders have mode 777 and belong to nobody, whatever is set: without a word, or with EPERM.
    pub modes: Option<Modes>,
    /// Times have whole seconds.
    pub coarse: bool,
    /// A file has another inode number each time that it is asked for.
    pub renumbers: bool,
    /// Names are found whatever the case of their letters, by each spelling with another inode number.
    pub caseless: bool,
    /// No file can be locked.
    pub lockless: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Modes {
    Ignored,
    Refused,
}

/// Shared between a test and the file system that it gave to the engine.
#[derive(Clone, Default)]
pub struct Control(Arc<Mutex<State>>);

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn set(&self, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.struck, state.torn, state.written) = (fault, None, None, 0);
    }

    /// Names that differ only in case lead to one file from now on.
    pub fn ignore_case(&self) {
        self.state().ignores_case = true;
    }

    /// Looks at what the disk holds after each call that put a file in its place or took it away.
    pub fn watch(&self, watch: impl FnMut(&'static str, &str) + Send + 'static) {
        self.state().watch = Some(Box::new(watch));
    }

    /// Looks at what the disk holds before each call.
    pub fn before(&self, before: impl FnMut() + Send + 'static) {
        self.state().before = Some(Box::new(before));
    }

    fn tell(&self, call: &'static str, name: &str) {
        let mut state = self.state();
        let is_ours = name.starts_with(".kube-projector.");
        if call == "unlink" && !is_ours && matches!(state.fault, Fault::Full { .. }) {
            state.fault = Fault::None;
        }
        if let Some(watch) = state.watch.as_mut().filter(|_| !is_ours) {
            watch(call, name);
        }
    }

    /// Whether modes cannot be set.
    pub fn ignores_modes(&self) -> bool {
        self.odd().modes.is_some()
    }

    /// What the file system does differently from now on.
    pub fn be(&self, odd: Odd) {
        self.state().odd = odd;
    }

    pub fn odd(&self) -> Odd {
        self.state().odd
    }

    /// What an odd file system makes of this.
    fn shown(&self, mut meta: Meta) -> Meta {
        let mut state = self.state();
        if state.odd.modes.is_some() {
            (meta.mode, meta.owner) = (0o777, 65_534);
        }
        if state.odd.coarse {
            meta.changed -= meta.changed % 1_000_000_000;
        }
        if state.odd.renumbers {
            state.numbers += 1;
            meta.identity.1 = state.numbers;
        }
        meta
    }

    /// Dies after so many more calls.
    pub fn die_after(&self, calls: usize) {
        let at = self.calls() + calls;
        self.set(Fault::Dies { at });
    }

    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// The call that the fault hit first.
    pub fn struck(&self) -> Option<&'static str> {
        self.state().struck
    }

    pub fn is_dead(&self) -> bool {
        let state = self.state();
        matches!(state.fault, Fault::Dies { .. }) && state.struck.is_some()
    }

    /// Counts a call. `Ok(true)`: a write that must be short.
    fn step(&self, call: &'static str) -> io::Result<bool> {
        let before = self.state().before.take();
        if let Some(mut before) = before {
            before();
            self.state().before = Some(before);
        }
        let mut state = self.state();
        let index = state.calls;
        state.calls += 1;
        let within = |at: usize, calls: usize| (at..at.saturating_add(calls)).contains(&index);
        let (hit, result) = match state.fault {
            Fault::Dies { at } if index >= at => (true, Err(Errno::IO.into())),
            Fault::Fails { at, calls, errno } if within(at, calls) => (true, Err(errno.into())),
            Fault::Short { at, calls } if call == "write" && within(at, calls) => (true, Ok(true)),
            Fault::Tears { at, .. } if call == "write" && index >= at && state.torn.is_none() => {
                state.torn = Some(index);
                (true, Ok(true))
            }
            Fault::Full { writes, errno } | Fault::Refuses { writes, errno } if matches!(call, "write" | "make_folder") => {
                state.written += 1;
                let hit = state.written > writes;
                (hit, if hit { Err(errno.into()) } else { Ok(false) })
            }
            Fault::Tears { calls, .. } if state.torn.is_some_and(|torn| within(torn + 1, calls)) => (true, Err(Errno::IO.into())),
            _ => (false, Ok(false)),
        };
        if hit {
            state.struck.get_or_insert(call);
        }
        result
    }
}

/// See the module's header.
#[derive(Default)]
pub struct Faulty {
    kernel: Kernel,
    control: Control,
}

impl Faulty {
    pub fn new(control: &Control) -> Self {
        Self { kernel: Kernel::default(), control: control.clone() }
    }

    /// The name as it stands in the folder.
    fn spelled(&mut self, folder: &OwnedFd, name: &str) -> String {
        let there = if self.control.odd().caseless || self.control.state().ignores_case {
            self.kernel.names(folder).unwrap_or_default()
        } else {
            Vec::new()
        };
        there.into_iter().find(|there| there.to_lowercase() == name.to_lowercase()).unwrap_or_else(|| name.to_owned())
    }
}

impl Fs for Faulty {
    type Handle = OwnedFd;

    fn open_root(&mut self, path: &Path, make: Option<u16>) -> io::Result<OwnedFd> {
        self.control.step("open_root")?;
        self.kernel.open_root(path, make)
    }

    fn look_root(&mut self, path: &Path) -> io::Result<Meta> {
        self.control.step("look_root")?;
        Ok(self.control.shown(self.kernel.look_root(path)?))
    }

    fn open_folder(&mut self, root: &OwnedFd, relative: &str, confine: Confine) -> io::Result<OwnedFd> {
        self.control.step("open_folder")?;
        if !self.control.odd().caseless {
            return self.kernel.open_folder(root, relative, confine);
        }
        let mut folder = self.kernel.open_folder(root, "", confine)?;
        for component in relative.split('/') {
            let name = self.spelled(&folder, component);
            folder = self.kernel.open_folder(&folder, &name, confine)?;
        }
        Ok(folder)
    }

    fn look(&mut self, folder: &OwnedFd, name: &str) -> io::Result<Meta> {
        self.control.step("look")?;
        let spelled = self.spelled(folder, name);
        let mut meta = self.control.shown(self.kernel.look(folder, &spelled)?);
        if spelled != name && self.control.odd().caseless {
            // As exfat-fuse has it.
            meta.identity.1 ^= 1 << 40;
        }
        Ok(meta)
    }

    fn meta(&mut self, file: &OwnedFd) -> io::Result<Meta> {
        self.control.step("meta")?;
        Ok(self.control.shown(self.kernel.meta(file)?))
    }

    fn open(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        self.control.step("open")?;
        let name = self.spelled(folder, name);
        self.kernel.open(folder, &name)
    }

    fn open_append(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        self.control.step("open_append")?;
        let name = self.spelled(folder, name);
        self.kernel.open_append(folder, &name)
    }

    fn create(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        self.control.step("create")?;
        let name = self.spelled(folder, name);
        self.kernel.create(folder, &name)
    }

    fn create_nameless(&mut self, folder: &OwnedFd) -> io::Result<Option<OwnedFd>> {
        self.control.step("create_nameless")?;
        self.kernel.create_nameless(folder)
    }

    fn give_name(&mut self, folder: &OwnedFd, file: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("give_name")?;
        let name = self.spelled(folder, name);
        self.kernel.give_name(folder, file, &name)
    }

    fn read(&mut self, file: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        self.control.step("read")?;
        self.kernel.read(file, buffer)
    }

    fn write(&mut self, file: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        let short = self.control.step("write")?;
        let length = if short { bytes.len().div_ceil(2) } else { bytes.len() };
        self.kernel.write(file, &bytes[..length])
    }

    fn set_mode(&mut self, file: &OwnedFd, mode: u16) -> io::Result<()> {
        self.control.step("set_mode")?;
        match self.control.odd().modes {
            None => self.kernel.set_mode(file, mode),
            Some(Modes::Ignored) => Ok(()),
            Some(Modes::Refused) => Err(Errno::PERM.into()),
        }
    }

    fn rename(&mut self, folder: &OwnedFd, from: &str, to: &str, replace: Replace) -> io::Result<()> {
        self.control.step("rename")?;
        if replace == Replace::Nothing && self.control.odd().plain {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let (from, to) = (self.spelled(folder, from), self.spelled(folder, to));
        self.kernel.rename(folder, &from, &to, replace)?;
        self.control.tell("rename", &to);
        Ok(())
    }

    fn bring(&mut self, from: (&OwnedFd, &str), (folder, to): (&OwnedFd, &str), replace: Replace) -> io::Result<()> {
        self.control.step("bring")?;
        if replace == Replace::Nothing && self.control.odd().plain {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let to = self.spelled(folder, to);
        self.kernel.bring(from, (folder, &to), replace)?;
        self.control.tell("rename", &to);
        Ok(())
    }

    fn unlink(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("unlink")?;
        let name = self.spelled(folder, name);
        self.kernel.unlink(folder, &name)?;
        self.control.tell("unlink", &name);
        Ok(())
    }

    fn make_folder(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("make_folder")?;
        let name = self.spelled(folder, name);
        self.kernel.make_folder(folder, &name)
    }

    fn remove_folder(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("remove_folder")?;
        let name = self.spelled(folder, name);
        self.kernel.remove_folder(folder, &name)
    }

    fn names(&mut self, folder: &OwnedFd) -> io::Result<Vec<String>> {
        self.control.step("names")?;
        self.kernel.names(folder)
    }

    fn truncate(&mut self, file: &OwnedFd, length: u64) -> io::Result<()> {
        self.control.step("truncate")?;
        self.kernel.truncate(file, length)
    }

    /// Counted, but not done: a process that dies loses nothing that it wrote.
    fn sync(&mut self, _: &OwnedFd) -> io::Result<()> {
        self.control.step("sync").map(drop)
    }

    fn mount(&mut self, folder: &OwnedFd) -> io::Result<u64> {
        self.control.step("mount")?;
        self.kernel.mount(folder)
    }

    fn mark(&mut self, file: &OwnedFd, mark: &[u8]) -> io::Result<()> {
        self.control.step("mark")?;
        self.kernel.mark(file, mark)
    }

    fn marked(&mut self, file: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
        self.control.step("marked")?;
        self.kernel.marked(file)
    }

    fn lock(&mut self, file: &OwnedFd) -> io::Result<bool> {
        self.control.step("lock")?;
        if self.control.odd().lockless {
            return Err(Errno::NOLCK.into());
        }
        // Other tests start processes: between fork and exec a child holds every descriptor of ours, those of a dead engine too.
        for _ in 0..200 {
            if self.kernel.lock(file)? {
                return Ok(true);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.kernel.lock(file)
    }
}
