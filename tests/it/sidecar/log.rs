//! Contract 1.9: the log, line by line.

use serde_json::Value;

use super::{passes, plain, sidecar};
use crate::common::{Setup, count, started};
use crate::support::projector::Builder;
use crate::support::*;

/// Everything that the tests here grep: writes of both kinds of bytes, a folder of its own, an object without data, a removal.
fn lived(setup: &Setup, builder: &Builder) -> Projector {
    setup.cluster.configmap("a", &[("text", "1")]).binary("bytes", b"\0\xff").target("sub").create();
    setup.cluster.secret("s", &[("token", "canary-of-the-secret")]).create();
    setup.cluster.configmap("empty", &[]).create();
    let projector = started(builder);
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! { "token" => "canary-of-the-secret" });
    projector.wait_output(&format!("Removing {}", setup.path("sub/text").display()));
    projector
}

/// Level and message of each line of the JSON form.
fn lines(output: &str) -> Vec<(String, String)> {
    let line = |line: &str| -> (String, String) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        (line["level"].as_str().unwrap().to_owned(), line["msg"].as_str().unwrap().to_owned())
    };
    output.lines().map(line).collect()
}

/// `https://HOST:PORT` of the kubeconfig.
fn server(setup: &Setup) -> String {
    let text = std::fs::read_to_string(setup.cluster.kubeconfig()).unwrap();
    let config: Value = serde_json::from_str(&text).or_else(|_| serde_saphyr::from_str(&text)).unwrap();
    config.pointer("/clusters/0/cluster/server").and_then(Value::as_str).unwrap().trim_end_matches('/').to_owned()
}

#[test]
fn keep_1_9_lines_that_people_search_for_are_there_word_for_word() {
    let setup = Setup::new();
    let mut projector = lived(&setup, &sidecar(&setup));
    assert_eq!(projector.terminate().code(), Some(0));
    let found = lines(&projector.output());
    let path = |name: &str| setup.path(name).display().to_string();
    let expected = [
        ("INFO", format!("Starting health server on port {}", projector.port())),
        ("INFO", format!("Config for cluster api at '{}'", server(&setup))),
        ("INFO", format!("Found a folder override annotation, placing the a in: {}", path("sub"))),
        ("INFO", format!("Writing {} (ascii)", path("sub/text"))),
        ("INFO", format!("Writing {} (binary)", path("sub/bytes"))),
        ("INFO", format!("Writing {} (binary)", path("token"))),
        ("WARNING", "No data/binaryData field in configmap".to_owned()),
        ("INFO", format!("Removing {}", path("sub/text"))),
        ("INFO", format!("Removing {}", path("sub/bytes"))),
        ("INFO", "Subprocess exiting gracefully".to_owned()),
    ];
    for (level, message) in expected {
        let times = found.iter().filter(|(known, text)| (known.as_str(), text.as_str()) == (level, message.as_str())).count();
        assert_eq!(times, 1, "{level} {message}: {}", projector.output());
    }
}

#[test]
fn keep_1_5_file_that_is_gone_before_its_removal_is_told_word_for_word() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&sidecar(&setup));
    std::fs::remove_file(setup.path("a")).unwrap();
    setup.cluster.delete("configmaps", "a");
    let line = ("ERROR".to_owned(), format!("Unable to remove {}, file not found", setup.path("a").display()));
    wait_for("the line", DEADLINE, || lines(&projector.output()).contains(&line));
}

#[test]
fn keep_1_9_debug_tells_each_object_and_each_unchanged_path_in_every_pass() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "canary-of-the-secret")]).create();
    let projector = started(&sidecar(&setup).env("RESYNC", "1").env("LOG_LEVEL", "debug"));
    passes(&projector, &setup.path("a"), 2);
    passes(&projector, &setup.path("b"), 2);
    for object in ["configmap", "secret"] {
        let name = if object == "secret" { "b" } else { "a" };
        assert!(count(&projector.output(), &format!("Working on {object} {}/{name}", setup.cluster.namespace())) >= 2);
    }
    projector.assert_no_leak(&["canary-of-the-secret"]);
}

#[test]
fn keep_1_9_log_goes_to_stderr_as_json_with_time_level_and_msg() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let finished = plain(&setup).env("METHOD", "LIST").env("LOG_TZ", "UTC").run();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""));
    for line in finished.stderr.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let time = parsed["time"].as_str().unwrap();
        // As Python's isoformat: microseconds and an offset.
        assert!(time.len() == "2026-01-01T00:00:00.000000+00:00".len() && time.ends_with("+00:00"), "{line}");
        assert!(line.starts_with(r#"{"time": ""#) && parsed["level"].is_string() && parsed["msg"].is_string(), "{line}");
    }
    assert!(finished.stderr.contains("Writing "), "{}", finished.stderr);
}

#[test]
fn keep_1_9_log_tz_is_the_local_zone_otherwise() {
    let setup = Setup::new();
    let finished = plain(&setup).env("METHOD", "LIST").env("TZ", "<+05>-5").env("LOG_TZ", "anything").run();
    let line: Value = serde_json::from_str(finished.stderr.lines().next().unwrap()).unwrap();
    assert!(line["time"].as_str().unwrap().ends_with("+05:00"), "{line}");
}

#[test]
fn keep_1_9_logfmt_has_time_level_and_msg_in_this_order() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let finished = plain(&setup).env("METHOD", "LIST").env("LOG_FORMAT", "logfmt").run();
    assert_eq!(finished.code, Some(0));
    for line in finished.stderr.lines() {
        assert!(line.starts_with("time=") && line.contains(" level=") && line.contains(" msg=\""), "{line}");
    }
    let line = format!("level=INFO msg=\"Writing {} (ascii)\"\n", setup.path("a").display());
    assert!(finished.stderr.contains(&line), "{}", finished.stderr);
}

#[test]
fn keep_1_2_log_level_is_taken_in_any_case() {
    for (level, writes, debugs) in [("DEBUG", true, true), ("info", true, false), ("Warning", false, false), ("CRITICAL", false, false)] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let finished = plain(&setup).env("METHOD", "LIST").env("LOG_LEVEL", level).run();
        let found = lines(&finished.stderr);
        let written = found.iter().any(|(_, text)| text.starts_with("Writing "));
        assert_eq!((finished.code, written), (Some(0), writes), "{level}: {}", finished.stderr);
        assert!(debugs || found.iter().all(|(level, _)| level != "DEBUG"), "{level}: {}", finished.stderr);
    }
}

/// As the charts write it, with the root's level and a file of its own level.
fn log_config(setup: &Setup) -> String {
    let text = format!(
        r#"
version: 1
disable_existing_loggers: false
root:
  level: DEBUG
  handlers: [console, file]
handlers:
  console:
    class: logging.StreamHandler
    level: INFO
    formatter: LOGFMT
  file:
    class: logging.handlers.RotatingFileHandler
    level: DEBUG
    formatter: JSON
    filename: {}
    maxBytes: 100000
    backupCount: 3
formatters:
  JSON:
    "()": logger.JsonFormatter
  LOGFMT:
    "()": logger.LogfmtFormatter
"#,
        setup.beside("sidecar.log").display()
    );
    let path = setup.beside("log.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn keep_1_9_log_config_has_handlers_levels_and_forms() {
    let setup = Setup::new();
    let mut projector = lived(&setup, &sidecar(&setup).env("LOG_CONFIG", &log_config(&setup)).env("RESYNC", "1"));
    let file = || std::fs::read_to_string(setup.beside("sidecar.log")).unwrap();
    let unchanged = format!("Contents of {} haven't changed", setup.path("token").display());
    wait_for("DEBUG in the file", DEADLINE, || file().contains(&unchanged));
    assert_eq!(projector.terminate().code(), Some(0));
    let writing = format!("Writing {} (binary)", setup.path("token").display());
    assert!(lines(&file()).contains(&("INFO".to_owned(), writing.clone())), "{}", file());
    let output = projector.output();
    assert!(output.lines().all(|line| line.starts_with("time=")), "{output}");
    assert!(output.contains(&writing) && !output.contains(&unchanged), "{output}");
    projector.assert_no_leak(&["canary-of-the-secret"]);
    assert_no_leak("the log file", file(), &["canary-of-the-secret"]);
}

#[test]
fn fix_1_9_log_config_that_cannot_be_read_ends_with_2() {
    let setup = Setup::new();
    for (name, text) in [("missing.yaml", None), ("broken.yaml", Some("root: [")), ("strange.yaml", Some("root: {level: LOUD}"))] {
        if let Some(text) = text {
            std::fs::write(setup.beside(name), text).unwrap();
        }
        let finished = plain(&setup).env("LOG_CONFIG", &setup.beside(name).display().to_string()).run();
        assert_eq!(finished.code, Some(2), "{name}: {}", finished.stderr);
        assert!(finished.stderr.starts_with("LOG_CONFIG"), "{name}: {}", finished.stderr);
    }
}
