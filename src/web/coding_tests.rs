//! Bodies as other programs pack them, whole and broken, in pieces of any size.

use http::HeaderValue;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

use super::*;
use crate::core::files::unpack::{Checksum, HEAD_MAX, gunzip};

/// `printf 'hello\n' | gzip --best --no-name`
const HELLO: [u8; 26] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 2, 0, 0x20, 0x30, 0x3a, 0x36, 6, 0, 0, 0];
const BYTES_MAX: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut checksum = Checksum::default();
    checksum.add(bytes);
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], compress_to_vec(bytes, 6).as_slice(), &checksum.trailer()].concat()
}

fn unpack_by(size: usize, coding: Coding, packed: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let (mut unpacker, mut body) = (Unpacker::new(coding), Vec::new());
    packed.chunks(size).try_for_each(|piece| unpacker.unpack(piece, &mut body, BYTES_MAX))?;
    unpacker.finish().map(|()| body)
}

/// Whatever the size of the pieces, the same comes of it.
fn unpack(coding: Coding, packed: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let whole = unpack_by(packed.len().max(1), coding, packed);
    for size in [1, 2, 3, 7, 64] {
        assert!(unpack_by(size, coding, packed) == whole, "in pieces of {size}");
    }
    whole
}

/// Text that a packer finds much in, and nothing.
fn samples() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..40_000).map(|_| noise()).collect();
    let text: Vec<u8> = noise.iter().map(|byte| b'a' + byte % 4).collect();
    vec![Vec::new(), b"x".to_vec(), vec![0; 300_000], text, noise]
}

#[test]
fn f23_the_header_says_how_a_body_is_packed() {
    let of = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::of(&headers)
    };
    for plain in [&[][..], &[""], &["identity"], &["Identity, "]] {
        assert_eq!(of(plain), Ok(Coding::Plain), "{plain:?}");
    }
    for packed in [&["gzip"][..], &["GZip"], &["x-gzip"], &["identity, gzip"], &["identity", " gzip "]] {
        assert_eq!(of(packed), Ok(Coding::Gzip), "{packed:?}");
    }
    assert_eq!(of(&["deflate"]), Ok(Coding::Deflate));
    for (others, told) in [
        (&["br"][..], "br"),
        (&["zstd"], "zstd"),
        (&["gzip, gzip"], "gzip, gzip"),
        (&["gzip", "br"], "gzip, br"),
        (&["/canary?token"], "one without a common name"),
        (&["br,br,br,br"], "br, br, br, …"),
    ] {
        assert_eq!(of(others).unwrap_err(), told);
    }
}

#[test]
fn f23_what_others_packed_is_unpacked() {
    assert_eq!(unpack(Coding::Gzip, &HELLO).unwrap(), b"hello\n");
    for sample in samples() {
        assert!(unpack(Coding::Gzip, &gzip(&sample)) == Ok(sample.clone()));
        assert!(unpack(Coding::Deflate, &compress_to_vec_zlib(&sample, 6)) == Ok(sample.clone()));
        assert!(unpack(Coding::Deflate, &compress_to_vec(&sample, 6)) == Ok(sample.clone()));
        assert!(unpack(Coding::Deflate, &compress_to_vec(&sample, 0)) == Ok(sample.clone()), "stored");
        assert!(unpack(Coding::Plain, &sample) == Ok(sample));
    }
}

#[test]
fn f23_heads_may_say_more_and_members_may_follow_each_other() {
    let rest = &HELLO[10..];
    let head = |flags: u8, more: &[u8]| [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3], more, rest].concat();
    for packed in [
        head(1, b""),
        head(2, b"\x00\x00"),
        head(4, b"\x02\x00ab"),
        head(8, b"name\0"),
        head(16, b"\0"),
        head(0x1f, b"\x01\x00xname\0comment\0\x00\x00"),
    ] {
        assert_eq!(unpack(Coding::Gzip, &packed).unwrap(), b"hello\n", "{packed:?}");
    }
    let twice = [gzip(b"1"), gzip(b""), HELLO.to_vec()].concat();
    assert_eq!(unpack(Coding::Gzip, &twice).unwrap(), b"1hello\n");
    for garbage in [&[0; 100][..], b"\x1f", b"\x1f\x8b\x09", b"text"] {
        assert_eq!(unpack(Coding::Gzip, &[&HELLO, garbage].concat()).unwrap(), b"hello\n", "{garbage:?}");
    }
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Plain] {
        assert_eq!(unpack(coding, b""), Ok(Vec::new()), "servers call it packed too");
    }
}

#[test]
fn f23_what_is_cut_short_or_damaged_is_no_body() {
    let text = samples().remove(3);
    let zlib = compress_to_vec_zlib(&text, 6);
    for (coding, packed) in [(Coding::Gzip, gzip(&text)), (Coding::Deflate, zlib), (Coding::Deflate, compress_to_vec(&text, 6))] {
        for length in [1, 2, 5, packed.len() / 2, packed.len() - 1] {
            assert_eq!(unpack(coding, &packed[..length]), Err(UnpackError::Broken), "{coding:?} after {length}");
        }
    }
    for at in [0, 1, 2, 12, 18, 21, 22] {
        let mut damaged = HELLO;
        damaged[at] ^= 0x55;
        assert_eq!(unpack(Coding::Gzip, &damaged), Err(UnpackError::Broken), "byte {at}");
    }
    let second = [&HELLO[..], &HELLO[..20]].concat();
    assert_eq!(unpack(Coding::Gzip, &second), Err(UnpackError::Broken));
    let endless_name = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &[b'x'; HEAD_MAX]].concat();
    assert_eq!(unpack(Coding::Gzip, &endless_name), Err(UnpackError::Broken));
    assert_eq!(unpack(Coding::Gzip, b"plain text"), Err(UnpackError::Broken));
}

#[test]
fn f23_a_body_grows_to_its_bound_and_no_further() {
    let exact = vec![0; BYTES_MAX];
    assert!(unpack(Coding::Gzip, &gzip(&exact)) == Ok(exact));
    let bomb = vec![0; 64 << 20];
    let bombs = [
        (Coding::Gzip, gzip(&bomb)),
        (Coding::Gzip, gzip(&bomb[..BYTES_MAX]).repeat(2)),
        (Coding::Deflate, compress_to_vec(&bomb, 6)),
        (Coding::Deflate, compress_to_vec_zlib(&bomb, 6)),
    ];
    for (coding, bomb) in bombs {
        let (mut unpacker, mut body) = (Unpacker::new(coding), Vec::new());
        assert_eq!(unpacker.unpack(&bomb, &mut body, BYTES_MAX), Err(UnpackError::TooLarge), "{coding:?}");
        assert!(body.len() <= BYTES_MAX && body.capacity() <= 2 * BYTES_MAX, "{}", body.capacity());
    }
    let mut body = Vec::new();
    assert_eq!(Unpacker::new(Coding::Plain).unpack(&bomb, &mut body, BYTES_MAX), Err(UnpackError::TooLarge));
}

#[test]
fn gzip_keys_unpack_to_the_same_in_pieces_within_the_same_bound() {
    let unpacked = |packed: &[u8], bytes_max| {
        let mut whole = Vec::new();
        gunzip(packed, bytes_max, &mut |piece| {
            assert!(piece.len() <= 1 << 20, "{} bytes at once", piece.len());
            whole.extend_from_slice(piece);
        })
        .map(|()| whole)
    };
    for sample in samples() {
        let packed = gzip(&sample);
        assert!(unpacked(&packed, sample.len()) == Ok(sample.clone()));
        if !sample.is_empty() {
            assert_eq!(unpacked(&packed, sample.len() - 1), Err(UnpackError::TooLarge));
        }
        assert_eq!(unpacked(&packed[..packed.len() - 1], sample.len()), Err(UnpackError::Broken));
    }
    assert_eq!(unpacked(b"", BYTES_MAX), Err(UnpackError::Broken), "a file has a head");
    assert_eq!(unpacked(&gzip(&vec![0; 64 << 20]), BYTES_MAX), Err(UnpackError::TooLarge));
}
