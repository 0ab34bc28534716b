//! The table of settings as the end of `--help`.

use std::fmt::Write;

use crate::config::profiles::PROFILES;
use crate::config::setting::{Fallback, Heading, Setting};
use crate::config::table::SETTINGS;

/// Columns of the help text.
const WIDTH: usize = 96;
/// Column at which meanings start. A longer name stands on a line of its own.
const INDENT: usize = 24;

/// The variables as the end of `--help`, grouped, at most 96 columns wide.
pub(crate) fn variables() -> String {
    let mut text = "Settings are environment variables; a flag beats its variable. Empty means unset.\n".to_owned();
    for heading in Heading::ALL {
        push(&mut text, format_args!("\n{}:\n", heading.title()));
        for setting in under(heading) {
            entry(&mut text, setting.name, &format!("{} [{}]", setting.meaning, bracket(setting)));
        }
    }
    for profile in PROFILES.iter().filter(|profile| !profile.defaults.is_empty()) {
        push(&mut text, format_args!("\nOther defaults with PROFILE={}:\n", profile.name));
        for (name, default) in profile.defaults {
            entry(&mut text, name, &plain(*default));
        }
    }
    text.push_str(
        "\nExit codes: 0 done or asked to stop, 1 runtime failure, 2 configuration error;\nplan: 0 nothing to do, 1 incomplete, 2 changes pending;\nwith a command behind --: that of the command when it ends by itself.",
    );
    text
}

fn entry(text: &mut String, name: &str, meaning: &str) {
    let line_break = format!("\n{}", " ".repeat(INDENT));
    let gap = if name.len() > INDENT - 4 { line_break.as_str() } else { "" };
    push(text, format_args!("  {name:<0$}{gap}{1}\n", INDENT - 2, wrapped(meaning, WIDTH - INDENT).join(&line_break)));
}

pub(crate) fn under(heading: Heading) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.heading == heading)
}

pub(crate) fn bracket(setting: &Setting) -> String {
    let default = match setting.default {
        Fallback::Required => "required".to_owned(),
        other => format!("default: {}", plain(other)),
    };
    let bounds = setting.bounds.map(|bounds| format!(", {} to {}", bounds.least, bounds.most)).unwrap_or_default();
    let flag = setting.flag.map(|flag| format!("; {}", flag.name)).unwrap_or_default();
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
