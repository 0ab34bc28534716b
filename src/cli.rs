//! The command line: subcommands and flags, nothing that acts on them.
//!
//! Flags are a second way to say some settings; [`crate::config`] knows them, and joins them with the environment.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory as _, FromArgMatches, Parser, ValueEnum};
use strsim::osa_distance;

use crate::config::setting::{Flag, Takes};
use crate::config::{Arguments, flags, help};

/// Keeps a folder equal to what labelled Kubernetes ConfigMaps and Secrets say it should hold.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(
    name = "kube-projector",
    version,
    after_help = "Settings are environment variables: --help lists them all.",
    after_long_help = help::variables()
)]
pub struct Cli {
    /// What to do; `None` is [`Subcommand::Run`].
    #[command(subcommand)]
    pub command: Option<Subcommand>,
    /// The application, started once its files are there, told of changes, and ended with us
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) child: Vec<OsString>,
    /// Settings given as flags, before or after the subcommand.
    #[command(flatten)]
    pub(crate) flags: FlagValues,
}

/// What to do.
#[derive(clap::Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Subcommand {
    /// Keep the folder (the default)
    Run {
        /// The application, started once its files are there, told of changes, and ended with us
        #[arg(last = true, value_name = "PROGRAM")]
        child: Vec<OsString>,
    },
    /// Something beside that.
    #[command(flatten)]
    Tool(Tool),
}

/// What does its work and ends.
#[derive(clap::Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Tool {
    /// Show what would be written, replaced and removed, and why; changes nothing
    ///
    /// Works beside a running instance. Exit code 0: nothing to do, 2: changes pending.
    Plan {
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = OutputFormat::Table, value_name = "FORM")]
        output: OutputFormat,
    },
    /// Check settings, permissions, files and servers; exit code 1 on any problem
    Check {
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = OutputFormat::Table, value_name = "FORM")]
        output: OutputFormat,
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
    /// Ask the health endpoint of the instance on this machine, and say whether it is well
    ///
    /// Exit code 0: well, 1: not well, 3: not checked, because no endpoint is served (LIVENESS=false).
    Healthcheck {
        /// Exit code 0, too, where no endpoint is served: for the HEALTHCHECK of an image
        #[arg(long)]
        or_off: bool,
    },
    /// Say what the status page of the instance on this machine shows
    ///
    /// Asks STATUS_ADDR. Exit code 0: all is well, 1: something is not, or nobody answers.
    Status {
        /// Look again and again
        #[arg(long)]
        watch: bool,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = OutputFormat::Table, value_name = "FORM")]
        output: OutputFormat,
    },
    /// Print name and version, and as JSON what it was built for
    Version {
        /// Form of the answer
        #[arg(long, value_enum, default_value_t = OutputFormat::Table, value_name = "FORM")]
        output: OutputFormat,
    },
}

/// Form of what `plan`, `check` and `version` print.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Cli {
    /// Reads a command line, the program's name first. One that cannot be understood ends the program.
    pub fn read(arguments: impl Iterator<Item = OsString>) -> Self {
        Self::try_read(arguments).unwrap_or_else(|error| error.exit())
    }

    fn try_read(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let (arguments, others) = flags::translated(arguments);
        let mut cli = Self::try_parse_from(&arguments).map_err(|error| with_hint(error, &arguments))?;
        cli.flags.0.extend(others);
        Ok(cli)
    }

    /// The settings given as flags, and the application, which stands behind `--`.
    pub fn arguments(&self) -> Arguments {
        let child = match &self.command {
            Some(Subcommand::Run { child }) if !child.is_empty() => child,
            _ => &self.child,
        };
        Arguments { flags: self.flags.0.clone(), child: child.clone() }
    }
}

/// Names and values of the flags that say settings. Each beats its variable; an empty text unsets it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct FlagValues(Vec<(&'static str, String)>);

impl Args for FlagValues {
    fn augment_args(command: Command) -> Command {
        let own = flags::own().into_iter().map(|(flag, help)| argument(flag, help).global(true));
        let foreign = flags::foreign().into_iter().map(|flag| argument(flag, flag.help.to_owned()));
        command.args(own).next_help_heading(flags::FOREIGN).args(foreign)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FlagValues {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let known = flags::own().into_iter().map(|(flag, _)| flag).chain(flags::foreign());
        let value = |flag: &Flag| match flag.takes {
            Takes::Nothing(value) => matches.get_flag(flag.name).then(|| value.to_owned()),
            Takes::Value(_) | Takes::Values(_) => {
                let values = matches.get_many::<String>(flag.name)?;
                Some(values.map(String::as_str).collect::<Vec<_>>().join(","))
            }
        };
        Ok(Self(known.filter_map(|flag| Some((flag.name, value(&flag)?))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The error, with what was perhaps meant by a word that stands where a subcommand does: one of ours, or a program to run.
fn with_hint(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return error };
    let subcommands: Vec<String> = Cli::command().get_subcommands().map(|known| known.get_name().to_owned()).collect();
    let before = arguments.iter().skip(1).take_while(|argument| argument.as_os_str() != word.as_str());
    let chosen = before.filter_map(|argument| subcommands.iter().find(|known| argument.as_os_str() == known.as_str())).next();
    let hint = match chosen.map(String::as_str) {
        _ if error.kind() != ErrorKind::UnknownArgument || word.starts_with('-') => return error,
        None => {
            let near = subcommands.iter().find(|known| osa_distance(word.as_str(), known.as_str()) == 1);
            near.map_or_else(|| format!("did you mean `run -- {word}`?"), |known| format!("did you mean `{known}`?"))
        }
        Some("run") => format!("did you mean `run -- {word}`?"),
        Some(_) => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(hint)]));
    error
}

fn argument(flag: Flag, help: String) -> Arg {
    let argument = Arg::new(flag.name).help(help);
    let argument = match (flag.name.strip_prefix("--"), flag.name.strip_prefix('-').and_then(|name| name.chars().next())) {
        (None, Some(short)) => argument.short(short),
        (long, _) => argument.long(long.unwrap_or(flag.name)),
    };
    match flag.takes {
        Takes::Value(value) => argument.value_name(value).action(ArgAction::Set),
        Takes::Values(value) => argument.value_name(value).action(ArgAction::Append),
        Takes::Nothing(_) => argument.action(ArgAction::SetTrue),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::table::SETTINGS;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_read(std::iter::once("kube-projector").chain(line.split_whitespace()).map(OsString::from)).map_err(|error| error.kind())
    }

    fn tool(line: &str) -> Result<Tool, ErrorKind> {
        parse(line).map(|cli| match cli.command {
            Some(Subcommand::Tool(tool)) => tool,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        assert_eq!(parse(""), Ok(Cli { command: None, child: Vec::new(), flags: FlagValues::default() }));
        assert_eq!(parse("run").map(|cli| cli.command), Ok(Some(Subcommand::Run { child: Vec::new() })));
    }

    #[test]
    fn the_application_stands_behind_two_dashes() {
        let expected = ["nginx", "-g", "--", "plan"].map(OsString::from).to_vec();
        for line in ["-- nginx -g -- plan", "run -- nginx -g -- plan", "--label a run --folder b -- nginx -g -- plan"] {
            assert_eq!(parse(line).map(|cli| cli.arguments().child), Ok(expected.clone()), "{line}");
        }
        assert_eq!(parse("run --").map(|cli| cli.arguments().child), Ok(Vec::new()));
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
        assert_eq!(tool("plan"), Ok(Tool::Plan { output: OutputFormat::Table }));
        assert_eq!(tool("plan --output json"), Ok(Tool::Plan { output: OutputFormat::Json }));
        assert_eq!(tool("check"), Ok(Tool::Check { output: OutputFormat::Table }));
        assert_eq!(tool("check --output json"), Ok(Tool::Check { output: OutputFormat::Json }));
        assert_eq!(tool("healthcheck"), Ok(Tool::Healthcheck { or_off: false }));
        assert_eq!(tool("healthcheck --or-off"), Ok(Tool::Healthcheck { or_off: true }));
        assert_eq!(tool("status"), Ok(Tool::Status { watch: false, output: OutputFormat::Table }));
        assert_eq!(tool("status --watch --output json"), Ok(Tool::Status { watch: true, output: OutputFormat::Json }));
        assert_eq!(tool("version"), Ok(Tool::Version { output: OutputFormat::Table }));
        assert_eq!(tool("version --output json"), Ok(Tool::Version { output: OutputFormat::Json }));
        assert_eq!(tool("plan --output yaml"), Err(ErrorKind::InvalidValue));
        assert_eq!(tool("frobnicate"), Err(ErrorKind::UnknownArgument));
    }

    #[test]
    fn a_word_where_a_subcommand_stands_gets_a_hint() {
        let hint = |line: &str| {
            let words = std::iter::once("kube-projector").chain(line.split_whitespace()).map(OsString::from);
            let text = Cli::try_read(words).unwrap_err().to_string();
            text.lines().find_map(|line| line.trim().strip_prefix("tip: ")).map(str::to_owned)
        };
        let cases = [
            ("nginx", Some("did you mean `run -- nginx`?")),
            ("nginx -g daemon", Some("did you mean `run -- nginx`?")),
            ("--label a --folder b /usr/sbin/nginx", Some("did you mean `run -- /usr/sbin/nginx`?")),
            ("run nginx -c x", Some("did you mean `run -- nginx`?")),
            ("run --label a nginx", Some("did you mean `run -- nginx`?")),
            ("nginx -- plan", Some("did you mean `run -- nginx`?")),
            ("chekc", Some("did you mean `check`?")),
            ("chek --output json", Some("did you mean `check`?")),
            ("heathcheck", Some("did you mean `healthcheck`?")),
            ("rnu -- nginx", Some("did you mean `run`?")),
            ("plan nginx", None),
            ("healthcheck nginx", None),
        ];
        for (line, expected) in cases {
            assert_eq!(hint(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn releasing_all_needs_consent() {
        let release = |all, yes, dry_run| Ok(Tool::Release { all, yes, dry_run });
        assert_eq!(tool("release"), release(false, false, false));
        assert_eq!(tool("release --dry-run"), release(false, false, true));
        assert_eq!(tool("release --all"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(tool("release --all --yes"), release(true, true, false));
        assert_eq!(tool("release --all --dry-run"), release(true, false, true));
        assert_eq!(tool("release --all --dry-run --yes"), release(true, true, true));
    }

    #[test]
    fn setting_flags_stand_before_or_after_the_subtool() {
        let flags = "--label a --label-value b --folder c --namespace d --object h,i --object j --source e --req-username-file f --req-password-file g -c k --once";
        let mut expected = [
            ("--label", "a"),
            ("--label-value", "b"),
            ("--folder", "c"),
            ("--namespace", "d"),
            ("--object", "h,i,j"),
            ("--source", "e"),
            ("--req-username-file", "f"),
            ("--req-password-file", "g"),
            ("-c", "k"),
            ("--once", "LIST"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        expected.sort();
        for line in [flags.to_owned(), format!("{flags} check"), format!("check {flags}"), format!("--label a check {}", &flags[9..])] {
            let mut flags = parse(&line).unwrap().arguments().flags;
            flags.sort();
            assert_eq!(flags, expected, "{line}");
        }
    }

    #[test]
    fn the_command_line_of_k8s_config_controller_is_understood() {
        let flags = [
            ("--configroot", "/c"),
            ("--configmap", "n/a"),
            ("--reload-http", "http://localhost/reload"),
            ("--reload-http-method", "PUT"),
            ("--logtostderr", ""),
        ];
        let flags = FlagValues(flags.map(|(name, value)| (name, value.to_owned())).to_vec());
        let line = "-configroot=/c --configmap n/a --logtostderr --reload-http=http://localhost/reload --reload-http-method=PUT";
        assert_eq!(parse(line).map(|cli| (cli.command, cli.flags)), Ok((None, flags)));
        assert_eq!(parse("--configmap=a --frobnicate").map(|_| ()), Err(ErrorKind::UnknownArgument));
    }

    #[test]
    fn the_label_value_may_be_empty() {
        let cli = Cli::try_parse_from(["kube-projector", "--label-value", ""]).unwrap();
        assert_eq!(cli.flags, FlagValues(vec![("--label-value", String::new())]));
    }

    #[test]
    fn flags_and_table_name_each_other() {
        let command = Cli::command();
        let global = command.get_arguments().filter(|flag| flag.is_global_set());
        let flags: BTreeSet<_> = global.filter_map(|flag| flag.get_long().map(|long| format!("--{long}"))).collect();
        let table: BTreeSet<_> = SETTINGS.iter().filter_map(|setting| setting.flag.map(|flag| flag.name.to_owned())).collect();
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
