//! What the file systems beneath FOLDER cannot do, learned from a temporary file of our own, once a device, when something looks odd.
//!
//! Where nothing is odd this costs one look a device.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use crate::core::files::entry::{Replace, is_coarse};
use crate::disk::fs::{Fs, Meta};
use crate::disk::{Disk, temp_name};

/// Something that a file system cannot do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lack {
    /// Files do not keep the mode that they are given: SMB, FAT, NTFS.
    Modes,
    /// Times have whole seconds.
    Times,
    /// Names that differ only in case are one.
    Case,
    /// No call gives a file its name only if nothing has it: no RENAME_NOREPLACE and no hard links.
    Sparing,
}

/// A file system that lacks something, to be told once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OddMount {
    /// A folder on it (`""` is FOLDER).
    pub(crate) folder: String,
    /// What it lacks.
    pub lacks: Vec<Lack>,
}

/// What is known of file systems, by device.
#[derive(Default)]
pub(super) struct KnownMounts {
    known: BTreeMap<u64, Mount>,
    untold: Vec<OddMount>,
}

#[derive(Default)]
struct Mount {
    /// A file was looked for by its name in other letters.
    is_cased: bool,
    /// Nothing where nothing odd was seen yet.
    lacks: Option<Vec<Lack>>,
    told: bool,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modes => "files have the modes that the mount gives them",
            Self::Times => "times have whole seconds, so that each RESYNC reads every file",
            Self::Case => "of files whose names differ only in case one is written",
            Self::Sparing => {
                "a foreign file that appears just when a new file is written may be replaced, and ADOPT=never or equal cannot be kept"
            }
        })
    }
}

impl fmt::Display for OddMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lacks.iter().enumerate().try_for_each(|(at, lack)| write!(f, "{}{lack}", if at == 0 { "" } else { "; " }))
    }
}

impl KnownMounts {
    fn lacks(&self, device: u64, lack: Lack) -> bool {
        self.of(device).is_some_and(|lacks| lacks.contains(&lack))
    }

    fn of(&self, device: u64) -> Option<&Vec<Lack>> {
        self.known.get(&device)?.lacks.as_ref()
    }

    fn learn(&mut self, device: u64, folder: &str, lacks: Vec<Lack>) {
        let mount = self.known.entry(device).or_default();
        mount.lacks = Some(lacks.clone());
        if !lacks.is_empty() && !std::mem::replace(&mut mount.told, true) {
            self.untold.push(OddMount { folder: folder.to_owned(), lacks });
        }
    }
}

impl<F: Fs> Disk<F> {
    /// File systems that were found to lack something since this was asked last.
    pub(crate) fn take_odd(&mut self) -> Vec<OddMount> {
        std::mem::take(&mut self.mounts.untold)
    }

    /// Whether names that differ only in case are one in a folder, as far as is known. Costs nothing where this is so nowhere.
    pub(crate) fn ignores_case(&mut self, folder: &str) -> bool {
        let somewhere = self.mounts.known.keys().any(|device| self.mounts.lacks(*device, Lack::Case));
        somewhere && self.device(folder).is_some_and(|device| self.mounts.lacks(device, Lack::Case))
    }

    /// Whether a new file in a folder can be given its name without replacing another. `true` where that cannot be found out.
    pub(crate) fn can_spare(&mut self, folder: &str) -> bool {
        self.probe(folder, 0o644, true);
        !self.device(folder).is_some_and(|device| self.mounts.lacks(device, Lack::Sparing))
    }

    /// Notes that a folder's file system had no call to spare what is there.
    pub(super) fn cannot_spare(&mut self, folder: &str) {
        if self.device(folder).is_some_and(|device| !self.mounts.lacks(device, Lack::Sparing)) {
            self.probe(folder, 0o644, true);
        }
    }

    /// Whether the error means that modes cannot be set in a folder at all.
    pub(super) fn takes_no_modes(&mut self, folder: &str, error: &io::Error) -> bool {
        if !is_refusal(error) {
            return false;
        }
        let Some(device) = self.device(folder) else { return false };
        if !self.mounts.lacks(device, Lack::Modes) {
            self.probe(folder, 0o644, false);
        }
        self.mounts.lacks(device, Lack::Modes)
    }

    /// Whether a file that was found has the wanted mode, or none that could be set.
    pub(super) fn has_mode(&mut self, folder: &str, name: &str, meta: &Meta, wanted: u16) -> bool {
        self.meet(folder, name, meta);
        if meta.mode != wanted && self.mounts.of(meta.identity.0).is_none() {
            self.probe(folder, wanted, false);
        }
        meta.mode == wanted || self.ignores_modes(meta)
    }

    /// Whether a file that was just written has its mode, or none that could be set.
    pub(super) fn got_mode(&mut self, folder: &str, name: &str, meta: &Meta, wanted: u16) -> bool {
        self.meet(folder, name, meta);
        if meta.mode != wanted && !self.ignores_modes(meta) {
            // Also where other modes were kept: some may be refused without a word.
            self.probe(folder, wanted, false);
        }
        meta.mode == wanted || self.ignores_modes(meta)
    }

    /// Whether modes of the file's file system are of no account.
    pub(super) fn ignores_modes(&self, meta: &Meta) -> bool {
        self.mounts.lacks(meta.identity.0, Lack::Modes)
    }

    /// Looks for what is odd about the first file of a device: it may be found in other letters too, and its times be coarse.
    fn meet(&mut self, folder: &str, name: &str, meta: &Meta) {
        let device = meta.identity.0;
        if !self.makes {
            return;
        }
        let is_cased = self.mounts.known.get(&device).is_some_and(|mount| mount.is_cased);
        let other = if is_cased { None } else { in_other_letters(name) };
        if let Some(other) = other {
            self.mounts.known.entry(device).or_default().is_cased = true;
            if self.in_folder(folder, |fs, handle| fs.look(handle, &other)).is_ok() {
                self.probe(folder, meta.mode, true);
            }
        }
        if is_coarse(meta.changed) && self.mounts.of(device).is_none() {
            self.probe(folder, meta.mode, false);
        }
    }

    /// Learns what a folder's file system lacks; nothing if it lets us write nothing.
    fn probe(&mut self, folder: &str, mode: u16, fully: bool) {
        if !self.makes {
            return;
        }
        let names = [self.next_temp(), self.next_temp()];
        let mut left = Vec::new();
        let found = self.apart_from(folder, |fs, handle| {
            let device = fs.meta(handle)?.identity.0;
            let lacks = examine(fs, handle, &names, mode, fully);
            left = names.into_iter().filter(|name| is_left(&fs.unlink(handle, name))).collect();
            Ok((device, lacks?))
        });
        self.leftovers.extend(left.into_iter().map(|name| (folder.to_owned(), name)));
        if let Ok((device, lacks)) = found {
            self.mounts.learn(device, folder, lacks);
        }
    }

    pub(super) fn next_temp(&mut self) -> String {
        self.temps += 1;
        temp_name(&self.id, self.temps)
    }
}

/// What file systems without modes, and those that give all files to somebody else, say when one is to be set.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

fn is_left(unlinked: &io::Result<()>) -> bool {
    unlinked.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
}

/// Asks a file of our own, which has no name where that can be: who sets the modes of whole trees does not meet it.
/// What takes a name is asked if it must be, or where something is odd anyway.
fn examine<F: Fs>(fs: &mut F, folder: &F::Handle, names: &[String; 2], mode: u16, fully: bool) -> io::Result<Vec<Lack>> {
    let [name, other] = names;
    let nameless = fs.create_nameless(folder)?;
    let mut named = nameless.is_none();
    let file = match nameless {
        Some(file) => file,
        None => fs.create(folder, name)?,
    };
    let mut lacks = Vec::new();
    for mode in [0o640, 0o604, mode] {
        // Twice: a file with a name may be met by somebody.
        if !lacks.contains(&Lack::Modes) && !keeps_mode(fs, &file, mode)? && !keeps_mode(fs, &file, mode)? {
            lacks.push(Lack::Modes);
        }
    }
    if is_coarse(fs.meta(&file)?.changed) {
        lacks.push(Lack::Times);
    }
    if lacks.is_empty() && !fully {
        return Ok(lacks);
    }
    if !named {
        named = match fs.give_name(folder, &file, name) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => false,
            given => given.map(|()| true)?,
        };
    }
    if !named {
        fs.create(folder, name)?;
    }
    if fs.look(folder, &name.to_ascii_uppercase()).is_ok() {
        lacks.push(Lack::Case);
    }
    match fs.rename(folder, name, other, Replace::Nothing) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => lacks.push(Lack::Sparing),
        renamed => renamed?,
    }
    Ok(lacks)
}

fn keeps_mode<F: Fs>(fs: &mut F, file: &F::Handle, mode: u16) -> io::Result<bool> {
    match fs.set_mode(file, mode) {
        Err(error) if is_refusal(&error) => return Ok(false),
        set => set?,
    }
    Ok(fs.meta(file)?.mode == mode)
}

/// The name with every letter in the other case, if it has one.
fn in_other_letters(name: &str) -> Option<String> {
    let turn = |letter: char| if letter.is_ascii_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
    let other: String = name.chars().map(turn).collect();
    (other != name).then_some(other)
}

/// Gives a new file its name where the file system has no call that leaves a name alone: a look, then a plain rename. What appears
/// between the two is replaced, so this is not done where ADOPT promises that it never is.
pub(super) fn look_and_rename<F: Fs>(fs: &mut F, folder: &F::Handle, temp: &str, name: &str, keeps_foreign: bool) -> io::Result<()> {
    if keeps_foreign {
        return Err(io::Error::new(io::ErrorKind::Unsupported, CANNOT_SPARE));
    }
    match fs.look(folder, name) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs.rename(folder, temp, name, Replace::Ours),
        Err(error) => Err(error),
    }
}

/// Why ADOPT cannot be kept, for people.
pub(crate) const CANNOT_SPARE: &str =
    "this file system can neither rename without replacing nor make hard links, as ADOPT=never and ADOPT=equal need: use ADOPT=overwrite";

/// Whether an open file that is made longer shows so at a name, which tells more than inode numbers where they differ: those of some
/// file systems change by themselves. Nobody else may write to the file.
pub(super) fn shows_at<F: Fs>(fs: &mut F, file: &F::Handle, folder: &F::Handle, name: &str) -> bool {
    let Ok(Meta { length, .. }) = fs.meta(file) else { return false };
    if fs.look(folder, name).map(|there| there.length).ok() != Some(length) {
        return false;
    }
    // Should we die before it is taken back, it is skipped as a broken record.
    let longer = fs.truncate(file, length + 1);
    let shows = fs.look(folder, name).is_ok_and(|there| there.length == length + 1);
    let back = fs.truncate(file, length);
    longer.is_ok() && back.is_ok() && shows
}

/// Whether a name made in one folder is found in the other: whether both are the same, whatever their numbers say.
pub(super) fn is_same_folder<F: Fs>(fs: &mut F, one: &F::Handle, other: &F::Handle, name: &str) -> bool {
    let made = fs.create(one, name).is_ok();
    let found = made && fs.look(other, name).is_ok();
    made && fs.unlink(one, name).is_ok() && found
}
