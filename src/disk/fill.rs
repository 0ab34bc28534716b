//! Makes whole files under temporary names.

use std::io;

use crate::core::policy::Durability;
use crate::disk::fs::Fs;
use crate::disk::{mount, write_all};

/// Marks a file as ours, where that is needed.
pub(super) type Mark<'a, F> = &'a mut dyn FnMut(&mut F, &<F as Fs>::Handle);

/// Makes a whole file with a temporary name, closed.
///
/// Closed before it gets its last name: who waits for the end of a write by inotify shall not see one after the rename.
pub(super) fn fill_temp<F: Fs>(
    fs: &mut F,
    folder: &F::Handle,
    temp: &str,
    bytes: &[u8],
    as_wanted: (u16, bool, Durability),
    mark: Mark<'_, F>,
) -> io::Result<()> {
    if let Some(file) = fs.create_nameless(folder)? {
        complete(fs, &file, bytes, as_wanted, mark)?;
        match fs.give_name(folder, &file, temp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs.unlink(folder, temp)?;
                return fs.give_name(folder, &file, temp);
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            result => return result,
        }
    }
    fill_named(fs, folder, temp, bytes, as_wanted, mark)
}

/// As `fill_temp`, with the name from the start.
pub(super) fn fill_named<F: Fs>(
    fs: &mut F,
    folder: &F::Handle,
    temp: &str,
    bytes: &[u8],
    as_wanted: (u16, bool, Durability),
    mark: Mark<'_, F>,
) -> io::Result<()> {
    let file = match fs.create(folder, temp) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.unlink(folder, temp)?;
            fs.create(folder, temp)?
        }
        file => file?,
    };
    complete(fs, &file, bytes, as_wanted, mark)
}

/// Makes an empty file a whole one. It is marked before it has its mode: later that may not be possible.
fn complete<F: Fs>(fs: &mut F, file: &F::Handle, bytes: &[u8], as_wanted: (u16, bool, Durability), mark: Mark<'_, F>) -> io::Result<()> {
    write_all(fs, file, bytes)?;
    mark(fs, file);
    let (mode, spares_modes, durability) = as_wanted;
    match fs.set_mode(file, mode) {
        // Whether it matters is seen once the file is in place.
        Err(error) if spares_modes && mount::is_refusal(&error) => {}
        set => set?,
    }
    match durability {
        Durability::None => Ok(()),
        Durability::Each | Durability::Batch => fs.sync(file),
    }
}
