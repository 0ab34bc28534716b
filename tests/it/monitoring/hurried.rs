//! The alert rules sixty times as fast: every span of time in them is divided by sixty.

use std::time::Duration;

use serde_json::Value;

/// What a minute of the rules is in these tests.
pub const MINUTE: Duration = Duration::from_secs(1);

/// A file of rules, as YAML.
pub fn rules(text: &str) -> Value {
    let mut file: Value = serde_saphyr::from_str(text).unwrap();
    let groups = file["groups"].as_array_mut().unwrap();
    for rule in groups.iter_mut().flat_map(|group| group["rules"].as_array_mut().unwrap()) {
        rule["expr"] = expression(rule["expr"].as_str().unwrap()).into();
        if let Some(span) = rule.get("for").and_then(Value::as_str) {
            rule["for"] = divided(span).into();
        }
    }
    file
}

/// Spans in brackets, and seconds that are written as `N * 60`.
fn expression(text: &str) -> String {
    let (mut hurried, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('[') {
        let (span, after) = after.split_once(']').unwrap();
        hurried += &format!("{}[{}]", seconds(before), divided(span));
        rest = after;
    }
    hurried + &seconds(rest)
}

fn seconds(text: &str) -> String {
    let (is_time, hurried) = (text.contains("time()"), text.replace("* 60", &format!("* {}", MINUTE.as_secs())));
    assert!(!is_time || hurried != text, "a time is compared with something else than minutes (N * 60): {text}");
    hurried
}

fn divided(span: &str) -> String {
    let unit = span.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: u32 = span.strip_suffix(unit).unwrap().parse().unwrap();
    let minutes = match unit {
        "m" => count,
        "h" => count * 60,
        _ => panic!("a span of neither minutes nor hours: {span}"),
    };
    format!("{}ms", (MINUTE * minutes).as_millis())
}

/// The longest time that a rule may need to fire for what has just begun.
pub fn patience(rules: &Value) -> Duration {
    let spans = |rule: &Value| {
        let (expression, pending) = (rule["expr"].as_str().unwrap(), rule["for"].as_str());
        let windows = expression.split('[').skip(1).map(|rest| milliseconds(rest.split(']').next().unwrap()));
        windows.max().unwrap_or_default() + pending.map(milliseconds).unwrap_or_default()
    };
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).map(spans).max().unwrap()
}

fn milliseconds(span: &str) -> Duration {
    Duration::from_millis(span.strip_suffix("ms").unwrap().parse().unwrap())
}

#[test]
fn every_span_of_a_rule_is_divided_and_nothing_else() {
    let text = r#"
groups:
- name: a
  rules:
  - alert: A
    expr: increase(x{code="60m"}[15m]) > 5 * y unless on (job) time() - z > 10 * 60 and w[2h] > 60
    for: 5m
  - alert: B
    expr: x > 0
"#;
    let rules = rules(text);
    let expected = serde_json::json!({"groups": [{"name": "a", "rules": [
        {"alert": "A", "for": "5000ms",
         "expr": r#"increase(x{code="60m"}[15000ms]) > 5 * y unless on (job) time() - z > 10 * 1 and w[120000ms] > 60"#},
        {"alert": "B", "expr": "x > 0"},
    ]}]});
    assert_eq!((patience(&rules), rules), (MINUTE * 125, expected));
}
