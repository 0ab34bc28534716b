//! Makes what the archive of a release has beside the program: a man page, and completions for bash, zsh and fish.
//!
//! ```sh
//! cargo run --example pages -- DIR
//! ```

mod made;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("pages: expected the folder to write to");
        return ExitCode::from(2);
    };
    match std::fs::create_dir_all(&folder).and_then(|()| made::write(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pages: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
