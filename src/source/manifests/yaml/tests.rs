//! Tables for [`super`]: what is taken, byte for byte, and what is refused, word for word.

use crate::core::object::annotations::{Annotations, FILE_MODE, ON_DELETE, SKIP, Said};
use crate::core::object::selector::Selector;
use crate::core::object::{Datum, Kind, Namespaces};

use super::*;
use crate::source::manifests::tests::rules;

/// The objects of a text of which all is taken.
fn whole(text: &[u8], rules: &ManifestRules) -> Result<Vec<Labelled>, YamlError> {
    let Parsed { found, refused, .. } = parse(text, rules);
    refused.into_iter().next().map_or(Ok(found), Err)
}

/// The objects of a text, as `Kind/namespace/name label folder key=bytes …`, or its error.
fn read(text: &str) -> Result<Vec<String>, String> {
    let describe = |labelled: Labelled| {
        let object = labelled.object;
        let mut line = object.key.to_string();
        line += &labelled.labels.values().next().map_or_else(String::new, |value| format!(" label={value}"));
        line += &object.folder.map_or_else(String::new, |folder| format!(" folder={folder}"));
        for Datum { key, payload, .. } in object.data {
            let bytes = payload.map(|payload| payload.bytes().to_vec()).unwrap_or_default();
            line += &format!(" {key}={}", bytes.escape_ascii());
        }
        line
    };
    whole(text.as_bytes(), &rules()).map(|found| found.into_iter().map(describe).collect()).map_err(|error| error.to_string())
}

/// The bytes of the key `k` of the ConfigMap whose `data` is `data`, indented by the caller.
fn value(data: &str) -> Result<String, String> {
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{data}");
    let found = whole(text.as_bytes(), &rules()).map_err(|error| error.to_string())?;
    let payload = found[0].object.data[0].payload.clone();
    Ok(payload.map(|payload| payload.bytes().escape_ascii().to_string()).unwrap_or_default())
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\n";

#[test]
fn objects_are_read_from_documents_lists_and_json() {
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: ns\n  labels: {rules: x}\n  annotations: {folder: sub}\n\
                      data: {k: v}\nbinaryData: {b: AP8=}\n";
    let one = "ConfigMap/ns/a label=x folder=sub k=v b=\\x00\\xff";
    let table: &[(String, &[&str])] = &[
        (config_map.to_owned(), &[one]),
        (format!("# a comment\n---\n{config_map}---\n---\n# nothing\n---\n{HEAD}"), &[one, "ConfigMap/default/a"]),
        (format!("{SECRET}data: {{k: aGk=, both: aGk=}}\nstringData: {{both: new}}\n"), &["Secret/ns/s k=hi both=new"]),
        (format!("{SECRET}data: {{k: \"aG\\nk=\"}}\n"), &["Secret/ns/s k=hi"]),
        (format!("{SECRET}data:\n  k: |\n    aG\n    k=\n"), &["Secret/ns/s k=hi"]),
        (format!("{HEAD}data:\n"), &["ConfigMap/default/a"]),
        (format!("{HEAD}data: {{k: null, l: \"\"}}\n"), &["ConfigMap/default/a k= l="]),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n- {apiVersion: v1, kind: Pod}\n".to_owned(),
            &["ConfigMap/default/a", "Secret/default/b"],
        ),
        ("apiVersion: v1\nkind: SecretList\nitems:\n- {metadata: {name: b}}\n".to_owned(), &["Secret/default/b"]),
        ("apiVersion: v1\nkind: ConfigMapList\nitems:\n- {metadata: {name: b}}\n".to_owned(), &["ConfigMap/default/b"]),
        (
            "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"\\ud83d\\ude00\\u0000\\t\"}}\n".to_owned(),
            &["ConfigMap/default/a k=\\xf0\\x9f\\x98\\x80\\x00\\t"],
        ),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n".to_owned(), &["ConfigMap/default/a"]),
        (format!("\u{feff}{HEAD}"), &["ConfigMap/default/a"]),
        (HEAD.replace('\n', "\r\n"), &["ConfigMap/default/a"]),
        (format!("x: &v shared\n---\n{HEAD}data: {{k: &v shared, l: *v}}\n"), &["ConfigMap/default/a k=shared l=shared"]),
    ];
    for (text, expected) in table {
        assert_eq!(read(text), Ok(expected.iter().map(|line| (*line).to_owned()).collect()), "{text}");
    }
}

#[test]
fn what_is_no_manifest_of_ours_is_passed_over() {
    let table = [
        "",
        "# only a comment\n",
        "---\n---\n",
        "null\n",
        "replicas: 3\nimage: {tag: 1}\n",
        "- 1\n- 2\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 1}\n",
        "apiVersion: external-secrets.io/v1\nkind: Secret\ndata: [1]\n",
        "apiVersion: v1\nkind: List\n",
    ];
    for text in table {
        assert_eq!(read(text), Ok(Vec::new()), "{text}");
    }
}

#[test]
fn a_kind_that_is_not_wanted_is_not_even_checked() {
    let rules = ManifestRules { kinds: vec![Kind::ConfigMap], ..rules() };
    let text = format!("{SECRET}data: {{k: 1}}\n---\n{HEAD}");
    let keys: Vec<_> =
        whole(text.as_bytes(), &rules).map(|found| found.into_iter().map(|one| one.object.key.to_string()).collect()).unwrap();
    assert_eq!(keys, ["ConfigMap/default/a"]);
}

#[test]
fn values_are_kept_as_yaml_says() {
    let table = [
        ("  k: plain\n", "plain"),
        ("  k: |\n    a\n    b\n", "a\\nb\\n"),
        ("  k: |-\n    a\n    b\n", "a\\nb"),
        ("  k: |+\n    a\n\n", "a\\n\\n"),
        ("  k: |2\n     a\n", " a\\n"),
        ("  k: |\n    a  \n    \tb\n", "a  \\n\\tb\\n"),
        ("  k: |\n    # no comment\n    x: y # none\n", "# no comment\\nx: y # none\\n"),
        ("  k: >\n    a\n    b\n\n    c\n", "a b\\nc\\n"),
        ("  k: |\r\n    a\r\n    b\r\n", "a\\nb\\n"),
        ("  k: \"a\\r\\nb\\x00\\u00e9\"\n", "a\\r\\nb\\x00\\xc3\\xa9"),
        ("  k: \"\\U0001F600\"\n", "\\xf0\\x9f\\x98\\x80"),
        ("  k: |\n    \u{1F600}\u{10FFFD}\n", "\\xf0\\x9f\\x98\\x80\\xf4\\x8f\\xbf\\xbd\\n"),
        ("  k: 'it''s'\n", "it\\'s"),
        ("  k: \"1\"\n", "1"),
        ("  k: 'true'\n", "true"),
        ("  k: !!str 1\n", "1"),
        ("  k: 2001-01-01\n", "2001-01-01"),
        ("  k: 1.2.3\n", "1.2.3"),
        ("  k: ''\n", ""),
        ("  k: ~\n", ""),
        ("  k: |\n    true\n", "true\\n"),
        ("  k: \"\u{feff}x\"\n", "\\xef\\xbb\\xbfx"),
        ("  k: ${HOME}\n", "${HOME}"),
    ];
    for (data, expected) in table {
        assert_eq!(value(data), Ok(expected.to_owned()), "{data:?}");
    }
}

#[test]
fn values_that_are_no_strings_are_refused() {
    // What kubectl 1.35 turns into a number or a boolean, and the API server then refuses.
    for number in
        ["1", "-1", "1.5", "0x10", "0o17", "0777", "089", "1e3", ".5", "123456789012345678901234567890", "1_000", "+1", "0b11", "1.", "-.5"]
    {
        let error = "document 1 (line 1), ConfigMap/default/a, data, key \"k\": expected a string, found a number: put it in quotes";
        assert_eq!(value(&format!("  k: {number}\n")), Err(error.to_owned()), "{number}");
    }
    for boolean in ["true", "False", "yes", "off", "y", "N"] {
        let error = "document 1 (line 1), ConfigMap/default/a, data, key \"k\": expected a string, found a boolean: put it in quotes";
        assert_eq!(value(&format!("  k: {boolean}\n")), Err(error.to_owned()), "{boolean}");
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    let table: &[(String, &str)] = &[
        (
            format!("{HEAD}data: {{k: [1]}}\n"),
            "document 1 (line 1), ConfigMap/default/a, data, key \"k\": expected a string, found a sequence",
        ),
        (format!("{HEAD}data: [k]\n"), "document 1 (line 1), ConfigMap/default/a, data: expected a mapping"),
        (
            format!("{HEAD}data: {{a/b: x}}\n"),
            "document 1 (line 1), ConfigMap/default/a, data, key \"a/b\": expected letters, digits, -, _ and ., at most 253, not beginning with .., and not . alone",
        ),
        (
            format!("{HEAD}data: {{k: x}}\nbinaryData: {{k: eA==}}\n"),
            "document 1 (line 1), ConfigMap/default/a, binaryData, key \"k\": expected a key that data does not hold",
        ),
        (
            format!("{SECRET}data: {{k: hunter2}}\n"),
            "document 1 (line 1), Secret/ns/s, data, key \"k\": expected standard base64 with padding",
        ),
        (format!("{SECRET}data: {{k: aGk}}\n"), "document 1 (line 1), Secret/ns/s, data, key \"k\": expected standard base64 with padding"),
        (
            format!("{SECRET}stringData: {{k: 1}}\n"),
            "document 1 (line 1), Secret/ns/s, stringData, key \"k\": expected a string, found a number: put it in quotes",
        ),
        (format!("{HEAD}---\napiVersion: v1\nkind: Secret\n"), "document 2 (line 4), metadata.name: expected a name"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: 1}\n".to_owned(),
            "document 1 (line 1), metadata.name: expected a string; numbers and booleans need quotes",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: ../x}\n".to_owned(),
            "document 1 (line 1), metadata.name: expected a name of lower case letters, digits, - and ., at most 253",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: a.b}\n".to_owned(),
            "document 1 (line 1), metadata.namespace: expected a namespace of lower case letters, digits and -, at most 63",
        ),
        (
            "apiVersion: v1\nkind: ConfigMapList\nitems:\n- {metadata: {name: a}}\n- {metadata: {}}\n".to_owned(),
            "document 1 (line 1), item 2, metadata.name: expected a name",
        ),
        ("kind: ConfigMap\nmetadata: {name: a}\n".to_owned(), "document 1 (line 1), apiVersion: expected a version, such as v1"),
        ("apiVersion: v1\nmetadata: {name: a}\n".to_owned(), "document 1 (line 1), kind: expected a kind"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {rules: 1}}\n".to_owned(),
            "document 1 (line 1), ConfigMap/default/a, metadata.labels, key \"rules\": expected a string; numbers and booleans need quotes",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {folder: true}}\n".to_owned(),
            "document 1 (line 1), ConfigMap/default/a, metadata.annotations, key \"folder\": expected a string; numbers and booleans need quotes",
        ),
        ("apiVersi".to_owned(), "document 1 (line 1): expected a manifest"),
        (format!("{HEAD}data: {{k: a, k: b}}\n"), "document 1 (line 4, column 14): expected each key once"),
        (format!("{HEAD}data:\n  k: \"hunter2\n"), "document 1 (line 6, column 1): expected YAML"),
        (format!("{HEAD}data:\n  k: hunter2\n bad: hunter2\n"), "document 1 (line 6, column 2): expected YAML"),
        (
            "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"a\",\"k\":\"b\"}}".to_owned(),
            "document 1 (line 1, column 79): expected each key once",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(read(text), Err((*expected).to_owned()), "{text}");
    }
}

#[test]
fn m7_a_broken_document_stops_no_other_and_is_named_by_number_and_line() {
    let named = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let template = "# Source: chart/templates/b.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n";
    let nothing = "---\n---\n# nothing\n";
    let text = format!("{}---\n{template}{nothing}---\n{}---\nkind: Secret\n---\na: \"\n---\nb: ", named("a"), named("c"));
    let text = [text.as_bytes(), b"\xff"].concat();
    let Parsed { found, refused, documents, .. } = parse(&text, &rules());
    let names: Vec<_> = found.iter().map(|labelled| labelled.object.key.name.to_string()).collect();
    assert_eq!((names, documents), (vec!["a".to_owned(), "c".to_owned()], 6));
    let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        refused,
        [
            "document 2 (line 9, column 10): expected YAML; a template, with {{ }}, must be rendered first",
            "document 4 (line 17), apiVersion: expected a version, such as v1",
            "document 5 (line 21, column 1): expected YAML",
            "document 6 (line 22, column 4): expected UTF-8",
        ]
    );
    // A list is one document.
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {kind: Secret}\n";
    let Parsed { found, refused, .. } = parse(list.as_bytes(), &rules());
    assert_eq!((found.len(), refused.len()), (0, 1));
    let json = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n\n{\"kind\":\"Secret\"}\n";
    let Parsed { found, refused, .. } = parse(json.as_bytes(), &rules());
    assert_eq!((found.len(), refused[0].to_string()), (1, "document 2 (line 3), apiVersion: expected a version, such as v1".to_owned()));
}

#[test]
fn m8_what_is_nearly_ours_is_told_of() {
    let table = [
        ("apiVersion: v1\nkind: Configmap\n", Some("kind: expected ConfigMap, with its capitals and without an s")),
        ("apiVersion: v1\nkind: secrets\n", Some("kind: expected Secret, with its capital and without an s")),
        ("apiVersion: v1\nkind: list\nitems: []\n", Some("kind: expected List, with its capital")),
        ("apiVersion: v2\nkind: ConfigMap\n", Some("apiVersion: expected v1, the only version of this kind")),
        ("apiVersion: core/v1\nkind: Secret\n", Some("apiVersion: expected v1, the only version of this kind")),
        ("[{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"}]", Some("expected an object, or a List with these as its items")),
        ("apiVersion: external-secrets.io/v1\nkind: Secret\n", None),
        ("apiVersion: apps/v1\nkind: Deployment\n", None),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", None),
        ("apiVersion: v1\nkind: Service\n", None),
        ("- 1\n- {a: b}\n", None),
    ];
    for (text, expected) in table {
        let Parsed { found, refused, nearly, .. } = parse(text.as_bytes(), &rules());
        assert_eq!((found.len(), refused), (0, Vec::new()), "{text}");
        let told: Vec<_> = nearly.iter().map(ToString::to_string).collect();
        let place = |expected: &str| format!("document 1 (line 1){}{expected}", if expected.starts_with("expected") { ": " } else { ", " });
        assert_eq!(told, expected.map(place).into_iter().collect::<Vec<_>>(), "{text}");
    }
    // A kind that nobody wants is not missed.
    let rules = ManifestRules { kinds: vec![Kind::Secret], ..rules() };
    assert_eq!(parse(b"apiVersion: v1\nkind: Configmap\n", &rules).nearly, Vec::new());
}

#[test]
fn errors_never_quote_a_value() {
    let canary = "c4n4ry-v4lue";
    let texts = [
        format!("{SECRET}data: {{k: {canary}}}\n"),
        format!("{SECRET}stringData:\n  k: \"{canary}\n"),
        format!("{SECRET}stringData:\n  k: {canary}\n bad\n"),
        format!("{SECRET}stringData:\n  k: [{canary}\n"),
        format!("{SECRET}stringData: {canary}\n"),
        format!("{SECRET}stringData: {{k: [{canary}]}}\n"),
        format!("{SECRET}stringData: {{k: !!int {canary}}}\n"),
        format!("{SECRET}stringData: {{k: !!binary {canary}!}}\n"),
        format!("{SECRET}stringData: {{k: *{canary}}}\n"),
        format!("{canary}\n"),
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"k\":\"{canary}\"}}}}"),
        format!("{{\"stringData\":{{\"k\":\"{canary}\\q\"}}}}"),
    ];
    for text in texts {
        let error = whole(text.as_bytes(), &rules()).err().expect("every text here is broken");
        assert!(!format!("{error} {error:?}").contains(canary), "{text} gives {error:?}");
    }
}

#[test]
fn a_text_that_is_not_utf8_names_the_byte() {
    let error = whole(b"a: b\nc: \xff\n", &rules()).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("document 1 (line 2, column 4): expected UTF-8"));
}

#[test]
fn alias_bombs_are_refused_and_large_files_are_not() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        bomb += &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n");
    }
    assert!(whole(bomb.as_bytes(), &rules()).is_err());
    let mut large = "# a long comment\n".repeat(2000);
    for number in 0..3000 {
        large += &format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a{number}}}\ndata: {{k: v, l: v, m: v}}\n");
    }
    assert_eq!(whole(large.as_bytes(), &rules()).map(|found| found.len()), Ok(3000));
}

#[test]
fn data_keys_are_those_of_the_api_server() {
    let long = "k".repeat(253);
    for key in ["a", "A.b-c_d", ".a", "0", long.as_str()] {
        assert!(check_key(key).is_ok(), "{key}");
    }
    let longer = "k".repeat(254);
    for key in ["", ".", "..", "..a", "a b", "a/b", "ä", "a\0", longer.as_str()] {
        assert!(check_key(key).is_err(), "{key}");
    }
}

#[test]
fn selection_is_by_label_and_namespace() {
    let object = |namespace: &str, label: Option<&str>| {
        let key = ObjectKey::new(Kind::ConfigMap, namespace, "a");
        let object = Object::new(key, Vec::new());
        Labelled { object, labels: label.map(|value| ("rules".to_owned(), value.to_owned())).into_iter().collect() }
    };
    let rules =
        ManifestRules { selector: Some(Selector::label("rules", Some("x"))), namespaces: Namespaces::Only(vec!["n".into()]), ..rules() };
    let table = [("n", Some("x"), true), ("n", Some("y"), false), ("n", None, false), ("m", Some("x"), false)];
    for (namespace, label, expected) in table {
        assert_eq!(rules.selects(&object(namespace, label)), expected, "{namespace} {label:?}");
    }
    // One that is named is wanted wherever it is and whatever its labels; without a selector nothing else is.
    let named = ManifestRules { selector: None, kinds: Vec::new(), objects: vec![object("m", None).object.key], ..rules };
    for (namespace, label, expected) in [("m", None, true), ("m", Some("y"), true), ("n", Some("x"), false)] {
        assert_eq!(named.selects(&object(namespace, label)), expected, "named, {namespace} {label:?}");
    }
}

#[test]
fn annotations_of_ours_are_understood_and_must_be_strings() {
    let parsed = |annotations: &str| {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, annotations: {{{annotations}}}}}\ndata: {{k: v}}\n");
        parse(text.as_bytes(), &rules())
    };
    let all = parsed(&format!("{FILE_MODE}: '640', {SKIP}: 'false', {ON_DELETE}: forget, other: 'true'"));
    let expected = Annotations { file_mode: Said::Value(0o640), skip: Said::Value(false), keep: Said::Wrong };
    assert_eq!(all.found.iter().map(|labelled| labelled.object.annotations).collect::<Vec<_>>(), [expected]);
    for (name, value) in [(FILE_MODE, "640"), (SKIP, "true")] {
        let refused = parsed(&format!("{name}: {value}")).refused;
        assert!(refused[0].to_string().contains("need quotes"), "{refused:?}");
    }
}
