//! The table of settings as the end of `--help`.

use std::fmt::Write;

use crate::config::group::Group;
use crate::config::profiles::PROFILES;
use crate::config::read::numbers::bounds_of;
use crate::config::table::{Fallback, SETTINGS, Setting};

/// Columns of the help text.
const WIDTH: usize = 96;
/// Column at which meanings start. A longer name stands on a line of its own.
const INDENT: usize = 24;

/// The variables as the end of `--help`, grouped, at most 96 columns wide.
pub(crate) fn variables() -> String {
    let mut text = "Settings are environment variables; a flag beats its variable. Empty means unset.\n".to_owned();
    for group in Group::ALL {
        push(&mut text, format_args!("\n{}:\n", group.title()));
        for setting in in_group(group) {
            push(&mut text, format_args!("  {:<1$}", setting.name, INDENT - 2));
            if setting.name.len() > INDENT - 4 {
                push(&mut text, format_args!("\n{}", " ".repeat(INDENT)));
            }
            let meaning = format!("{} [{}]", setting.meaning, bracket(setting));
            let lines = wrapped(&meaning, WIDTH - INDENT);
            push(&mut text, format_args!("{}\n", lines.join(&format!("\n{}", " ".repeat(INDENT)))));
        }
    }
    for profile in PROFILES.iter().filter(|profile| !profile.defaults.is_empty()) {
        push(&mut text, format_args!("\nOther defaults with PROFILE={}:\n", profile.name));
        for (name, default) in profile.defaults {
            push(&mut text, format_args!("  {name:<0$}", INDENT - 2));
            push(&mut text, format_args!("{}\n", wrapped(&plain(*default), WIDTH - INDENT).join(&format!("\n{}", " ".repeat(INDENT)))));
        }
    }
    text.push_str(
        "\nExit codes: 0 done or asked to stop, 1 runtime failure, 2 configuration error;\nplan: 0 nothing to do, 1 incomplete, 2 changes pending;\nwith a command behind --: that of the command when it ends by itself.",
    );
    text
}

pub(crate) fn in_group(group: Group) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.group == group)
}

pub(crate) fn bracket(setting: &Setting) -> String {
    let default = match setting.default {
        Fallback::Required => "required".to_owned(),
        other => format!("default: {}", plain(other)),
    };
    let bounds = bounds_of(setting.name).map(|bounds| format!(", {} to {}", bounds.least, bounds.most)).unwrap_or_default();
    let flag = setting.flag.map(|flag| format!("; {flag}")).unwrap_or_default();
    format!("{default}{bounds}{flag}")
}

fn plain(default: Fallback) -> String {
    match default {
        Fallback::Required => "required".to_owned(),
        Fallback::Value(text) | Fallback::Described(text) => text.to_owned(),
        Fallback::Unset => "unset".to_owned(),
    }
}

/// Lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => push(line, format_args!(" {word}")),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub(crate) fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meanings_are_sentences_that_fit_a_table_row() {
        for Setting { name, meaning, .. } in SETTINGS {
            assert!(meaning.ends_with('.') && !meaning.contains(['|', '<', '`', '*', '\n']), "{name}: {meaning:?}");
        }
    }

    #[test]
    fn help_is_aligned_and_fits_the_width() {
        for line in variables().lines() {
            assert!(line.chars().count() <= WIDTH, "{line:?}");
            let is_entry = line.starts_with("  ");
            let is_name_alone = line.trim().bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            assert!(
                !is_entry || is_name_alone || (line.get(INDENT - 2..INDENT) == Some("  ") && !line[INDENT..].starts_with(' ')),
                "{line:?}"
            );
        }
    }

    #[test]
    fn long_text_is_broken_at_spaces() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaa b", 3), ["aaaaaaa", "b"]);
    }
}
