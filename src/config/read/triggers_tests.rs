use super::*;
use crate::config::Arguments;
use crate::config::tests::{context, default_config, exactly, flags, owned, read};
use crate::config::{Config, Context, LedgerPlace, ObjectSource};

const DOVECOT: [(&str, &str); 3] =
    [("DOVECOT_NAMESPACE", "mail"), ("DOVECOT_LABELS", "app=dovecot"), ("DOVECOT_DIRECTOR_LABELS", "app in (director)")];
/// Where the command runs.
const TARGETS: (&str, &str) = ("EXEC_LABELS", "app=director");
const COMMAND: (&str, &str) = ("EXEC_COMMAND", "reload");

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}

/// What is watched according to these variables alone.
fn watched(vars: &[(&str, &str)]) -> Result<TriggerSettings, Vec<String>> {
    exactly(vars, &Arguments::default()).map(|config| config.triggers)
}

#[test]
fn pods_and_secrets_are_watched_when_they_are_named() {
    let vars = [
        TARGETS,
        COMMAND,
        ("WATCH_PODS_LABELS", "app=dovecot,!old"),
        ("EXEC_DELAY", "0.5"),
        ("WATCH_SECRET_TYPE", "kubernetes.io/tls"),
        ("WATCH_SECRET_LABELS", "for=mail"),
        ("EXEC_SECRET_DELAY", "5"),
    ];
    let expected = TriggerSettings {
        start: false,
        files: true,
        pods: Some(PodTrigger { selector: selector("app=dovecot,!old"), delay: Duration::from_millis(500) }),
        secrets: Some(SecretTrigger { of_type: "kubernetes.io/tls".into(), selector: selector("for=mail"), delay: seconds(5) }),
    };
    assert_eq!(read(&vars).map(|config| config.triggers), Ok(expected.clone()));
    let without_files = TriggerSettings { files: false, ..expected };
    assert_eq!(read(&[&vars[..], &[("EXEC_ON", "none")]].concat()).map(|config| config.triggers), Ok(without_files));
}

#[test]
fn without_anything_to_project_neither_label_nor_folder_is_required() {
    let vars = [TARGETS, COMMAND, ("WATCH_PODS_LABELS", "app=dovecot")];
    let config = exactly(&vars, &Arguments::default()).unwrap();
    assert_eq!((config.projects(), config.triggers.files, config.finalizers), (false, false, None));
}

#[test]
fn what_is_half_given_to_be_projected_names_what_is_missing() {
    let missing = |name, value| {
        let problems = watched(&[TARGETS, COMMAND, ("WATCH_PODS_LABELS", "app=dovecot"), (name, value)]).unwrap_err();
        problems.into_iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(missing("LABEL", "findme"), ["FOLDER is required"]);
    assert_eq!(missing("FOLDER", "/rules"), ["LABEL is required"]);
    assert_eq!(missing("LABEL_VALUE", "x"), ["LABEL is required", "FOLDER is required"]);
}

#[test]
fn with_nothing_watched_and_nothing_projected_label_and_folder_are_required() {
    let problems = watched(&[TARGETS, COMMAND]).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn what_is_watched_needs_somebody_who_is_told() {
    let problem = |name: &str| vec![format!("{name}: without EXEC_LABELS nobody is told of what is watched")];
    for (name, value) in [("WATCH_PODS_LABELS", "app=dovecot"), ("WATCH_SECRET_TYPE", "kubernetes.io/tls")] {
        assert_eq!(watched(&[(name, value)]), Err(problem(name)));
    }
}

#[test]
fn nothing_is_watched_for_one_list() {
    let vars = [TARGETS, COMMAND, ("WATCH_PODS_LABELS", "app=dovecot"), ("METHOD", "LIST")];
    let config = read(&vars).unwrap();
    assert_eq!((config.triggers.pods, config.warnings.len()), (None, 1), "{:?}", config.warnings);
    let problems = watched(&vars).unwrap_err();
    assert!(problems.len() == 1 && problems[0].starts_with("METHOD: LIST ends"), "{problems:?}");
}

#[test]
fn a_selector_of_everything_and_delays_without_meaning_are_refused() {
    for (name, value) in [("WATCH_PODS_LABELS", " "), ("EXEC_DELAY", "-1"), ("EXEC_SECRET_DELAY", "NaN")] {
        let problems = read(&[TARGETS, COMMAND, (name, value)]).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("{name}=")), "{problems:?}");
    }
}

// PROFILE=dovecot-director

fn director(vars: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    exactly(&[&DOVECOT[..], vars].concat(), &Arguments::default())
}

#[test]
fn the_variables_of_the_dovecot_director_controller_are_enough() {
    let config = director(&[]).unwrap();
    let expected = TriggerSettings {
        start: false,
        files: false,
        pods: Some(PodTrigger { selector: selector("app=dovecot"), delay: Duration::ZERO }),
        secrets: Some(SecretTrigger { of_type: "kubernetes.io/tls".into(), selector: selector(""), delay: seconds(70) }),
    };
    assert_eq!((config.projects(), config.triggers), (false, expected));
    let exec = config.exec.unwrap();
    assert_eq!((exec.namespace.as_str(), exec.labels, exec.container), ("mail", selector("app in (director)"), None));
    assert_eq!(exec.command, ["sh", "-c", "doveadm reload"]);
    assert_eq!((config.health, config.warnings), (default_config().health, vec![]));
}

#[test]
fn what_the_dovecot_director_controller_needs_is_missed_by_its_name() {
    for (at, (name, _)) in DOVECOT.iter().enumerate() {
        let mut given = DOVECOT.to_vec();
        for empty in ["", " "] {
            given[at].1 = empty;
            let problems = exactly(&given, &Arguments::default()).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(&format!("{name} is required: ")), "{problems:?}");
        }
        given.remove(at);
        let problems = exactly(&given, &Arguments::default()).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("{name} is required: ")), "{problems:?}");
    }
}

#[test]
fn a_bad_label_of_the_dovecot_director_controller_is_named_as_it_was_given() {
    let problems = exactly(&[DOVECOT[0], ("DOVECOT_LABELS", "a b"), DOVECOT[2]], &Arguments::default()).unwrap_err();
    assert!(problems.len() == 1 && problems[0].starts_with("DOVECOT_LABELS=\"a b\": expected a label selector"), "{problems:?}");
}

#[test]
fn sync_frequency_duration_is_read_as_the_original_does() {
    let table = [("5", 5, 0), ("0", 0, 0), ("-3", 0, 0), ("70s", 70, 1), ("1.5", 70, 1), ("", 70, 0), ("999999999", 86_400, 0)];
    for (text, expected, warnings) in table {
        let config = director(&[("SYNC_FREQUENCY_DURATION", text)]).unwrap();
        let delay = config.triggers.secrets.unwrap().delay;
        assert_eq!((delay, config.warnings.len()), (seconds(expected), warnings), "{text}");
    }
}

#[test]
fn the_variables_of_the_dovecot_director_controller_count_in_its_profile_alone() {
    let vars = [("PROFILE", "default"), ("LABEL", "findme"), ("FOLDER", "/rules"), DOVECOT[0], DOVECOT[1], DOVECOT[2]];
    assert_eq!(exactly(&vars, &Arguments::default()), Ok(default_config()));
}

#[test]
fn our_own_settings_beat_those_of_the_dovecot_director_controller() {
    let config = director(&[("WATCH_PODS_LABELS", "own"), ("WATCH_SECRET_TYPE", "Opaque")]).unwrap();
    let TriggerSettings { pods, secrets, .. } = config.triggers;
    assert_eq!((pods.unwrap().selector, secrets.unwrap().of_type), (selector("own"), "Opaque".to_owned()));
}

#[test]
fn the_profile_can_be_chosen_by_its_name_and_by_that_of_the_program() {
    let ours = [("EXEC_NAMESPACE", "mail"), ("WATCH_PODS_LABELS", "app=dovecot"), TARGETS];
    let by_name = exactly(&[&ours[..], &[("PROFILE", "dovecot-director")]].concat(), &Arguments::default()).unwrap();
    assert!(by_name.triggers.secrets.is_some());
    let context = Context { program: "dovecot-director".into(), ..context() };
    assert_eq!(Config::from_vars(owned(&ours), &Arguments::default(), &context), Ok(by_name));
}

#[test]
fn a_kubeconfig_is_given_as_the_original_takes_it() {
    let arguments = flags(&[("-c", "/k")]);
    assert_eq!(exactly(&DOVECOT, &arguments).map(|config| config.source), Ok(ObjectSource::Cluster { kubeconfig: Some("/k".into()) }));
    let home = Context { home_kubeconfig: Some("/home/k".into()), ..context() };
    let config = Config::from_vars(owned(&DOVECOT), &Arguments::default(), &home);
    assert_eq!(config.map(|config| config.source), Ok(ObjectSource::Cluster { kubeconfig: Some("/home/k".into()) }));
}

#[test]
fn r15_where_nothing_is_projected_a_ledger_is_a_path_and_a_start_is_that_of_the_command() {
    let warnings = |vars: &[(&str, &str)]| {
        let vars = [&[TARGETS, COMMAND, ("WATCH_PODS_LABELS", "app=dovecot")], vars].concat();
        exactly(&vars, &Arguments::default()).map(|config| (config.ownership.ledger, config.warnings))
    };
    let path = LedgerPlace::Path("/state/ledger".into());
    assert_eq!(warnings(&[("LEDGER", "/state/ledger"), ("EXEC_ON_START", "true")]), Ok((path, vec![])));
    let (ledger, told) = warnings(&[("LEDGER", "ledger")]).unwrap();
    let expected = "LEDGER has no effect without FOLDER, unless it is a path: expected one on a volume that lasts";
    assert_eq!((ledger, told), (LedgerPlace::Name("ledger".into()), vec![expected.to_owned()]));
    let (_, told) = warnings(&[("REACT_ON_START", "true")]).unwrap();
    assert_eq!(told, ["REACT_ON_START has no effect where nothing is projected: EXEC_ON_START is for that"]);
}

#[test]
fn r15_one_list_has_no_start_to_tell_of() {
    let config = read(&[TARGETS, COMMAND, ("METHOD", "LIST"), ("EXEC_ON_START", "true")]).unwrap();
    assert!(!config.triggers.start);
    assert_eq!(config.warnings, ["EXEC_ON_START has no effect with METHOD=LIST"]);
}
