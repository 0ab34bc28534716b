//! From given text to values: takes defaults from the table, notes every problem and goes on. A module for each subject.

pub(crate) mod child;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod idle;
pub(crate) mod log;
pub(crate) mod log_config;
pub(crate) mod numbers;
pub(crate) mod objects;
pub(crate) mod origin;
pub(crate) mod parse;
pub(crate) mod paths;
pub(crate) mod release;
pub(crate) mod reload;
pub(crate) mod status;
pub(crate) mod triggers;
pub(crate) mod web;

use crate::config::Context;
use crate::config::problems::{Problem, Problems};
use crate::config::profiles::Dialect;
use crate::config::read::form::{ReadValue, ValueForm};
use crate::config::setting::{Fallback, Setting};
use crate::config::table;
use crate::config::texts::Texts;

/// Reads settings, and keeps what is to be said of them. Each `None` that a method returns has left a problem behind.
pub(crate) struct SettingsReader<'a> {
    pub(crate) texts: &'a Texts,
    pub(crate) context: &'a Context,
    problems: Vec<Problem>,
    /// Things that work otherwise than they were asked for.
    pub(crate) warnings: Vec<String>,
}

impl<'a> SettingsReader<'a> {
    /// A reader of what was given.
    pub(crate) fn new(texts: &'a Texts, context: &'a Context) -> Self {
        let missed = |(name, missed_as): &(&str, &str)| table::find(name).map(|setting| Problem::missing(setting, missed_as));
        Self { texts, context, problems: texts.missing.iter().filter_map(missed).collect(), warnings: texts.warnings.clone() }
    }

    /// The value, unless anything was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Problems::new(self.problems)),
        }
    }

    /// Whose way of reading holds.
    pub(crate) fn dialect(&self) -> Dialect {
        self.texts.profile.dialect
    }

    /// What becomes of a setting, if it is wanted.
    pub(crate) fn read<T: Clone>(&mut self, name: &'static str, form: &ValueForm<T>, is_wanted: impl Fn(&Setting) -> bool) -> ReadValue<T> {
        let Some(setting) = table::find(name).filter(|setting| is_wanted(setting)) else { return ReadValue::Absent };
        match (self.texts.given(name), self.texts.profile.fallback(setting)) {
            (Some(given), _) => self.parsed(setting, given.by, &given.text, form).map_or(ReadValue::Refused, ReadValue::Given),
            (None, Fallback::Value(text)) => self.parsed(setting, name, text, form).map_or(ReadValue::Refused, ReadValue::Default),
            (None, Fallback::Required | Fallback::Described(_) | Fallback::Unset) => ReadValue::Absent,
        }
    }

    /// The value of a text of a setting. `subject` is what gave it.
    pub(crate) fn parsed<T: Clone>(&mut self, setting: &'static Setting, subject: &str, text: &str, form: &ValueForm<T>) -> Option<T> {
        match form.read(text, self.dialect(), &self.context.current_dir) {
            Ok((value, remark)) => {
                self.warnings.extend(remark.map(|remark| format!("{subject}{remark}")));
                Some(value)
            }
            Err(expected) => {
                self.problems.push(Problem::value(setting, subject, text, &expected));
                None
            }
        }
    }

    /// Notes that a text cannot be used.
    pub(crate) fn refuse(&mut self, name: &'static str, text: &str, expected: &str) {
        let subject = self.texts.given(name).map_or(name, |given| given.by);
        self.problems.extend(table::find(name).map(|setting| Problem::value(setting, subject, text, expected)));
    }

    /// A setting that is needed.
    pub(crate) fn required<T: Clone>(&mut self, name: &'static str, read: &ReadValue<T>) -> Option<T> {
        if let (ReadValue::Absent, Some(setting)) = (read, table::find(name)) {
            self.problems.push(Problem::missing(setting, name));
        }
        read.value()
    }

    /// Notes a problem that no single value has. A setting that has a problem already gets no second one.
    pub(crate) fn note(&mut self, name: &'static str, text: &str) {
        let setting = table::find(name).filter(|setting| !self.problems.iter().any(|problem| problem.is_about(setting)));
        self.problems.extend(setting.map(|setting| Problem::other(setting, text)));
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}
