//! Makes whole files under temporary names.

use std::io;

use crate::core::policy::Durability;
use crate::disk::fs::Fs;
use crate::disk::{mount, write_all};

/// Makes a whole file with a temporary name, closed.
///
/// Closed before it gets its last name: who waits for the end of a write by inotify shall not see one after the rename.
pub(super) fn fill_temp<F: Fs>(
    fs: &mut F,
    folder: &F::Handle,
    temp: &str,
    bytes: &[u8],
    as_wanted: (u16, bool, Durability),
    mark: &mut dyn FnMut(&mut F, &F::Handle),
) -> io::Result<()> {
    if let Some(file) = fs.create_nameless(folder)? {
        write_all(fs, &file, bytes)?;
        mark(fs, &file);
        complete(fs, &file, as_wanted)?;
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
    mark: &mut dyn FnMut(&mut F, &F::Handle),
) -> io::Result<()> {
    let file = match fs.create(folder, temp) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.unlink(folder, temp)?;
            fs.create(folder, temp)?
        }
        file => file?,
    };
    write_all(fs, &file, bytes)?;
    mark(fs, &file);
    complete(fs, &file, as_wanted)
}

/// What makes a written file a whole one.
fn complete<F: Fs>(fs: &mut F, file: &F::Handle, as_wanted: (u16, bool, Durability)) -> io::Result<()> {
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
