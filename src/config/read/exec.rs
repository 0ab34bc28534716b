//! Settings about a command that is run in other pods, and about pods that REQ_URL asks.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::ObjectSource;
use crate::config::read::SettingsReader;
use crate::config::read::form::ReadValue;
use crate::config::read::origin::Origin;
use crate::config::read::parse::{self, Expected};
use crate::config::read::web::WebSettings;
use crate::config::table::SettingValues;
use crate::core::names;
use crate::core::object::selector::Selector;

/// The command that follows a change, in other pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecSettings {
    /// EXEC_LABELS.
    pub(crate) labels: Selector,
    /// EXEC_NAMESPACE, or our own.
    pub(crate) namespace: String,
    /// EXEC_CONTAINER.
    pub(crate) container: Option<String>,
    /// EXEC_COMMAND: program and arguments, not empty.
    pub(crate) command: Vec<String>,
    /// EXEC_TIMEOUT.
    pub(crate) timeout: Duration,
    /// EXEC_RETRIES.
    pub(crate) retries: u32,
    /// EXEC_ONLY_READY.
    pub(crate) only_ready: bool,
    /// EXEC_CONCURRENCY, at least 1.
    pub(crate) concurrency: usize,
}

/// The pods that REQ_URL asks, each at its own address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AskedPods {
    /// EXEC_LABELS.
    pub(crate) labels: Selector,
    /// EXEC_NAMESPACE, or our own.
    pub(crate) namespace: String,
    /// EXEC_ONLY_READY.
    pub(crate) only_ready: bool,
    /// EXEC_CONCURRENCY, at least 1.
    pub(crate) concurrency: usize,
    /// REQ_SERVER_NAME: the name that their certificate has to be for.
    pub(crate) server_name: Option<String>,
}

impl SettingsReader<'_> {
    /// `None` inside: nothing is run in pods; none of them is asked.
    pub(crate) fn exec(
        &mut self,
        set: &SettingValues,
        source: Option<&ObjectSource>,
        web: Option<&WebSettings>,
    ) -> Option<(Option<ExecSettings>, Option<AskedPods>)> {
        let (asks, server_name) = self.server_name(set, web);
        let (labels, command) = (set.EXEC_LABELS.optional()?, set.EXEC_COMMAND.optional()?);
        let (namespace, container) = (set.EXEC_NAMESPACE.optional()?, set.EXEC_CONTAINER.optional()?);
        let (timeout, retries) = (set.EXEC_TIMEOUT.value()?, set.EXEC_RETRIES.value()?);
        let only_ready = set.EXEC_ONLY_READY.value()?;
        let concurrency = usize::try_from(set.EXEC_CONCURRENCY.value()?).unwrap_or(usize::MAX);
        let (labels, command) = match (labels, command) {
            (Some(labels), command) if asks || command.is_some() => (labels, command),
            (None, _) if asks => {
                self.note("EXEC_LABELS", "with {pod} in REQ_URL it is required: a selector of the pods to ask");
                return None;
            }
            (Some(_), _) => {
                self.note("EXEC_COMMAND", "with EXEC_LABELS it is required: the command to run in those pods");
                return None;
            }
            // A command that the profile has is no wish for one.
            (None, _) if !set.EXEC_COMMAND.is_given() => return Some((None, None)),
            (None, _) => {
                self.note("EXEC_LABELS", "with EXEC_COMMAND it is required: a selector of the pods to run it in");
                return None;
            }
        };
        if let Some(ObjectSource::Manifests(_)) = source {
            self.note("EXEC_LABELS", "needs an API server, and SOURCE is a folder");
            return None;
        }
        let Some(namespace) = namespace.or_else(|| self.context.own_namespace.clone()) else {
            self.note("EXEC_NAMESPACE", "outside of a pod it is required: the namespace of the pods");
            return None;
        };
        let server_name = server_name?;
        let asked = AskedPods { labels: labels.clone(), namespace: namespace.clone(), only_ready, concurrency, server_name };
        let exec = |command| ExecSettings { labels, namespace, container, command, timeout, retries, only_ready, concurrency };
        Some((command.map(exec), asks.then_some(asked)))
    }

    /// Whether REQ_URL asks pods, and REQ_SERVER_NAME, which is for that alone.
    fn server_name(&mut self, set: &SettingValues, web: Option<&WebSettings>) -> (bool, Option<Option<String>>) {
        let pods = self.texts.text("REQ_URL").and_then(Origin::parse).filter(Origin::is_pods);
        let speaks_tls = pods.as_ref().is_some_and(|pods| pods.scheme == "https");
        let believes_anybody = web.is_none_or(|web| web.skip_tls_verify);
        match &set.REQ_SERVER_NAME {
            ReadValue::Given(_) if !speaks_tls => self.note("REQ_SERVER_NAME", "is for a REQ_URL that begins with https://{pod}"),
            ReadValue::Absent if speaks_tls && !believes_anybody => {
                self.note("REQ_SERVER_NAME", "with https://{pod} in REQ_URL it is required: the name that the pods' certificate is for");
            }
            _ => {}
        }
        (pods.is_some(), set.REQ_SERVER_NAME.optional())
    }
}

/// EXEC_COMMAND: a JSON array of strings is a program with its arguments; all other text is for the shell.
pub(crate) fn command(text: &str) -> Result<Vec<String>, Expected> {
    let argv = match serde_json::from_str::<Vec<String>>(text) {
        Ok(argv) => Some(argv),
        // In no shell this begins a command; after `[` and a blank it may be a test.
        _ if text.starts_with("[\"") => None,
        _ => Some(["sh", "-c", text].map(str::to_owned).to_vec()),
    };
    let argv = argv.filter(|argv| argv.first().is_some_and(|program| !program.is_empty()));
    argv.ok_or_else(|| "a JSON array of strings, for example [\"nginx\", \"-s\", \"reload\"], or a command for sh -c".into())
}

/// REQ_SERVER_NAME, in lower case.
pub(crate) fn server_name(text: &str) -> Result<String, Expected> {
    let name = text.to_ascii_lowercase();
    let is_name = names::is_dns_subdomain(&name) && name.parse::<IpAddr>().is_err();
    if is_name { Ok(name) } else { Err("a name, for example prometheus.example".into()) }
}

/// EXEC_NAMESPACE.
pub(crate) fn namespace(text: &str) -> Result<String, Expected> {
    parse::accept(text, names::is_dns_label, "the name of a namespace")
}

/// EXEC_CONTAINER.
pub(crate) fn container(text: &str) -> Result<String, Expected> {
    parse::accept(text, names::is_dns_label, "the name of a container")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Arguments;
    use crate::config::read::parse::tests::check;
    use crate::config::read::triggers::{PodTrigger, SecretTrigger, TriggerSettings};
    use crate::config::read::web::CredentialOrigins;
    use crate::config::tests::{LEAST, context, default_config, lines, owned, read};
    use crate::config::{Config, Context};

    pub(crate) fn exec() -> ExecSettings {
        ExecSettings {
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
        assert_eq!((crate::tell::is_set(&config), config.exec), (true, Some(exec())));
    }

    #[test]
    fn pods_are_asked_without_any_command_and_beside_one() {
        let url = ("REQ_URL", "http://{pod}:9090/-/reload");
        let asked = AskedPods {
            labels: Selector::parse("app=x").unwrap(),
            namespace: "own".into(),
            only_ready: true,
            concurrency: 4,
            server_name: None,
        };
        let config = read(&[url, ("EXEC_LABELS", "app=x")]).unwrap();
        assert_eq!((crate::tell::is_set(&config), config.exec, config.asked_pods), (true, None, Some(asked.clone())));
        // No .url key names them, and others are no more entitled than before.
        assert_eq!(config.downloads.credential_origins, CredentialOrigins::Only(vec![]));
        let config = read(&[url, ("EXEC_LABELS", "app=x"), ("EXEC_COMMAND", "reload")]).unwrap();
        assert_eq!((config.exec, config.asked_pods), (Some(exec()), Some(asked.clone())));
        let named = [("REQ_URL", "https://{pod}/"), ("EXEC_LABELS", "app=x"), ("REQ_SERVER_NAME", "Web.Example")];
        let asked = AskedPods { server_name: Some("web.example".into()), ..asked };
        assert_eq!(read(&named).unwrap().asked_pods, Some(asked));
        assert_eq!(read(&[("REQ_URL", "http://pod/"), ("EXEC_LABELS", "a"), ("EXEC_COMMAND", "b")]).unwrap().asked_pods, None);
    }

    #[test]
    fn pods_that_cannot_be_asked_are_told_of() {
        let problems = |vars: &[(&str, &str)]| read(vars).err().unwrap_or_default().join("\n");
        let (plain, tls, labels) = (("REQ_URL", "http://{pod}/"), ("REQ_URL", "https://{pod}/"), ("EXEC_LABELS", "a"));
        let (name, watched) = (("REQ_SERVER_NAME", "web.example"), ("WATCH_PODS_LABELS", "a"));
        assert_eq!(problems(&[plain]), "EXEC_LABELS: with {pod} in REQ_URL it is required: a selector of the pods to ask");
        assert_eq!(problems(&[plain, labels, ("SOURCE", "m")]), "EXEC_LABELS: needs an API server, and SOURCE is a folder");
        let required = "REQ_SERVER_NAME: with https://{pod} in REQ_URL it is required: the name that the pods' certificate is for";
        assert_eq!(problems(&[tls, labels]), required);
        assert_eq!(problems(&[tls, labels, ("REQ_SKIP_TLS_VERIFY", "true")]), "");
        for url in [plain, ("REQ_URL", "https://a/")] {
            assert_eq!(
                problems(&[url, labels, ("EXEC_COMMAND", "b"), name]),
                "REQ_SERVER_NAME: is for a REQ_URL that begins with https://{pod}"
            );
        }
        assert_eq!(problems(&[plain, labels, watched]), "WATCH_PODS_LABELS: is for EXEC_COMMAND, and that is not set");
        let expected =
            "REQ_URL=\"***\": expected a URL that begins with http:// or https://, and {pod} alone as its host if it is to ask pods";
        for url in ["http://{pod}.web/", "http://{node}/", "http://a{pod}:90/"] {
            assert_eq!(problems(&[("REQ_URL", url), labels, ("EXEC_COMMAND", "b")]), expected, "{url}");
        }
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
            let config = Config::from_vars(owned(&[vars, &LEAST].concat()), &Arguments::default(), &own(None));
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

    #[test]
    fn everything_about_the_command_in_pods_can_be_set() {
        let vars = [
            ("EXEC_LABELS", "app=x"),
            ("EXEC_NAMESPACE", "n"),
            ("EXEC_CONTAINER", "c"),
            ("EXEC_COMMAND", "[\"a\", \"b\"]"),
            ("EXEC_TIMEOUT", "5"),
            ("EXEC_RETRIES", "0"),
            ("EXEC_ONLY_READY", "no"),
            ("EXEC_CONCURRENCY", "2"),
            ("EXEC_ON", "none"),
            ("EXEC_ON_START", "true"),
            ("EXEC_DELAY", "1"),
            ("WATCH_PODS_LABELS", "app=a"),
            ("WATCH_SECRET_TYPE", "Opaque"),
            ("WATCH_SECRET_LABELS", "b"),
            ("EXEC_SECRET_DELAY", "2"),
        ];
        let exec = ExecSettings {
            labels: Selector::parse("app=x").unwrap(),
            namespace: "n".into(),
            container: Some("c".into()),
            command: vec!["a".into(), "b".into()],
            timeout: Duration::from_secs(5),
            retries: 0,
            only_ready: false,
            concurrency: 2,
        };
        let triggers = TriggerSettings {
            files: false,
            start: true,
            pods: Some(PodTrigger { selector: Selector::label("app", Some("a")), delay: Duration::from_secs(1) }),
            secrets: Some(SecretTrigger { of_type: "Opaque".into(), selector: Selector::label("b", None), delay: Duration::from_secs(2) }),
        };
        assert_eq!(read(&vars), Ok(Config { exec: Some(exec), triggers, ..default_config() }));
    }
}
