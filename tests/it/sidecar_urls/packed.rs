//! Bodies that a server packs although nobody asked it to.

use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

use super::wait_complaint;
use crate::gzip_keys::gzip;
use crate::sidecar_hooks::{Bench, completed, healthy};
use crate::support::*;

const TEXT: &[u8] = b"groups:\n- name: a\n  rules: []\n";

fn packed(coding: &str, bytes: impl AsRef<[u8]>) -> Answer {
    Answer::ok(bytes).header("Content-Encoding", coding)
}

#[test]
fn f23_what_was_packed_unasked_is_unpacked() {
    let bench = Bench::new();
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7 % 251) as u8).collect();
    let table = [
        ("gzip", packed("gzip", gzip(TEXT)), TEXT),
        ("x-gzip", packed("X-GZip", gzip(TEXT)), TEXT),
        ("zlib", packed("deflate", compress_to_vec_zlib(TEXT, 6)), TEXT),
        ("raw", packed("deflate", compress_to_vec(TEXT, 6)), TEXT),
        ("identity", packed("identity", TEXT), TEXT),
        ("large", packed("gzip", gzip(&large)), &large),
        ("empty", packed("gzip", ""), b""),
        ("archive", Answer::ok(gzip(TEXT)).header("Content-Type", "application/gzip"), &gzip(TEXT)),
    ];
    let mut files = Tree::new();
    for (name, answer, bytes) in table {
        bench.web.on(&format!("/{name}"), answer);
        bench.far(name, name, &format!("/{name}"));
        files.insert(name.to_owned(), bytes.to_vec());
    }
    completed(&bench.plain().env("METHOD", "LIST"));
    assert_tree(&bench.setup.folder(), &files);
    assert_eq!(bench.web.requests().iter().filter(|request| request.header("accept-encoding").is_some()).count(), 0);
}

#[test]
fn f23_other_encodings_and_broken_bodies_are_failures_of_their_file() {
    let bench = Bench::new();
    let faults = || {
        [
            ("br", packed("br", "canary"), "answered with Content-Encoding br"),
            ("twice", packed("gzip, gzip", gzip(&gzip(TEXT))), "answered with Content-Encoding gzip, gzip"),
            ("unknown", packed("canary", "canary"), "answered with Content-Encoding one without a common name"),
            ("damaged", packed("gzip", "canary"), "no whole gzip"),
            ("short", packed("deflate", &compress_to_vec_zlib(TEXT, 6)[..9]), "no whole deflate"),
            ("bomb", packed("gzip", gzip(&vec![0; 20 << 20])), "exceeds 16777216 bytes"),
        ]
    };
    let (mut files, mut names) = (Tree::new(), Vec::new());
    for (name, _, _) in faults() {
        bench.web.on(&format!("/{name}"), packed("gzip", gzip(TEXT)));
        bench.far(name, name, &format!("/{name}"));
        files.insert(name.to_owned(), TEXT.to_vec());
        names.push(name);
    }
    let projector = healthy(&bench.plain().env("REQ_RETRY_TOTAL", "1").env("RESYNC", "1"));
    bench.setup.holds(&files);
    let inodes = || names.iter().map(|name| inode(&bench.setup.path(name))).collect::<Vec<_>>();
    let before = inodes();
    for (name, answer, _) in faults() {
        bench.web.on(&format!("/{name}"), answer);
    }
    for (name, _, why) in faults() {
        wait_complaint(&projector, &["keeping the last good file", &format!("\"{name}\""), why]);
    }
    assert_tree(&bench.setup.folder(), &files);
    assert_eq!(inodes(), before);
    projector.assert_no_leak(&["canary"]);
    // They are well again.
    for name in &names {
        bench.web.on(&format!("/{name}"), packed("gzip", gzip(b"2")));
    }
    bench.setup.holds(&names.iter().map(|name| ((*name).to_owned(), b"2".to_vec())).collect());
}

#[test]
fn f23_a_bomb_is_cut_without_growth_of_memory() {
    let bench = Bench::new();
    // A gibibyte in a mebibyte: within what may be sent.
    let bomb = gzip(&vec![0; 64 << 20]).repeat(16);
    assert!(bomb.len() < 2 << 20, "{}", bomb.len());
    bench.web.on("/bomb", packed("gzip", &bomb));
    // What never gives a byte ends too.
    let nothing = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], &[0, 0, 0, 255, 255].repeat(8 << 20)].concat();
    bench.web.on("/nothing", packed("gzip", nothing));
    for number in 0..4 {
        bench.far(&format!("b{number}"), &format!("b{number}"), "/bomb");
    }
    bench.far("n", "n", "/nothing");
    let projector = healthy(&bench.plain());
    for name in ["b0", "b1", "b2", "b3", "n"] {
        wait_complaint(&projector, &["cannot be had", &format!("\"{name}\""), "exceeds 16777216 bytes"]);
    }
    assert!(projector.peak_kib() < 64 << 10, "{} KiB", projector.peak_kib());
}

#[test]
fn f23_words_of_a_failure_are_unpacked_where_they_are_shown() {
    let bench = Bench::new();
    bench.web.on("/a", packed("gzip", gzip(b"try again later")).with_status(404));
    bench.web.on("/b", packed("br", "\u{1}\u{2}").with_status(404));
    bench.far("a", "a", "/a");
    bench.far("b", "b", "/b");
    let projector = healthy(&bench.plain());
    projector.wait_output(&format!("Request sent to {}. Response: 404 Not Found try again later", bench.web.url("/a")));
    projector.wait_output(&format!("Request sent to {}. Response: 404 Not Found\"", bench.web.url("/b")));
}
