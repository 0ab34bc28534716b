//! The man page and the completions of a release name what the program knows.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use kube_projector::cli::Cli;

#[path = "../../image/pages/made.rs"]
mod made;

fn written() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    made::write(folder.path()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("kube-projector.1")).unwrap();
    (folder, page)
}

/// Text as a man page has it: a dash is escaped.
fn escaped(text: &str) -> String {
    text.replace('-', "\\-")
}

#[test]
fn the_man_page_names_every_command_flag_and_setting() {
    let (_folder, page) = written();
    let command = Cli::command();
    for subcommand in command.get_subcommands().map(clap::Command::get_name) {
        assert!(
            page.contains(&format!(".SS {}\n", subcommand)) || page.contains(&format!(".SS \"{}\"\n", subcommand)),
            "{subcommand}: {page}"
        );
    }
    let flags = command.get_subcommands().chain([&command]).flat_map(clap::Command::get_arguments).filter_map(|flag| flag.get_long());
    for flag in flags {
        assert!(page.contains(&escaped(&format!("--{flag}"))), "--{flag}");
    }
    let configuration = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let rows = configuration.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut settings = 0;
    for name in rows.filter_map(|row| row.split('`').next()) {
        assert_eq!(page.lines().filter(|line| *line == format!("\\fB{name}\\fR")).count().min(1), 1, "{name}");
        settings += 1;
    }
    assert!(settings > 100, "{settings} settings");
    // What begins with a dot or a quote is a request to the formatter.
    let requests = [".ie", ".el", ".ds", ".TH ", ".SH ", ".SS ", ".TP", ".PP", ".RS", ".RE", ".IP ", ".br"];
    let odd: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with(['.', '\'']))
        .filter(|line| !requests.iter().any(|known| line.starts_with(known)))
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn a_shell_completes_commands_and_flags() {
    let (folder, _) = written();
    for name in ["kube-projector.bash", "_kube-projector", "kube-projector.fish"] {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains("healthcheck") && text.contains("or-off") && text.contains("label-value"), "{name}");
    }
    let completed = |word: &str, before: &[&str]| {
        let words = ["kube-projector"].iter().chain(before).chain([&word]).copied().collect::<Vec<_>>();
        let script = format!(
            "source \"$1\"; COMP_WORDS=({}); COMP_CWORD={}; _kube__projector kube-projector '{word}' '{}'; echo \"${{COMPREPLY[*]}}\"",
            words.join(" "),
            words.len() - 1,
            words[words.len() - 2],
        );
        let output = Command::new("bash").args(["-c", &script, "bash"]).arg(folder.path().join("kube-projector.bash")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("heal", &[]), "healthcheck");
    assert_eq!(completed("--or", &["healthcheck"]), "--or-off");
    assert_eq!(completed("--label-", &["plan"]), "--label-value");
}
