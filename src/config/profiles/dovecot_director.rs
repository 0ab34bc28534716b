//! Variables of the Dovecot Director Controller, mapped onto our settings. Nobody else knows of them.

use std::collections::BTreeMap;

/// Its variables, and what they are called here. The first three it needs.
const VARIABLES: [(&str, &str); 5] = [
    ("DOVECOT_NAMESPACE", "EXEC_NAMESPACE"),
    ("DOVECOT_LABELS", "WATCH_PODS_LABELS"),
    ("DOVECOT_DIRECTOR_LABELS", "EXEC_LABELS"),
    ("DOVECOT_DIRECTOR_CONTAINER_NAME", "EXEC_CONTAINER"),
    ("SYNC_FREQUENCY_DURATION", "EXEC_SECRET_DELAY"),
];
const REQUIRED: usize = 3;

/// What was given in its words: its variable, our setting, and the value.
#[derive(Default)]
pub(crate) struct Director(Vec<(&'static str, &'static str, String)>);

impl Director {
    /// Takes a variable, if it is one of its.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        let known = VARIABLES.iter().find(|(theirs, _)| *theirs == name);
        self.0.extend(known.map(|(theirs, ours)| (*theirs, *ours, value.to_owned())));
    }

    /// Whether labels are given that nothing but its deployment has, be they empty.
    pub(crate) fn is_meant(&self) -> bool {
        self.0.iter().any(|(theirs, ..)| matches!(*theirs, "DOVECOT_LABELS" | "DOVECOT_DIRECTOR_LABELS"))
    }

    /// Puts what it gives where nothing else is given, and returns the settings that are still missing, by its names.
    pub(crate) fn map_onto(
        self,
        values: &mut BTreeMap<&'static str, String>,
        given_by: &mut BTreeMap<&'static str, &'static str>,
    ) -> Vec<(&'static str, &'static str)> {
        for (theirs, ours, value) in self.0.into_iter().filter(|(.., value)| !value.trim().is_empty()) {
            if !values.contains_key(ours) {
                values.insert(ours, value);
                given_by.insert(ours, theirs);
            }
        }
        let needed = VARIABLES.into_iter().take(REQUIRED).filter(|(_, ours)| !values.contains_key(ours));
        needed.map(|(theirs, ours)| (ours, theirs)).collect()
    }
}
