//! The command line: subcommands and flags, nothing that acts on them.
//!
//! Flags are a second way to say some settings; [`crate::config`] joins them with the environment.

pub(crate) mod former;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::help;

/// Keeps a folder equal to what labelled Kubernetes ConfigMaps and Secrets say it should hold.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(
    name = "kube-projector",
    version,
    after_help = "Settings are environment variables: --help lists them all.",
    after_long_help = help::variables()
)]
pub struct Cli {
    /// What to do; `None` is [`Command::Run`].
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The application, started once its files are there, told of changes, and ended with us
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) child: Vec<OsString>,
    /// Settings given as flags, before or after the subcommand.
    #[command(flatten)]
    pub(crate) flags: Flags,
}

impl Cli {
    /// Reads a command line, the program's name first. One that cannot be understood ends the program.
    pub fn read(arguments: impl Iterator<Item = OsString>) -> Self {
        Self::try_read(arguments).unwrap_or_else(|error| error.exit())
    }

    fn try_read(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let (arguments, former) = former::translated(arguments);
        let mut cli = Self::try_parse_from(arguments)?;
        (cli.flags.former.kubeconfig, cli.flags.former.ignored) = (former.kubeconfig, former.ignored);
        Ok(cli)
    }
}

/// What to do.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Keep the folder (the default)
    Run {
        /// The application, started once its files are there, told of changes, and ended with us
        #[arg(last = true, value_name = "PROGRAM")]
        child: Vec<OsString>,
    },
    /// Show what would be written, replaced and removed, and why; changes nothing
    ///
    /// Works beside a running instance. Exit code 0: nothing to do, 2: changes pending.
    Plan {
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = Output::Table, value_name = "FORM")]
        output: Output,
    },
    /// Check settings, permissions, files and servers; exit code 1 on any problem
    Check {
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = Output::Table, value_name = "FORM")]
        output: Output,
    },
    /// Remove our finalizer from every object that carries it, for uninstalling
    ///
    /// Needs neither FOLDER nor, if FINALIZER_NAME is set or with --all, LABEL.
    #[command(group(clap::ArgGroup::new("consent").args(["yes", "dry_run"]).multiple(true)))]
    Release {
        /// Every finalizer under our domain, also those of other deployments; needs --yes or --dry-run
        #[arg(long, requires = "consent")]
        all: bool,
        /// Confirms --all
        #[arg(long)]
        yes: bool,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Ask the health endpoint of the instance on this machine; exit code 0 if it is well
    Healthcheck,
}

impl Cli {
    /// The settings given as flags, and the application, which stands behind `--`.
    pub fn settings(&self) -> Flags {
        let child = match &self.command {
            Some(Command::Run { child }) if !child.is_empty() => child,
            _ => &self.child,
        };
        Flags { child: child.clone(), ..self.flags.clone() }
    }
}

/// Form of what `plan` and `check` print.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Settings that a person types. Each beats its variable; an empty text unsets it.
#[derive(Args, Clone, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// Label key that objects must carry (LABEL)
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) label: Option<String>,
    /// Value that the label must have (LABEL_VALUE)
    #[arg(long, global = true, value_name = "VALUE")]
    pub(crate) label_value: Option<String>,
    /// Folder to keep (FOLDER)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) folder: Option<String>,
    /// Namespaces, with commas between them, or ALL (NAMESPACE)
    #[arg(long, global = true, value_name = "NAMES")]
    pub(crate) namespace: Option<String>,
    /// Objects to follow one by one, with commas between them; may be repeated (OBJECT)
    #[arg(long, global = true, value_name = "KIND/NAMESPACE/NAME")]
    pub(crate) object: Vec<String>,
    /// Folder of manifests to read instead of a cluster (SOURCE)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) source: Option<String>,
    /// File with the user name for other servers (REQ_USERNAME_FILE)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) req_username_file: Option<String>,
    /// File with the password for other servers (REQ_PASSWORD_FILE)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) req_password_file: Option<String>,
    /// Kubeconfig, as the Dovecot Director Controller takes it (KUBECONFIG)
    #[arg(short = 'c', global = true, value_name = "FILE")]
    pub(crate) director_kubeconfig: Option<String>,
    /// Write once and end (METHOD=LIST)
    #[arg(long, global = true)]
    pub(crate) once: bool,
    /// Those of k8s-config-controller.
    #[command(flatten)]
    pub(crate) former: former::Flags,
    /// The application to run as a child; see [`Cli::settings`].
    #[arg(skip)]
    pub(crate) child: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;
    use crate::config::table::SETTINGS;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_read(std::iter::once("kube-projector").chain(line.split_whitespace()).map(OsString::from)).map_err(|error| error.kind())
    }

    fn command(line: &str) -> Result<Command, ErrorKind> {
        parse(line).map(|cli| cli.command.unwrap())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        assert_eq!(parse(""), Ok(Cli { command: None, child: Vec::new(), flags: Flags::default() }));
        assert_eq!(command("run"), Ok(Command::Run { child: Vec::new() }));
    }

    #[test]
    fn the_application_stands_behind_two_dashes() {
        let expected = ["nginx", "-g", "--", "plan"].map(OsString::from).to_vec();
        for line in ["-- nginx -g -- plan", "run -- nginx -g -- plan", "--label a run --folder b -- nginx -g -- plan"] {
            assert_eq!(parse(line).map(|cli| cli.settings().child), Ok(expected.clone()), "{line}");
        }
        assert_eq!(parse("run --").map(|cli| cli.settings().child), Ok(Vec::new()));
    }

    #[test]
    fn only_run_takes_an_application() {
        for line in ["plan -- nginx", "check -- nginx", "release -- nginx", "healthcheck -- nginx"] {
            assert_eq!(parse(line).unwrap_err(), ErrorKind::UnknownArgument, "{line}");
        }
        assert_eq!(parse("run nginx").unwrap_err(), ErrorKind::UnknownArgument);
    }

    #[test]
    fn subcommands_take_their_flags() {
        assert_eq!(command("plan"), Ok(Command::Plan { output: Output::Table }));
        assert_eq!(command("plan --output json"), Ok(Command::Plan { output: Output::Json }));
        assert_eq!(command("check"), Ok(Command::Check { output: Output::Table }));
        assert_eq!(command("check --output json"), Ok(Command::Check { output: Output::Json }));
        assert_eq!(command("healthcheck"), Ok(Command::Healthcheck));
        assert_eq!(command("plan --output yaml"), Err(ErrorKind::InvalidValue));
        assert_eq!(command("frobnicate"), Err(ErrorKind::UnknownArgument));
    }

    #[test]
    fn releasing_all_needs_consent() {
        let release = |all, yes, dry_run| Ok(Command::Release { all, yes, dry_run });
        assert_eq!(command("release"), release(false, false, false));
        assert_eq!(command("release --dry-run"), release(false, false, true));
        assert_eq!(command("release --all"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(command("release --all --yes"), release(true, true, false));
        assert_eq!(command("release --all --dry-run"), release(true, false, true));
        assert_eq!(command("release --all --dry-run --yes"), release(true, true, true));
    }

    #[test]
    fn setting_flags_stand_before_or_after_the_subcommand() {
        let flags = "--label a --label-value b --folder c --namespace d --object h,i --object j --source e --req-username-file f --req-password-file g -c k --once";
        let expected = Flags {
            label: Some("a".into()),
            label_value: Some("b".into()),
            folder: Some("c".into()),
            namespace: Some("d".into()),
            object: vec!["h,i".into(), "j".into()],
            source: Some("e".into()),
            req_username_file: Some("f".into()),
            req_password_file: Some("g".into()),
            director_kubeconfig: Some("k".into()),
            once: true,
            former: former::Flags::default(),
            child: Vec::new(),
        };
        for line in [flags.to_owned(), format!("{flags} check"), format!("check {flags}"), format!("--label a check {}", &flags[9..])] {
            assert_eq!(parse(&line).map(|cli| cli.flags), Ok(expected.clone()), "{line}");
        }
    }

    #[test]
    fn the_command_line_of_k8s_config_controller_is_understood() {
        let read = |line| parse(line).map(|cli| (cli.command, cli.flags.former));
        let flags = former::Flags {
            configroot: Some("/c".into()),
            configmap: Some("n/a".into()),
            reload_http: Some("http://localhost/reload".into()),
            reload_http_method: Some("PUT".into()),
            kubeconfig: None,
            ignored: vec!["logtostderr".into()],
        };
        let line = "-configroot=/c --configmap n/a --logtostderr --reload-http=http://localhost/reload --reload-http-method=PUT";
        assert_eq!(read(line), Ok((None, flags)));
        assert_eq!(read("--configmap=a --frobnicate"), Err(ErrorKind::UnknownArgument));
    }

    #[test]
    fn the_label_value_may_be_empty() {
        let cli = Cli::try_parse_from(["kube-projector", "--label-value", ""]).unwrap();
        assert_eq!(cli.flags.label_value.as_deref(), Some(""));
    }

    #[test]
    fn flags_and_table_name_each_other() {
        let command = Cli::command();
        let global = command.get_arguments().filter(|flag| flag.is_global_set());
        let flags: BTreeSet<_> = global.filter_map(|flag| flag.get_long().map(|long| format!("--{long}"))).collect();
        let table: BTreeSet<_> = SETTINGS.iter().filter_map(|setting| setting.flag.map(str::to_owned)).collect();
        assert_eq!(flags, table);
    }

    #[test]
    fn long_help_ends_with_the_settings() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.trim_end().ends_with(&help::variables()), "{help}");
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(wide.is_empty(), "{wide:?}");
    }
}
