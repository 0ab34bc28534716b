//! Our own profile.

use crate::config::profiles::{Dialect, Profile};
use crate::config::{Answers, Wording};
use crate::core::files::project::FileNames;

/// The defaults of the table, read as the documentation says.
pub(crate) static PROFILE: Profile = TABLE;

/// What other profiles begin with.
pub(crate) const TABLE: Profile = Profile {
    name: "default",
    defaults: &[],
    variables: &[],
    dialect: Dialect::Own,
    empty_counts: &["LABEL_VALUE"],
    unique: FileNames::Unique,
    empty_at_first_failure: false,
    gives_up_lists: false,
    excuses_files: false,
    wording: Wording::Own,
    answers: Answers::Detailed,
};
