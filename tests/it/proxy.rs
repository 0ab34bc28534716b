//! C4: the way to the API server by a kubeconfig's proxy, and the way to other servers by the environment's.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::common::{Setup, started};
use crate::support::*;

/// A proxy for a test: HTTP CONNECT and SOCKS 5 with a password, by what the client says first.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let noted = Arc::clone(&noted);
                // A client that goes away is no failure of a test.
                std::thread::spawn(move || serve(client, &noted));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut first = [0];
    client.read_exact(&mut first).ok()?;
    let (target, said) = if first == [5] { socks(&mut client)? } else { connect(&mut client, first[0])? };
    asked.lock().unwrap().push(said);
    let server = TcpStream::connect(target?).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    Some(())
}

/// Where the client wants to go, and what it said.
type Wish = (Option<String>, String);

fn connect(client: &mut TcpStream, first: u8) -> Option<Wish> {
    let mut head = vec![first];
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let answer =
        if target.is_some() { "HTTP/1.1 200 OK\r\n\r\n" } else { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" };
    client.write_all(answer.as_bytes()).ok()?;
    Some((target, head))
}

fn socks(client: &mut TcpStream) -> Option<Wish> {
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).map(|()| bytes).ok()
    };
    let methods = take(1)?[0];
    take(methods.into())?;
    client.write_all(&[5, 2]).ok()?;
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).map(|()| bytes).ok()
    };
    let length = take(2)?[1];
    let user = String::from_utf8(take(length.into())?).ok()?;
    let length = take(1)?[0];
    let password = String::from_utf8(take(length.into())?).ok()?;
    client.write_all(&[1, 0]).ok()?;
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).map(|()| bytes).ok()
    };
    let kind = take(4)?[3];
    let host = match kind {
        1 => take(4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        _ => {
            let length = take(1)?[0];
            String::from_utf8(take(length.into())?).ok()?
        }
    };
    let port = take(2)?;
    let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    Some((Some(target.clone()), format!("{user} {password} {target}")))
}

/// The rig's kubeconfig with a proxy in it.
fn kubeconfig(setup: &Setup, proxy: &str) -> std::path::PathBuf {
    let text = std::fs::read_to_string(setup.cluster.kubeconfig()).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["clusters"][0]["cluster"]["proxy-url"] = proxy.into();
    let file = setup.beside("kubeconfig");
    std::fs::write(&file, value.to_string()).unwrap();
    file
}

/// Follows changes by this proxy; what the proxy was asked for each time, without doubles.
fn followed_by(proxy: &Proxy, url: &str) -> (Vec<String>, String) {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    // NO_PROXY is about other servers.
    let builder = setup.projector().kubeconfig(&kubeconfig(&setup, url)).env("NO_PROXY", "127.0.0.1,*");
    let projector = started(&builder);
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
    assert!(!projector.output().contains("canary"), "{}", projector.output());
    let mut asked = proxy.asked();
    asked.sort();
    asked.dedup();
    let output = projector.output();
    let server = output.split("\"server\":\"https://").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (asked, server)
}

#[test]
fn c4_a_kubeconfigs_proxy_url_is_obeyed_by_connect() {
    let proxy = Proxy::start();
    let (asked, server) = followed_by(&proxy, &format!("http://user:canary%40%3A@127.0.0.1:{}", proxy.port));
    // user:canary@:
    let expected = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\nProxy-Authorization: Basic dXNlcjpjYW5hcnlAOg==\r\n\r\n");
    assert_eq!(asked, [expected]);
}

#[test]
fn c4_a_kubeconfigs_proxy_url_is_obeyed_by_socks5() {
    let proxy = Proxy::start();
    let (asked, server) = followed_by(&proxy, &format!("socks5://user:canary%40@127.0.0.1:{}", proxy.port));
    assert_eq!(asked, [format!("user canary@ {server}")]);
}

#[test]
fn c4_a_proxy_url_that_cannot_be_obeyed_ends_the_program_and_is_not_shown() {
    let setup = Setup::in_process();
    for url in ["https://u:canary@127.0.0.1:1", "ftp://canary", "canary canary"] {
        let finished = setup.projector().kubeconfig(&kubeconfig(&setup, url)).run();
        assert_eq!((finished.code, finished.stderr.contains("canary")), (Some(2), false), "{url}: {}", finished.stderr);
        assert!(finished.stderr.contains("proxy-url"), "{url}: {}", finished.stderr);
    }
}

#[test]
fn c4_no_proxy_takes_addresses_and_networks_for_other_servers_and_the_api_server_is_asked_directly() {
    for (except, directly) in [("127.0.0.1", true), ("10.0.0.1,127.0.0.0/8", true), ("10.0.0.0/8", false), ("", false)] {
        let (proxy, web, setup) = (Proxy::start(), WebServer::start(), Setup::in_process());
        web.on("/reload", Answer::ok("reloaded"));
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let url = format!("http://127.0.0.1:{}", proxy.port);
        let builder = setup.projector().env("HTTP_PROXY", &url).env("HTTPS_PROXY", &url).env("ALL_PROXY", &url).env("NO_PROXY", except);
        let finished = builder.env("REQ_URL", &web.url("/reload")).env("METHOD", "LIST").run();
        assert_eq!((finished.code, tree(&setup.folder())), (Some(0), tree! { "a" => "1" }), "{}", finished.stderr);
        // Whoever had the port before may still be asked for.
        let by_proxy: Vec<String> = proxy.asked().into_iter().filter(|asked| asked.contains("/reload")).collect();
        assert_eq!(
            (web.wait_for("/reload", 0).len(), by_proxy.len()),
            (usize::from(directly), usize::from(!directly)),
            "{except:?} {by_proxy:?}"
        );
    }
}
