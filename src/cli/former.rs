//! The command line of k8s-config-controller, which runs unchanged: what its manifests say is understood or told to have no effect.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;

/// The name of its program.
const PROGRAM: &str = "k8s-config-controller";
/// Flags that tell its command lines from ours.
const OWN: [&str; 4] = ["configroot", "configmap", "reload-http", "reload-http-method"];
/// Flags of its log library and client, and whether each takes a value; one that takes none may have one behind `=`.
const OTHERS: [(&str, bool); 9] = [
    (RUNNING_IN_CLUSTER, false),
    (KUBECONFIG, true),
    ("logtostderr", false),
    ("alsologtostderr", false),
    ("v", true),
    ("vmodule", true),
    ("stderrthreshold", true),
    ("log_dir", true),
    ("log_backtrace_at", true),
];
const RUNNING_IN_CLUSTER: &str = "running-in-cluster";
const KUBECONFIG: &str = "kubeconfig";

/// Flags of k8s-config-controller. Any of them chooses its profile.
#[derive(Args, Clone, PartialEq, Eq, Default, Debug)]
#[group(id = "former")]
#[command(next_help_heading = "Options of k8s-config-controller")]
pub(crate) struct Flags {
    /// The same as --folder
    #[arg(long, value_name = "DIR")]
    pub(crate) configroot: Option<String>,
    /// The ConfigMap to follow; its namespace is "default" unless it is given
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub(crate) configmap: Option<String>,
    /// URL that is requested after a change (REQ_URL)
    #[arg(long, value_name = "URL")]
    pub(crate) reload_http: Option<String>,
    /// Method of that request (REQ_METHOD)
    #[arg(long, value_name = "METHOD")]
    pub(crate) reload_http_method: Option<String>,
    /// Counts only while `--running-in-cluster` is false.
    #[arg(skip)]
    pub(crate) kubeconfig: Option<String>,
    /// Names of flags without effect.
    #[arg(skip)]
    pub(crate) ignored: Vec<String>,
}

impl Flags {
    /// Whether any of them is given.
    pub(crate) fn are_given(&self) -> bool {
        self.configroot.is_some() || self.configmap.is_some() || self.reload_http.is_some() || self.reload_http_method.is_some()
    }
}

/// Takes away what only k8s-config-controller knows, and gives its flags the second dash that a program in Go does not need.
/// Returns the arguments that are left, and what the others said. What follows `--` is a command of its own.
pub(crate) fn translated(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Flags) {
    let arguments: Vec<OsString> = arguments.collect();
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (before, command) = arguments.split_at(end);
    let is_program = before.first().is_some_and(|program| Path::new(program).file_name().is_some_and(|name| name == PROGRAM));
    let mut flags = Flags::default();
    if !is_program && !before.iter().any(|argument| flag(argument).is_some_and(|(name, _)| OWN.contains(&name))) {
        return (arguments, flags);
    }
    let (mut left, mut kubeconfig, mut in_cluster) = (Vec::new(), None, true);
    let mut rest = before.iter();
    while let Some(argument) = rest.next() {
        let Some((name, value)) = flag(argument) else {
            left.push(argument.clone());
            continue;
        };
        if OWN.contains(&name) {
            left.push(match argument.to_str().is_some_and(|text| text.starts_with("--")) {
                true => argument.clone(),
                false => [OsString::from("-"), argument.clone()].into_iter().collect(),
            });
            continue;
        }
        let Some((name, takes_value)) = OTHERS.into_iter().find(|(known, _)| *known == name) else {
            left.push(argument.clone());
            continue;
        };
        let value = match value {
            None if takes_value => rest.next().map(|value| value.to_string_lossy().into_owned()),
            value => value.map(str::to_owned),
        };
        match name {
            KUBECONFIG => kubeconfig = value,
            RUNNING_IN_CLUSTER => {
                in_cluster = !value.is_some_and(|value| matches!(value.as_str(), "0" | "f" | "F" | "false" | "FALSE" | "False"))
            }
            _ => flags.ignored.push(name.to_owned()),
        }
    }
    match kubeconfig {
        Some(_) if in_cluster => flags.ignored.push(KUBECONFIG.to_owned()),
        kubeconfig => flags.kubeconfig = kubeconfig,
    }
    left.extend_from_slice(command);
    (left, flags)
}

/// Name and value of a flag, with one dash or two.
fn flag(argument: &OsString) -> Option<(&str, Option<&str>)> {
    let text = argument.to_str()?;
    let flag = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
    Some(flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, left: &str, kubeconfig: Option<&str>, ignored: &[&str]) {
        let (arguments, flags) = translated(line.split_whitespace().map(OsString::from));
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str().unwrap()).collect();
        assert_eq!(arguments.join(" "), left);
        assert_eq!(
            (flags.kubeconfig.as_deref(), flags.ignored.iter().map(String::as_str).collect::<Vec<_>>()),
            (kubeconfig, ignored.to_vec())
        );
    }

    #[test]
    fn one_dash_does_as_well_as_two() {
        check("p -configmap=a -configroot /c --reload-http=u", "p --configmap=a --configroot /c --reload-http=u", None, &[]);
    }

    #[test]
    fn flags_of_the_log_library_go_with_their_values_and_are_told() {
        check("p --logtostderr --v=2 -v 3 --configmap a -vmodule x=1", "p --configmap a", None, &["logtostderr", "v", "v", "vmodule"]);
        check("/x/k8s-config-controller -alsologtostderr=true", "/x/k8s-config-controller", None, &["alsologtostderr"]);
    }

    #[test]
    fn the_kubeconfig_counts_only_outside_of_a_cluster() {
        check("p --configmap=a --kubeconfig k", "p --configmap=a", None, &["kubeconfig"]);
        check("p --configmap=a --kubeconfig=k --running-in-cluster=false", "p --configmap=a", Some("k"), &[]);
        check("p --configmap=a --running-in-cluster", "p --configmap=a", None, &[]);
    }

    #[test]
    fn other_command_lines_and_commands_of_their_own_are_left_alone() {
        for line in ["p plan --v=2", "p -v -- x --configmap=a", "p --configmap=a -- nginx -v --logtostderr -configmap"] {
            check(line, line, None, &[]);
        }
    }
}
