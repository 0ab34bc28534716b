//! The flags of the command line: those of the table, and those of programs that we stand in for.

use crate::config::profiles::{config_controller, dovecot_director};
use crate::config::setting::{Flag, Takes};
use crate::config::table::SETTINGS;

pub(crate) use crate::config::profiles::config_controller::translated;

/// Over which heading the [foreign] ones stand in `--help`.
pub(crate) const FOREIGN: &str = "Options of k8s-config-controller";

/// Flags that count with every subcommand, in the order of `--help`, and what that says of them.
pub(crate) fn own() -> Vec<(Flag, String)> {
    let says = |name: &str, flag: Flag| match flag.takes {
        Takes::Nothing(value) => (flag, format!("{} ({name}={value})", flag.help)),
        Takes::Value(_) | Takes::Values(_) => (flag, format!("{} ({name})", flag.help)),
    };
    let of_table = SETTINGS.iter().filter_map(|setting| Some(says(setting.name, setting.flag?)));
    let mut flags: Vec<_> = of_table.chain([says("KUBECONFIG", dovecot_director::FLAG)]).collect();
    flags.sort_by_key(|(flag, _)| flag.position);
    flags
}

/// Flags that count without a subcommand.
pub(crate) fn foreign() -> [Flag; 4] {
    config_controller::OWN.map(|(flag, _)| flag)
}
