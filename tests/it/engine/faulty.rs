//! The kernel's file system, counted, with one fault: it dies at a call, or answers some calls with an error.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

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

    /// The name that a file has, where case does not count.
    fn named(&mut self, folder: &OwnedFd, name: &str) -> String {
        if !self.control.state().ignores_case {
            return name.to_owned();
        }
        let names = self.kernel.names(folder).unwrap();
        names.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or_else(|| name.to_owned())
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
        self.kernel.look_root(path)
    }

    fn open_folder(&mut self, root: &OwnedFd, relative: &str, confine: Confine) -> io::Result<OwnedFd> {
        self.control.step("open_folder")?;
        self.kernel.open_folder(root, relative, confine)
    }

    fn look(&mut self, folder: &OwnedFd, name: &str) -> io::Result<Meta> {
        self.control.step("look")?;
        let name = self.named(folder, name);
        self.kernel.look(folder, &name)
    }

    fn meta(&mut self, file: &OwnedFd) -> io::Result<Meta> {
        self.control.step("meta")?;
        self.kernel.meta(file)
    }

    fn open(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        self.control.step("open")?;
        let name = self.named(folder, name);
        self.kernel.open(folder, &name)
    }

    fn open_append(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        self.control.step("open_append")?;
        self.kernel.open_append(folder, name)
    }

    fn create(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        self.control.step("create")?;
        self.kernel.create(folder, name)
    }

    fn create_nameless(&mut self, folder: &OwnedFd) -> io::Result<Option<OwnedFd>> {
        self.control.step("create_nameless")?;
        self.kernel.create_nameless(folder)
    }

    fn give_name(&mut self, folder: &OwnedFd, file: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("give_name")?;
        self.kernel.give_name(folder, file, name)
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
        self.kernel.set_mode(file, mode)
    }

    fn rename(&mut self, folder: &OwnedFd, from: &str, to: &str, over: bool) -> io::Result<()> {
        self.control.step("rename")?;
        let to = self.named(folder, to);
        self.kernel.rename(folder, from, &to, over)?;
        self.control.tell("rename", &to);
        Ok(())
    }

    fn unlink(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("unlink")?;
        let name = self.named(folder, name);
        self.kernel.unlink(folder, &name)?;
        self.control.tell("unlink", &name);
        Ok(())
    }

    fn make_folder(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("make_folder")?;
        self.kernel.make_folder(folder, name)
    }

    fn remove_folder(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        self.control.step("remove_folder")?;
        self.kernel.remove_folder(folder, name)
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

    fn lock(&mut self, file: &OwnedFd) -> io::Result<bool> {
        self.control.step("lock")?;
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
