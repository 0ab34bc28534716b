//! The man page and the completions, made of the command line and the table of settings as the program has them.

use std::io;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::{Generator as _, Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use kube_projector::cli::Cli;

/// Name of the program.
const NAME: &str = "kube-projector";
/// Column at which `--help` says what a setting means.
const MEANING: usize = 24;

/// Writes `kube-projector.1` and the completions, each under the name by which its shell looks for it.
pub fn write(folder: &Path) -> io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut completions = Vec::new();
        generate(shell, &mut Cli::command(), NAME, &mut completions);
        // For bash clap_complete takes the dash in our name for a gap between two commands, in some places and not in others.
        let completions = String::from_utf8_lossy(&completions).replace("kube__subcmd__projector", "kube__projector");
        std::fs::write(folder.join(shell.file_name(NAME)), completions)?;
    }
    std::fs::write(folder.join(format!("{NAME}.1")), page()?)
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let (mut page, man) = (Vec::new(), Man::new(command.clone()));
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut rest = Roff::default();
    rest.control("SH", ["COMMANDS"]);
    command.get_subcommands().for_each(|subcommand| describe(&mut rest, subcommand));
    rest.control("SH", ["ENVIRONMENT"]);
    settings(&mut rest, &command.get_after_long_help().map(ToString::to_string).unwrap_or_default());
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// A subcommand, and the flags that it alone has.
fn describe(page: &mut Roff, command: &Command) {
    page.control("SS", [command.get_name()]);
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    for line in about.lines().filter(|line| !line.is_empty()) {
        page.control("PP", []);
        page.text([roman(line)]);
    }
    let is_own = |argument: &&Arg| !argument.is_global_set() && !["help", "version"].contains(&argument.get_id().as_str());
    for argument in command.get_arguments().filter(is_own) {
        page.control("TP", []);
        page.text(header(argument));
        page.text([roman(argument.get_help().map(ToString::to_string).unwrap_or_default())]);
    }
}

fn header(argument: &Arg) -> Vec<Inline> {
    let values = argument.get_value_names().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    match (argument.get_long(), values.filter(|_| argument.get_action().takes_values())) {
        (Some(long), Some(values)) => vec![bold(format!("--{long}")), roman(" "), italic(values)],
        (Some(long), None) => vec![bold(format!("--{long}"))],
        (None, values) => vec![bold("-- "), italic(values.unwrap_or_default())],
    }
}

/// What stands at the end of `--help`: headings, names in the second column, meanings in theirs.
fn settings(page: &mut Roff, help: &str) {
    let is_meaning = |line: &str| line.len() > MEANING && line.bytes().take(MEANING).all(|byte| byte == b' ');
    for line in help.lines().filter(|line| !line.is_empty()) {
        let text = match line.strip_prefix("  ") {
            Some(_) if is_meaning(line) => line.trim_start(),
            Some(entry) => {
                let (name, meaning) = entry.split_once(' ').unwrap_or((entry, ""));
                page.control("TP", []).text([bold(name)]);
                meaning.trim_start()
            }
            None if line.ends_with(':') => {
                page.control("SS", [line.trim_end_matches(':')]);
                ""
            }
            None => {
                page.control("PP", []);
                line
            }
        };
        if !text.is_empty() {
            page.text([roman(text)]);
        }
    }
}
