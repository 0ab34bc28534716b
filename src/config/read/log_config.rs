//! LOG_CONFIG: the subset of Python's logging `dictConfig`, written as YAML, that charts use.
//!
//! Understood are the root logger's level and handlers, stream and file handlers, and formatters that are JSON or LOGFMT by name or by
//! class. Every other key is ignored. Pure: the text comes in as an argument.

use serde_json::Value;

use crate::config::read::log::{LogOutput, LogPlan, LogTarget, Rotation, python_level};
use crate::config::{LogFormat, LogLevel};
use crate::yaml;

/// What the text of a LOG_CONFIG file asks for.
///
/// # Errors
/// What was expected, and where.
pub(crate) fn parse(text: &str) -> Result<LogPlan, String> {
    const EXPECTED: &str = "expected a mapping with root, handlers and formatters, as logging.config.dictConfig takes it";
    let mut documents = yaml::documents(text.as_bytes()).into_iter();
    let document = match documents.next().map(|document| document.node) {
        None => Value::Null,
        Some(Ok(node)) => node,
        Some(Err(flaw)) => return Err(format!("line {}: {EXPECTED}: {}", flaw.line, flaw.expected)),
    };
    if !matches!(document, Value::Object(_) | Value::Null) || documents.next().is_some() {
        return Err(EXPECTED.to_owned());
    }
    // Python's root logger starts with WARNING.
    let level = scalar(&document, "/root/level")?.map_or(Ok(LogLevel::Warn), |text| level("root.level", &text))?;
    let names = match document.pointer("/root/handlers") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(names)) => names.as_slice(),
        Some(_) => return Err("root.handlers: expected a sequence of keys of handlers".to_owned()),
    };
    let outputs = names.iter().map(|name| output(name.as_str().unwrap_or_default(), &document)).filter_map(Result::transpose);
    Ok(LogPlan { level, outputs: outputs.collect::<Result<_, _>>()? })
}

/// What a handler writes where; `None` for one that writes nowhere.
fn output(name: &str, document: &Value) -> Result<Option<LogOutput>, String> {
    let handler = document.get("handlers").and_then(|handlers| handlers.get(name)).filter(|handler| handler.is_object());
    let handler = handler.ok_or_else(|| format!("root.handlers names {name:?}: expected a key of handlers"))?;
    let said = |key: &str| scalar(handler, &format!("/{key}")).map_err(|error| format!("handlers.{name}.{error}"));
    let number = |key: &str| match handler.get(key) {
        None => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| format!("handlers.{name}.{key}: expected a whole number")),
    };
    let class = said("class")?.unwrap_or_default();
    let target = match class.rsplit('.').next().unwrap_or_default() {
        "NullHandler" => return Ok(None),
        "StreamHandler" => stream(name, said("stream")?)?,
        "FileHandler" => file(name, said("filename")?, None)?,
        // As in Python, where either is zero the file grows for ever.
        "RotatingFileHandler" => {
            let (max_bytes, backups) = (number("maxBytes")?, u32::try_from(number("backupCount")?).unwrap_or(u32::MAX));
            file(name, said("filename")?, (max_bytes > 0 && backups > 0).then_some(Rotation { max_bytes, backups }))?
        }
        _ => {
            return Err(format!(
                "handlers.{name}.class={class:?}: expected logging.StreamHandler, logging.FileHandler or logging.handlers.RotatingFileHandler"
            ));
        }
    };
    let level = said("level")?.map_or(Ok(LogLevel::Trace), |text| level(&format!("handlers.{name}.level"), &text))?;
    let format = said("formatter")?.map_or(Ok(None), |formatter| format(name, &formatter, document))?;
    Ok(Some(LogOutput { target, format, level }))
}

/// Text at a place of a document, where Python takes numbers too; nothing where nothing is said.
fn scalar(value: &Value, pointer: &str) -> Result<Option<String>, String> {
    match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("{}: expected text", pointer.trim_start_matches('/').replace('/', "."))),
    }
}

fn stream(name: &str, stream: Option<String>) -> Result<LogTarget, String> {
    match stream.as_deref() {
        None | Some("ext://sys.stderr") => Ok(LogTarget::Stderr),
        Some("ext://sys.stdout") => Ok(LogTarget::Stdout),
        Some(other) => Err(format!("handlers.{name}.stream={other:?}: expected ext://sys.stderr or ext://sys.stdout")),
    }
}

fn file(name: &str, path: Option<String>, rotation: Option<Rotation>) -> Result<LogTarget, String> {
    let path = path.filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| format!("handlers.{name}.filename: expected the path of a file"))?;
    Ok(LogTarget::File { path: path.into(), rotation })
}

/// By what the formatter's entry says, else by its name; `None` where neither tells.
fn format(handler: &str, name: &str, document: &Value) -> Result<Option<LogFormat>, String> {
    let entry = document.get("formatters").and_then(|formatters| formatters.get(name));
    let said = |key: &str| entry.and_then(|entry| entry.get(key)).and_then(Value::as_str);
    match (named(said("()").or(said("class")).unwrap_or_default()).or_else(|| named(name)), entry) {
        (None, None) => Err(format!("handlers.{handler}.formatter={name:?}: expected JSON, LOGFMT or a key of formatters")),
        (format, _) => Ok(format),
    }
}

fn named(text: &str) -> Option<LogFormat> {
    let text = text.to_ascii_lowercase();
    if text.contains("logfmt") { Some(LogFormat::Logfmt) } else { text.contains("json").then_some(LogFormat::SidecarJson) }
}

/// Python takes numbers too.
fn level(place: &str, text: &str) -> Result<LogLevel, String> {
    let level = match text.parse::<u32>() {
        Ok(0..10) => LogLevel::Trace,
        Ok(10..20) => LogLevel::Debug,
        Ok(20..30) => LogLevel::Info,
        Ok(30..40) => LogLevel::Warn,
        Ok(_) => LogLevel::Error,
        Err(_) => return python_level(text).map_err(|expected| format!("{place}={text:?}: expected {expected}")),
    };
    Ok(level)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the Jenkins chart renders it with logging.configuration.override.
    const JENKINS: &str = r#"
version: 1
disable_existing_loggers: false
root:
  level: INFO
  handlers:
  - console
  - file
handlers:
  console:
    class: logging.StreamHandler
    level: DEBUG
    formatter: JSON
  file:
    class: logging.handlers.RotatingFileHandler
    level: WARNING
    formatter: JSON
    filename: /tmp/sidecar.log
    maxBytes: 1024
    backupCount: 3
  unused:
    class: logging.handlers.SysLogHandler
formatters:
  JSON:
    "()": logger.JsonFormatter
    format: "%(levelname)s %(message)s"
    rename_fields:
      message: msg
      levelname: level
  LOGFMT:
    "()": logger.LogfmtFormatter
    keys: [time, level, msg]
    mapping:
      time: asctime
      level: levelname
      msg: message
"#;

    fn output(target: LogTarget, format: Option<LogFormat>, level: LogLevel) -> LogOutput {
        LogOutput { target, format, level }
    }

    #[test]
    fn jenkins_chart_logs_to_stderr_and_a_rotating_file() {
        let file = LogTarget::File { path: "/tmp/sidecar.log".into(), rotation: Some(Rotation { max_bytes: 1024, backups: 3 }) };
        let outputs = vec![
            output(LogTarget::Stderr, Some(LogFormat::SidecarJson), LogLevel::Debug),
            output(file, Some(LogFormat::SidecarJson), LogLevel::Warn),
        ];
        assert_eq!(parse(JENKINS), Ok(LogPlan { level: LogLevel::Info, outputs }));
    }

    #[test]
    fn forms_are_found_by_class_then_by_name() {
        let document = json!({"formatters": {
            "JSON": {"()": "logger.LogfmtFormatter"},
            "mine": {"class": "pythonjsonlogger.jsonlogger.JsonFormatter"},
            "logfmt": null,
            "simple": {},
        }});
        let found = ["JSON", "mine", "logfmt", "simple"].map(|name| format("h", name, &document));
        assert_eq!(found, [Ok(Some(LogFormat::Logfmt)), Ok(Some(LogFormat::SidecarJson)), Ok(Some(LogFormat::Logfmt)), Ok(None)]);
        assert_eq!(format("h", "LOGFMT", &Value::Null), Ok(Some(LogFormat::Logfmt)));
        assert_eq!(format("h", "x", &Value::Null), Err("handlers.h.formatter=\"x\": expected JSON, LOGFMT or a key of formatters".into()));
    }

    #[test]
    fn what_is_left_out_is_as_in_python() {
        let nothing = LogPlan { level: LogLevel::Warn, outputs: vec![] };
        assert_eq!(parse("version: 1"), Ok(nothing.clone()));
        assert_eq!(parse(""), Ok(nothing));
        let text = "root: {level: 10, handlers: [a, b, c]}\nhandlers:\n  a: {class: logging.StreamHandler, stream: ext://sys.stdout}\n  b: {class: logging.FileHandler, filename: b.log, mode: w}\n  c: {class: logging.NullHandler}";
        let file = LogTarget::File { path: "b.log".into(), rotation: None };
        let outputs = vec![output(LogTarget::Stdout, None, LogLevel::Trace), output(file, None, LogLevel::Trace)];
        assert_eq!(parse(text), Ok(LogPlan { level: LogLevel::Debug, outputs }));
    }

    #[test]
    fn a_file_without_size_or_backups_is_never_exchanged() {
        let text = "root: {handlers: [f]}\nhandlers: {f: {class: logging.handlers.RotatingFileHandler, filename: f, maxBytes: 9}}";
        let outputs = vec![output(LogTarget::File { path: "f".into(), rotation: None }, None, LogLevel::Trace)];
        assert_eq!(parse(text), Ok(LogPlan { level: LogLevel::Warn, outputs }));
    }

    #[test]
    fn errors_name_the_place_and_what_was_expected() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("root: [", "line 1: expected a mapping with root, handlers and formatters");
        check("just text", "expected a mapping with root, handlers and formatters");
        check("root: {level: [1]}", "root.level: expected text");
        check("root: {handlers: a}", "root.handlers: expected a sequence");
        check("root: {level: LOUD}", "root.level=\"LOUD\": expected CRITICAL, FATAL, ERROR, WARN, WARNING, INFO, DEBUG or NOTSET");
        check("root: {handlers: [a]}", "root.handlers names \"a\": expected a key of handlers");
        let handler = |handler: &str| format!("root: {{handlers: [a]}}\nhandlers: {{a: {{{handler}}}}}");
        check(
            &handler("class: logging.handlers.SysLogHandler"),
            "handlers.a.class=\"logging.handlers.SysLogHandler\": expected logging.StreamHandler",
        );
        check(&handler("class: {}"), "handlers.a.class: expected text");
        check(&handler("class: RotatingFileHandler, maxBytes: x"), "handlers.a.maxBytes: expected a whole number");
        check(&handler("class: logging.FileHandler"), "handlers.a.filename: expected the path of a file");
        check(
            &handler("class: logging.StreamHandler, stream: x"),
            "handlers.a.stream=\"x\": expected ext://sys.stderr or ext://sys.stdout",
        );
        check(&handler("class: logging.StreamHandler, level: x"), "handlers.a.level=\"x\": expected CRITICAL");
        check(&handler("class: logging.StreamHandler, formatter: x"), "handlers.a.formatter=\"x\": expected JSON, LOGFMT or a key");
    }
}
