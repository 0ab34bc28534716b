//! The table of settings as `docs/configuration.md`. Only a test writes it, so that it is no part of the program.

use std::path::Path;

use crate::config::help::{bracket, push, under, variables};
use crate::config::profiles::{Dialect, PROFILES};
use crate::config::setting::{Fallback, Heading};
use crate::config::table::SETTINGS;

/// The whole of `docs/configuration.md`.
pub(crate) fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for heading in Heading::ALL {
        push(&mut text, format_args!("\n## {}\n\n| Variable | Default | Meaning |\n| --- | --- | --- |\n", heading.title()));
        for setting in under(heading) {
            let flag = setting.flag.map(|flag| format!(", `{}`", flag.name)).unwrap_or_default();
            let bounds = setting.bounds.map(|bounds| format!(" From {} to {}.", bounds.least, bounds.most)).unwrap_or_default();
            push(&mut text, format_args!("| `{}`{flag} | {} | {}{bounds} |\n", setting.name, cell(setting.default), setting.meaning));
        }
    }
    for profile in PROFILES.iter().filter(|profile| !profile.defaults.is_empty()) {
        push(
            &mut text,
            format_args!("\n## PROFILE={}\n\n{}\n| Variable | Default here |\n| --- | --- |\n", profile.name, words(profile.dialect)),
        );
        for (name, default) in profile.defaults {
            push(&mut text, format_args!("| `{name}` | {} |\n", cell(*default)));
        }
    }
    text
}

const fn words(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Own => "Defaults that differ:\n",
        Dialect::Sidecar => SIDECAR,
        Dialect::Controller => CONTROLLER,
        Dialect::Director => DIRECTOR,
    }
}

const CONTROLLER: &str = "\
This profile holds too when the program is started as `k8s-config-controller`, or with any of the flags of that program, which mean:

- `--configroot DIR`: `FOLDER`.
- `--configmap [NAMESPACE/]NAME`: `OBJECT=configmap/NAMESPACE/NAME`; without a namespace it is the one named `default`.
- `--reload-http URL` and `--reload-http-method METHOD`: `REQ_URL` and `REQ_METHOD`.
- `--kubeconfig FILE`, only with `--running-in-cluster=false`: `KUBECONFIG`.
- Flags of its log library, such as `--logtostderr`, have no effect; a warning says so.

The variables of its image count where nothing else is given: `CONFIG_CONTROLLER_CONFIGROOT` (`/config` if any of the others is set), `CONFIG_CONTROLLER_CONFIGMAP`, `CONFIG_CONTROLLER_URL`, `CONFIG_CONTROLLER_METHOD`.
Somebody must be told of changes: a command after `--`, a URL, a script, a signal or a command in pods.

Other defaults:
";

const SIDECAR: &str = "\
This profile holds too when the program is started under its name.
Values are read as kiwigrid/k8s-sidecar reads them:

- `LABEL` is any label selector, with `=LABEL_VALUE` behind it if that is set and not empty; set but empty, it selects everything.
- `METHOD` is `WATCH` unless it is exactly `LIST` or `SLEEP`.
- The booleans that k8s-sidecar knows are true only as `true`.
- `DEFAULT_FILE_MODE` takes any number of octal digits.
- `UNIQUE_FILENAMES` gives `namespace_NAMESPACE.KIND_NAME.KEY`.
- `FOLDER_ANNOTATION`, set but empty, is an annotation that nothing carries.
- A `HEALTH_PORT` or `HEALTH_HOST` that cannot be read costs the health endpoint, not the files, be the port a Service's or not.
- `LOG_LEVEL` is one of Python's: CRITICAL, ERROR, WARNING, INFO, DEBUG, NOTSET. `LOG_FORMAT` can be `LOGFMT`, too.
- An object whose files lie outside of `FOLDER` is told of once.
- METHOD=LIST ends with exit code 1 when the API server refuses, or cannot be reached within `REQ_RETRY_CONNECT` retries; with 0 though a file cannot be written.
- What a `.url` key names is made an empty file if it cannot be had at first.

Other defaults:
";

const DIRECTOR: &str = "\
This profile holds too when the program is started under its name, or with `DOVECOT_LABELS` or `DOVECOT_DIRECTOR_LABELS` set and no `PROFILE`.
The variables of the Dovecot Director Controller count where ours are not set:

- `DOVECOT_NAMESPACE`: `EXEC_NAMESPACE`, required.
- `DOVECOT_LABELS`: `WATCH_PODS_LABELS`, required.
- `DOVECOT_DIRECTOR_LABELS`: `EXEC_LABELS`, required.
- `DOVECOT_DIRECTOR_CONTAINER_NAME`: `EXEC_CONTAINER`.
- `SYNC_FREQUENCY_DURATION`: `EXEC_SECRET_DELAY`; what is no whole number counts as 70, one below 0 as 0.
- `-c FILE`: `KUBECONFIG`.

Defaults that differ:
";

const INTRODUCTION: &str = "\
# Configuration

Settings are environment variables; the few that a person types are flags as well, and a flag beats its variable.
This page is generated from the table in `src/config/table.rs`, as is the end of `kube-projector --help`; `UPDATE_DOCS=1 cargo test --lib` writes it anew.

- An empty variable counts as unset, except `LABEL_VALUE`: set but empty, it selects the empty value.
- Booleans are `true`, `false`, `1`, `0`, `yes` or `no` in any case; anything else is an error.
- Other words are taken in any case too, but for `ALL` and `cluster`.
- Times are seconds, or numbers with the units d, h, m, s and ms, larger ones first: `90`, `5m`, `1h30m`, `1.5h`, `250ms`. Delays, `SOURCE_SETTLE`, `REACT_WINDOW`, `REACT_JITTER`, `KILL_TIMEOUT`, `REQ_TIMEOUT`, `REQ_ANSWER_TIMEOUT` and `REQ_RETRY_BACKOFF_FACTOR` may have a fraction of a second.
- A number that is more than its most counts as that, with a warning; what is less than its least, or no number, is an error.
- Lists have commas between their entries; spaces around entries and repeated entries do not count.
- Relative paths start at the working directory.
- Variables that are not listed here are ignored; one whose name is nearly that of a setting is told of in a warning, as is a setting that does nothing as things are set.
- A `HEALTH_PORT` or `HEALTHCHECK_PORT` such as `tcp://10.0.0.1:80` comes from a Service of that name and is ignored, with a warning.
- All problems are reported at once, one line each, and the program ends with exit code 2 before it asks the API server for anything.

`LABEL` is not needed with `OBJECT`; neither `LABEL` nor `FOLDER` where nothing of `LABEL`, `FOLDER`, `OBJECT`, `RESOURCE_NAME` and `SOURCE` is set and pods or Secrets are watched (`WATCH_PODS_LABELS`, `WATCH_SECRET_TYPE`).
`release` needs neither `FOLDER` nor, if `FINALIZER_NAME` is set or with `--all`, `LABEL`.
`healthcheck` reads only the settings of the health endpoint.
";

/// That a file of the repository is what a table makes of it. Writes it anew where that is asked for.
#[track_caller]
pub(crate) fn is_written(path: &str, wanted: impl FnOnce(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&written);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(written == wanted, "{} is not what its source says: run UPDATE_DOCS=1 cargo test --lib", path.display());
}

pub(super) fn cell(default: Fallback) -> String {
    match default {
        Fallback::Required => "required".to_owned(),
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Described(text) => text.to_owned(),
        Fallback::Unset => "unset".to_owned(),
    }
}

#[test]
fn documentation_is_generated_from_the_table() {
    is_written("docs/configuration.md", |_| markdown());
}

#[test]
fn documentation_and_help_name_every_setting_with_its_default() {
    let (markdown, help) = (markdown(), variables().split_whitespace().collect::<Vec<_>>().join(" "));
    for setting in SETTINGS {
        let row = markdown.lines().find(|line| line.starts_with(&format!("| `{}`", setting.name))).unwrap_or_default();
        assert!(row.contains(&cell(setting.default)) && row.contains(setting.meaning), "{}: {row:?}", setting.name);
        let entry = format!("{} {} [{}]", setting.name, setting.meaning, bracket(setting));
        assert!(help.contains(&entry), "help lacks {entry:?}");
    }
}
