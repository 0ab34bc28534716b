//! What the decoder answers to a few hundred lines that are broken or odd, against what is recorded in `decode_corpus.txt`.
//!
//! The lines are made of real ones, always in the same way. A change of an answer is a change of behaviour: it is to be seen as a
//! difference of that file. `UPDATE_CORPUS=1 cargo test --lib corpus` writes it anew.

use std::fmt::Write as _;

use super::*;
use crate::core::digest::Digester;

const RECORDED: &str = include_str!("decode_corpus.txt");

/// Lines as an API server sends them.
const LINES: [(&str, Kind, &str); 8] = [
    (
        "configmap",
        Kind::ConfigMap,
        r#"{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"bd24ad0f-0a3e-4a5d-9c3e-000000000001","resourceVersion":"7","creationTimestamp":"2026-01-02T03:04:05Z","labels":{"find":"me"},"annotations":{"folder":"sub","kube-projector.dev/file-mode":"640","kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"k\":\"v\\n\"}}\n"},"finalizers":["x/y"],"managedFields":[{"manager":"kubectl","fieldsV1":{"f:data":{".":{},"f:k":{}}}}]},"data":{"k":"one\ntwo \"q\" \u00e9 \ud83d\ude00","other":"plain text that is a little longer than eight words of eight bytes, so it is read in the other way"},"binaryData":{"b":"AP8="}}}"#,
    ),
    (
        "secret",
        Kind::Secret,
        r#"{"type":"MODIFIED","object":{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","namespace":"n","uid":"bd24ad0f-0a3e-4a5d-9c3e-000000000002","resourceVersion":"8","creationTimestamp":"2026-01-02T03:04:05Z","deletionTimestamp":"2026-01-03T03:04:05Z"},"data":{"bad":"%%","good":"dmFsdWU=","unpadded":"dmFsdWU"},"type":"Opaque"}}"#,
    ),
    (
        "pod",
        Kind::Pod,
        r#"{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"p","namespace":"n","uid":"bd24ad0f-0a3e-4a5d-9c3e-000000000003","resourceVersion":"9"},"spec":{"containers":[{"name":"c","env":[]}]},"status":{"phase":"Running","conditions":[{"type":"Initialized","status":"True"},{"type":"Ready","status":"True","lastTransitionTime":"2026-01-02T03:04:06Z"}],"podIP":"10.0.0.1","containerStatuses":[{"ready":true}]}}}"#,
    ),
    (
        "deleted",
        Kind::ConfigMap,
        r#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"10","finalizers":["x/y"]},"data":{"k":"v"}}}"#,
    ),
    (
        "late-type",
        Kind::ConfigMap,
        r#"{"object":{"data":{"k":"v"},"metadata":{"namespace":"n","name":"a","resourceVersion":"11"}},"type":"DELETED"}"#,
    ),
    (
        "bookmark",
        Kind::Secret,
        r#"{"type":"BOOKMARK","object":{"kind":"Secret","metadata":{"resourceVersion":"12","creationTimestamp":null}}}"#,
    ),
    (
        "list-end",
        Kind::ConfigMap,
        r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"13","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
    ),
    (
        "status",
        Kind::ConfigMap,
        r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old \"resource\" version","reason":"Expired","code":410}}"#,
    ),
];

/// What stands in a line and what stands there instead, once.
const SWAPS: [(&str, &str); 62] = [
    // Types that are not expected.
    (r#""name":"a""#, r#""name":null"#),
    (r#""name":"a""#, r#""name":5"#),
    (r#""name":"a""#, r#""name":"""#),
    (r#""name":"a""#, r#""name":["a"]"#),
    (r#""name":"a""#, r#""name":"a","name":"b""#),
    (r#""name":"a","#, ""),
    (r#""namespace":"n""#, r#""namespace":{}"#),
    (r#""namespace":"n","#, ""),
    (r#""uid":"#, r#""uid":"zz","x":"#),
    (r#""uid":"#, r#""uid":null,"x":"#),
    (r#""resourceVersion":""#, r#""resourceVersion":"x"#),
    (r#""resourceVersion":""#, r#""resourceVersion":"99999999999999999999"#),
    (r#""resourceVersion":""#, r#""resourceVersion":7,"x":""#),
    (r#""creationTimestamp":"2026"#, r#""creationTimestamp":"x026"#),
    (r#""creationTimestamp":"2026-01-02T03:04:05Z""#, r#""creationTimestamp":null"#),
    (r#""creationTimestamp":"2026-01-02T03:04:05Z""#, r#""creationTimestamp":1767323045"#),
    (r#""deletionTimestamp":"2026-01-03T03:04:05Z""#, r#""deletionTimestamp":null"#),
    (r#""finalizers":["x/y"]"#, r#""finalizers":null"#),
    (r#""finalizers":["x/y"]"#, r#""finalizers":[]"#),
    (r#""finalizers":["x/y"]"#, r#""finalizers":["x/y",null]"#),
    (r#""finalizers":["x/y"]"#, r#""finalizers":"x/y""#),
    (r#""finalizers":["x/y"]"#, r#""finalizers":["\u0078\/y",]"#),
    (r#""annotations":{"#, r#""annotations":null,"x":{"#),
    (r#""annotations":{"#, r#""annotations":[],"x":{"#),
    (r#""folder":"sub""#, r#""folder":null"#),
    (r#""folder":"sub""#, r#""folder":{"a":1}"#),
    (r#""folder":"sub""#, r#""folder":"s\u00fcb""#),
    (r#""folder":"sub""#, r#""fold\u0065r":"sub""#),
    (r#""file-mode":"640""#, r#""file-mode":"999""#),
    (r#"dev/file-mode":"640""#, r#"dev/skip":"true","kube-projector.dev/on-delete":"keep""#),
    (r#"dev/file-mode":"640""#, r#"dev/skip":true"#),
    (r#""metadata":{"#, r#""metadata":null,"x":{"#),
    (r#""metadata":{"#, r#""metadata":"m","x":{"#),
    (r#""metadata":{"#, r#""metadata":{"name":"first","namespace":"n"},"metadata":{"#),
    (r#""object":{"#, r#""object":null,"x":{"#),
    (r#""object":{"#, r#""object":5,"x":{"#),
    (r#""object":{"#, r#""obj\u0065ct":{"#),
    (r#""type":""#, r#""type":"x"#),
    (r#""type":""#, r#""type":null,"x":""#),
    (r#""data":{"#, r#""data":null,"x":{"#),
    (r#""data":{"#, r#""data":[{"#),
    (r#""data":{"#, r#""data":{"first":"dg==","first":"dw==","#),
    (r#""data":{"#, r#""data":{"":"","#),
    (r#""data":{"#, r#""data":{"null":null,"#),
    (r#""data":{"#, r#""data":{"number":1,"#),
    (r#""data":{"#, r#""data":{"half":"\ud83d","#),
    (r#""data":{"#, r#""data":{"wrong":"\x41","#),
    (r#""data":{"#, r#""data":{"short":"\u00","#),
    (r#""data":{"#, r#""data":{"all":"\"\\\/\b\f\n\r\t\u0000\uFFFF","#),
    (r#""data":{"#, r#""data":{"tab":"	","#),
    (r#""binaryData":{"b":"AP8="}"#, r#""binaryData":{"b":"AP8=","k":"AA=="}"#),
    (r#""binaryData":{"b":"AP8="}"#, r#""binaryData":{"b":"AP 8="}"#),
    (r#""status":{"#, r#""status":null,"x":{"#),
    (r#""status":{"#, r#""status":"s","x":{"#),
    (r#""phase":"Running""#, r#""phase":null"#),
    (r#""phase":"Running""#, r#""phase":1"#),
    (r#""podIP":"10.0.0.1""#, r#""podIP":null"#),
    (r#""conditions":["#, r#""conditions":[null,"#),
    (r#""conditions":["#, r#""conditions":null,"x":["#),
    (r#","lastTransitionTime":"2026-01-02T03:04:06Z""#, ""),
    (r#""code":410"#, r#""code":"410""#),
    (r#""code":410"#, r#""code":4100000"#),
];

/// Members that stand before the first of an object, whatever it is.
const MEMBERS: [&str; 18] = [
    r#""x":1"#,
    r#""x":-0.5e+10"#,
    r#""x":1e999"#,
    r#""x":01"#,
    r#""x":1.2.3"#,
    r#""x":tru"#,
    r#""x":nullnull"#,
    r#""x":canary"#,
    r#""x":"#,
    r#""x":[1,]"#,
    r#""x":[}"#,
    r#""x":{"a":[{"b":"]}"}]}"#,
    r#""x":{"a" "b"}"#,
    r#""x":"\q""#,
    r#""x":"\\\"""#,
    r#""x" 1"#,
    r#"x:1"#,
    "\u{feff}\"x\":1",
];

/// What follows a line.
const TAILS: [&[u8]; 8] = [b" \t\r", b"x", b"{}", b",", b"}", b"\0", b"\xff", b"\"\xc3\xa9"];

fn reader(kind: Kind) -> Decoder {
    Decoder { kind, folder_annotation: "folder".into() }
}

/// An answer in words: everything that is read, and of values their length and digest.
fn told(answer: Result<Event, DecodeError>) -> String {
    match answer {
        Ok(Event::Object { revision, event }) => object(revision, event),
        Ok(Event::Bookmark { revision, ends_list }) => format!("bookmark {revision} {ends_list}"),
        Ok(Event::Error(code)) => format!("error {code}"),
        Err(error) => error.to_string(),
    }
}

fn object(revision: u64, event: ObjectEvent) -> String {
    match event {
        ObjectEvent::Apply(object) => format!("applied {}", all_of(&object)),
        ObjectEvent::Pod(pod) => format!("applied {} {:x} {revision} {:?}", pod.key, pod.uid, pod.ready),
        ObjectEvent::Delete { key, uid, finalizers, .. } => format!("deleted {key} {uid:x} {revision} {finalizers:?}"),
        _ => panic!("a watch tells of no such event"),
    }
}

fn all_of(object: &Object) -> String {
    let Object { key, uid, resource_version, created, terminating, finalizers, folder, annotations, held, data } = object;
    let mut text = format!("{key} {uid:x} {resource_version} {created} {terminating} {finalizers:?} {folder:?} {held:?}");
    write!(text, " {:?} {:?} {:?}", annotations.file_mode, annotations.skip, annotations.keep).unwrap();
    for Datum { key, payload, encoded } in data {
        let value = payload.as_ref().map(|payload| format!("{}:{}", payload.bytes().len(), digest(payload.bytes())));
        write!(text, " {key:?}={} {encoded}", value.unwrap_or_else(|| "bad".to_owned())).unwrap();
    }
    text
}

fn digest(bytes: &[u8]) -> String {
    format!("{:08x}", Digester::new((1, 2)).digest(bytes).number() & 0xffff_ffff)
}

/// One after another, without a pattern, and the same each time.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 1_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    }
}

/// All answers, as they are recorded.
fn answers() -> String {
    let mut text = String::new();
    for (name, kind, line) in LINES {
        let reader = reader(kind);
        let usual = told(reader.line(line.as_bytes()));
        writeln!(text, "{name} | as it is | {usual}").unwrap();
        let mut note = |what: &str, line: &[u8]| {
            let answer = told(reader.line(line));
            writeln!(text, "{name} | {what} | {}", if answer == usual { "the same" } else { &answer }).unwrap();
        };
        for (from, to) in SWAPS.iter().filter(|(from, _)| line.contains(from)) {
            note(&format!("{from} -> {}", to.escape_default()), line.replacen(from, to, 1).as_bytes());
        }
        for member in MEMBERS {
            for at in [line.find('{'), line.rfind(r#""metadata":{"#).map(|at| at + 11)].into_iter().flatten() {
                let (before, after) = line.split_at(at + 1);
                note(&format!("{} at {at}", member.escape_default()), format!("{before}{member},{after}").as_bytes());
            }
        }
        for tail in TAILS {
            note(&format!("{} behind", tail.escape_ascii()), &[line.as_bytes(), tail].concat());
        }
        for depth in [100, 10_000] {
            let deep = format!(r#"{{"x":{}{},"#, "[".repeat(depth), "]".repeat(depth));
            note(&format!("{depth} deep"), line.replacen('{', &deep, 1).as_bytes());
        }
        let huge = line.replacen(r#""data":{"#, &format!(r#""data":{{"huge":"{}","#, "a\\n".repeat(100_000)), 1);
        note("huge", huge.as_bytes());
        note("spaced", line.replace(':', " :\t").replace(',', "\r\n, ").as_bytes());
        // Of many a digest is enough.
        let mut number = numbers();
        let mut many = |what: &str, lines: Vec<Vec<u8>>| {
            let digests: Vec<String> = lines.iter().map(|line| digest(told(reader.line(line)).as_bytes())).collect();
            writeln!(text, "{name} | {what} | {}", digests.join(" ")).unwrap();
        };
        let bytes = line.as_bytes();
        many("cut", (0..24).map(|_| bytes[..number(bytes.len())].to_vec()).collect());
        many(
            "a byte less",
            (0..24)
                .map(|_| [bytes, b""].concat())
                .map(|mut line| {
                    line.remove(number(bytes.len()));
                    line
                })
                .collect(),
        );
        for byte in *b"\"\\{}[]:,n0 \n\0\xff\xc3" {
            let other = |at: usize| {
                let mut line = bytes.to_vec();
                line[at] = byte;
                line
            };
            many(&format!("{} instead of a byte", byte.escape_ascii()), (0..12).map(|_| other(number(bytes.len()))).collect());
        }
    }
    text
}

#[test]
fn broken_and_odd_lines_are_answered_as_recorded() {
    let answers = answers();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/decode_corpus.txt"), &answers).unwrap();
        return;
    }
    for (answer, recorded) in answers.lines().zip(RECORDED.lines()) {
        assert_eq!(answer, recorded);
    }
    assert_eq!(answers.lines().count(), RECORDED.lines().count());
}

#[test]
fn an_object_of_a_list_is_read_as_in_a_watch() {
    for (name, kind, line) in LINES.into_iter().take(3) {
        let item = line.split_once(r#""object":"#).unwrap().1.strip_suffix('}').unwrap();
        let Ok(Event::Object { revision, event }) = reader(kind).line(line.as_bytes()) else { panic!("expected an object") };
        assert_eq!(object(revision, reader(kind).item(item.as_bytes()).unwrap()), object(revision, event), "{name}");
        let (_, labels) = reader(kind).labelled(item.as_bytes()).unwrap();
        assert_eq!(labels.len(), usize::from(name == "configmap"), "{name}");
    }
}
