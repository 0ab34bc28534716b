//! Profiles: a table of other defaults and another way to read words, over the same settings; a file each.
//!
//! Nothing outside of `config` knows which profile is in use.

pub(crate) mod config_controller;
pub(crate) mod default;
pub(crate) mod dovecot_director;
pub(crate) mod sidecar;

use crate::config::read::parse::{Expected, alternatives};
use crate::config::setting::{Fallback, Setting};
use crate::config::table;
use crate::config::{Answers, Wording};
use crate::core::files::project::FileNames;

/// A set of defaults and the way words are read.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Profile {
    /// What PROFILE says.
    pub(crate) name: &'static str,
    /// Defaults that differ from those of [`SETTINGS`](crate::config::table::SETTINGS).
    pub(crate) defaults: &'static [(&'static str, Fallback)],
    /// Variables of the program that it stands in for, and the settings that they mean where nothing else gives those.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// How values are read.
    pub(crate) dialect: Dialect,
    /// Variables for which the empty value is a value.
    pub(crate) empty_counts: &'static [&'static str],
    /// What files are called with UNIQUE_FILENAMES.
    pub(crate) unique: FileNames,
    /// Whether a file that cannot be had from its URL at first is made empty.
    pub(crate) empty_at_first_failure: bool,
    /// Whether METHOD=LIST is given up after REQ_RETRY_CONNECT retries.
    pub(crate) gives_up_lists: bool,
    /// Whether METHOD=LIST has done its part when a file cannot be written.
    pub(crate) excuses_files: bool,
    /// The words of the log.
    pub(crate) wording: Wording,
    /// How `/healthz` answers.
    pub(crate) answers: Answers,
}

/// How values are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// What is not one of the accepted words is an error.
    Own,
    /// As [kiwigrid/k8s-sidecar](sidecar) reads them.
    Sidecar,
    /// As [`Self::Own`], but what is projected may be absent.
    Director,
    /// As [`Self::Own`], but having nobody to tell of changes is an error.
    Controller,
}

/// Every profile.
pub(crate) const PROFILES: [&Profile; 4] = [&default::PROFILE, &sidecar::PROFILE, &config_controller::PROFILE, &dovecot_director::PROFILE];

impl Profile {
    /// The profile of this name, in any case.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PROFILES.into_iter().find(|profile| profile.name.eq_ignore_ascii_case(name))
    }

    /// The profile that stands in for the program of this name.
    pub(crate) fn of_program(program: &str) -> Option<&'static Self> {
        Self::find(program).or_else(|| Self::find(program.strip_prefix("k8s-")?))
    }

    /// What holds while the setting is not given.
    pub(crate) fn fallback(&self, setting: &Setting) -> Fallback {
        self.defaults.iter().find(|(name, _)| *name == setting.name).map_or(setting.default, |(_, fallback)| *fallback)
    }

    /// Whether the setting is needed.
    pub(crate) fn requires(&self, setting: &str) -> bool {
        table::find(setting).is_some_and(|setting| self.fallback(setting) == Fallback::Required)
    }
}

/// Whether there is such a profile.
pub(crate) fn named(text: &str) -> Result<(), Expected> {
    match Profile::find(text) {
        Some(_) => Ok(()),
        None => Err(alternatives(PROFILES.iter().map(|profile| profile.name)).into()),
    }
}

/// The variable of this name of a program that a profile stands in for.
pub(crate) fn variable(name: &str) -> Option<&'static str> {
    PROFILES.iter().flat_map(|profile| profile.variables).map(|(theirs, _)| *theirs).find(|theirs| *theirs == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn a_profile_names_settings_that_exist_and_differ() {
        for profile in PROFILES {
            for (name, fallback) in profile.defaults {
                let setting = table::find(name).unwrap_or_else(|| panic!("{name} is no setting"));
                assert!(setting.default != *fallback, "{name} has the same default in profile {}", profile.name);
            }
            assert!(profile.empty_counts.iter().all(|name| table::find(name).is_some()));
        }
    }
}
