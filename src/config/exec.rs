//! Settings about a command that is run in other pods.

use std::time::Duration;

use crate::config::parse::{self, Expected};
use crate::config::read::Reader;
use crate::config::{Context, Origin};
use crate::config::{names, numbers};
use crate::core::selector::Selector;
use crate::source::json::Cursor;

/// The command that follows a change, in other pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exec {
    /// EXEC_LABELS.
    pub labels: Selector,
    /// EXEC_NAMESPACE, or our own.
    pub namespace: String,
    /// EXEC_CONTAINER.
    pub container: Option<String>,
    /// EXEC_COMMAND: program and arguments, not empty.
    pub command: Vec<String>,
    /// EXEC_TIMEOUT.
    pub timeout: Duration,
    /// EXEC_RETRIES.
    pub retries: u32,
    /// EXEC_ONLY_READY.
    pub only_ready: bool,
    /// EXEC_CONCURRENCY, at least 1.
    pub concurrency: usize,
}

impl Reader<'_> {
    /// `None` inside: nothing is run in pods.
    pub fn exec(&mut self, context: &Context, origin: Option<&Origin>) -> Option<Option<Exec>> {
        let labels = self.optional("EXEC_LABELS", &self.raw.exec_labels, parse::selector);
        let namespace = self.optional("EXEC_NAMESPACE", &self.raw.exec_namespace, |text| dns_label(text, "the name of a namespace"));
        let container = self.optional("EXEC_CONTAINER", &self.raw.exec_container, |text| dns_label(text, "the name of a container"));
        let command = self.defaulted("EXEC_COMMAND", &self.raw.exec_command, command);
        let timeout = self.number("EXEC_TIMEOUT", &self.raw.exec_timeout, numbers::seconds);
        let retries = self.number("EXEC_RETRIES", &self.raw.exec_retries, numbers::count);
        let only_ready = self.value("EXEC_ONLY_READY", &self.raw.exec_only_ready, parse::boolean);
        let concurrency = self.number("EXEC_CONCURRENCY", &self.raw.exec_concurrency, numbers::count);
        let (labels, namespace, container, command) = (labels?, namespace?, container?, command?);
        let (timeout, retries, only_ready, concurrency) = (timeout?, retries?, only_ready?, concurrency?);
        let concurrency = usize::try_from(concurrency).unwrap_or(usize::MAX);
        let (labels, command) = match (labels, command) {
            (Some(labels), Some(command)) => (labels, command),
            (Some(_), None) => {
                self.note("EXEC_COMMAND", "with EXEC_LABELS it is required: the command to run in those pods");
                return None;
            }
            // A command that the profile has is no wish for one.
            (None, None) => return Some(None),
            (None, Some(_)) if self.raw.exec_command.is_none() => return Some(None),
            (None, Some(_)) => {
                self.note("EXEC_LABELS", "with EXEC_COMMAND it is required: a selector of the pods to run it in");
                return None;
            }
        };
        if let Some(Origin::Manifests(_)) = origin {
            self.note("EXEC_LABELS", "needs an API server, and SOURCE is a folder");
            return None;
        }
        let Some(namespace) = namespace.or_else(|| context.own_namespace.clone()) else {
            self.note("EXEC_NAMESPACE", "outside of a pod it is required: the namespace of the pods");
            return None;
        };
        Some(Some(Exec { labels, namespace, container, command, timeout, retries, only_ready, concurrency }))
    }
}

/// A JSON array of strings is a program with its arguments; all other text is for the shell.
fn command(text: &str) -> Result<Vec<String>, Expected> {
    let mut cursor = Cursor::new(text);
    let argv = match cursor.strings().and_then(|argv| cursor.end().map(|()| argv)) {
        Ok(argv) if text != "null" => Some(argv),
        // In no shell this begins a command; after `[` and a blank it may be a test.
        _ if text.starts_with("[\"") => None,
        _ => Some(["sh", "-c", text].map(str::to_owned).to_vec()),
    };
    let argv = argv.filter(|argv: &Vec<String>| argv.first().is_some_and(|program| !program.is_empty()));
    argv.ok_or_else(|| "a JSON array of strings, for example [\"nginx\", \"-s\", \"reload\"], or a command for sh -c".into())
}

fn dns_label(text: &str, expected: &'static str) -> Result<String, Expected> {
    if names::is_dns_label(text) { Ok(text.to_owned()) } else { Err(expected.into()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cli::Flags;
    use crate::config::Config;
    use crate::config::parse::tests::check;
    use crate::config::tests::{LEAST, context, lines, owned, read};

    pub fn exec() -> Exec {
        Exec {
            labels: Selector::parse("app=x").unwrap(),
            namespace: "own".into(),
            container: None,
            command: ["sh", "-c", "reload"].map(str::to_owned).to_vec(),
            timeout: Duration::from_secs(30),
            retries: 3,
            only_ready: true,
            concurrency: 4,
        }
    }

    #[test]
    fn labels_and_a_command_are_enough_in_a_pod() {
        let config = read(&[("EXEC_LABELS", "app=x"), ("EXEC_COMMAND", "reload")]).unwrap();
        assert_eq!((config.reacts(), config.exec), (true, Some(exec())));
    }

    #[test]
    fn a_command_is_an_array_or_for_the_shell() {
        let argv = |argv: &[&str]| argv.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        let good = [
            (r#"["doveadm", "reload"]"#, argv(&["doveadm", "reload"])),
            (r#" [ "a" ] "#, argv(&["a"])),
            ("doveadm reload", argv(&["sh", "-c", "doveadm reload"])),
            (r#"[ "$A" = b ] && c"#, argv(&["sh", "-c", r#"[ "$A" = b ] && c"#])),
            (r#"{"a":1}"#, argv(&["sh", "-c", r#"{"a":1}"#])),
        ];
        check(command, &good, &[r#"["a","#, r#"["a", 1]"#, "[]", r#"[""]"#]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let problem = |vars: &[(&str, &str)]| {
            let own = |own_namespace| Context { own_namespace, ..context() };
            let config = Config::from_vars(owned(&[vars, &LEAST].concat()), &Flags::default(), &own(None));
            lines(config.unwrap_err()).join("\n")
        };
        let labels = ("EXEC_LABELS", "a");
        let command = ("EXEC_COMMAND", "b");
        assert_eq!(problem(&[labels]), "EXEC_COMMAND: with EXEC_LABELS it is required: the command to run in those pods");
        assert_eq!(problem(&[command]), "EXEC_LABELS: with EXEC_COMMAND it is required: a selector of the pods to run it in");
        assert_eq!(problem(&[labels, command]), "EXEC_NAMESPACE: outside of a pod it is required: the namespace of the pods");
        let manifests = problem(&[labels, command, ("EXEC_NAMESPACE", "n"), ("SOURCE", "m")]);
        assert_eq!(manifests, "EXEC_LABELS: needs an API server, and SOURCE is a folder");
    }
}
