//! Variables whose names are nearly those of settings: what a slip of the pen asks for would go unnoticed.
//!
//! ```text
//! LABLE      LABEL        two letters that changed places
//! RELOD_SIGNL RELOAD_SIGNAL two letters less, which counts in long names alone
//! HEALT_PORT -            a Service named healt gives every pod one of this name
//! ```

use strsim::osa_distance;

use crate::config::table::SETTINGS;

/// Names of so many letters may have two slips.
const LONG: usize = 9;

/// The setting that a variable nearly is by its name: with one letter more, less or other, or with two that changed places; with
/// two such slips if it is long. None for what Kubernetes makes for Services.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) || is_of_service(name) {
        return None;
    }
    let slips = |setting: &str| if setting.len() >= LONG { 2 } else { 1 };
    let distances = SETTINGS.iter().map(|setting| setting.name).filter(|setting| setting.len().abs_diff(name.len()) <= slips(setting));
    let near = distances.map(|setting| (osa_distance(name, setting), setting));
    near.filter(|(distance, setting)| (1..=slips(setting)).contains(distance))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, setting)| setting)
}

/// Whether Kubernetes gives a variable of this name to pods, for some Service.
fn is_of_service(name: &str) -> bool {
    let has_port = |(at, _): (usize, &str)| {
        let after = name.get(at + "_PORT_".len()..).unwrap_or_default();
        let protocol = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
        protocol.len() < after.len() && ["_TCP", "_UDP", "_SCTP"].iter().any(|known| protocol.starts_with(known))
    };
    let is_service_port = name.split_once("_SERVICE_PORT").is_some_and(|(_, port)| port.is_empty() || port.starts_with('_'));
    name.ends_with("_SERVICE_HOST") || is_service_port || name.ends_with("_PORT") || name.match_indices("_PORT_").any(has_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_a_hint_and_two_are_in_long_names() {
        let cases = [
            ("LABLE", Some("LABEL")),
            ("LABELS", Some("LABEL")),
            ("FODLER", Some("FOLDER")),
            ("FOLDR", Some("FOLDER")),
            ("FODLR", None),
            ("LBAL", None),
            ("REQ_URI", Some("REQ_URL")),
            ("REQURLS", None),
            ("LOGLEVEL", Some("LOG_LEVEL")),
            ("LOG_LVEEEL", Some("LOG_LEVEL")),
            ("LOGLEVELS", Some("LOG_LEVEL")),
            ("LOGLVELS", None),
            ("NAMESPACES", Some("NAMESPACE")),
            ("POD_NAMESPACE", None),
            ("RELAOD_SIGNLA", Some("RELOAD_SIGNAL")),
            ("SCRIPT_RETIRES", Some("SCRIPT_RETRIES")),
            ("HEALTH_HOTS", Some("HEALTH_HOST")),
            ("PATH", None),
            ("HOME", None),
            ("HOSTNAME", None),
            ("", None),
            ("LABEL\n", None),
            ("LABEL ", None),
            ("LÄBEL", None),
        ];
        for (name, expected) in cases {
            assert_eq!(meant(name), expected, "{name:?}");
        }
    }

    #[test]
    fn every_setting_is_meant_by_every_name_that_is_one_slip_away_unless_that_is_anothers() {
        for setting in SETTINGS.iter().map(|setting| setting.name) {
            let letters: Vec<char> = setting.chars().collect();
            for at in 0..letters.len() {
                let mut less = letters.clone();
                less.remove(at);
                let mut swapped = letters.clone();
                swapped.swap(at, (at + 1) % letters.len());
                let (mut other, mut more) = (letters.clone(), letters.clone());
                other[at] = 'X';
                more.insert(at, 'X');
                for slip in [less, other, more].into_iter().chain((at + 1 < letters.len()).then_some(swapped)) {
                    let name = String::from_iter(slip);
                    let is_known = SETTINGS.iter().any(|known| known.name == name);
                    if !is_known && !is_of_service(&name) {
                        let meant = meant(&name).unwrap_or_else(|| panic!("{name}"));
                        assert_eq!(osa_distance(&name, meant), 1, "{name} {meant} {setting}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_name_that_kubernetes_makes_for_services_is_meant() {
        // Services that are called as settings begin, or nearly.
        let services = SETTINGS.iter().map(|setting| setting.name.rsplit_once('_').map_or(setting.name, |(first, _)| first));
        for service in services.flat_map(|name| [name.to_owned(), format!("X{name}"), name[1..].to_owned()]) {
            let ends = [
                "SERVICE_HOST",
                "SERVICE_PORT",
                "SERVICE_PORT_HTTP",
                "SERVICE_PORT_HTTP_2",
                "PORT",
                "PORT_80_TCP",
                "PORT_80_TCP_PROTO",
                "PORT_80_TCP_PORT",
                "PORT_80_TCP_ADDR",
                "PORT_53_UDP",
                "PORT_53_UDP_ADDR",
                "PORT_1_SCTP_PORT",
            ];
            for end in ends {
                assert_eq!(meant(&format!("{service}_{end}")), None, "{service}_{end}");
            }
        }
        for other in ["HEALTH_PORTS", "A_SERVICE_PORTS", "A_PORT_X_TCP", "A_PORT__TCP", "A_PORT_80", "PORT", "SERVICE_HOST_A"] {
            assert!(!is_of_service(other), "{other}");
        }
    }
}
