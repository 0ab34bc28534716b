//! The HTTP side: connections, the request log, faults, and the way from an answer to bytes.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch as channel;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::access::RIG_TOKEN;
use super::answer::{Answer, Call, answer};
use super::body::{self, Body, End, Shape};
use super::exec;
use super::failure::Failure;
use super::fault::Fault;
use super::object::render;
use super::requests::Record;
use super::route::Asked;
use super::watch::Tweaks;

type Response = hyper::Response<Body>;

/// Serves one connection until it ends, is dropped by the test, or the client breaks it.
pub async fn connection(shared: Arc<Shared>, socket: TcpStream, tls: TlsAcceptor, mut drops: channel::Receiver<u64>) {
    shared.state().connections.push(Instant::now());
    let serving = async {
        socket.set_nodelay(true)?;
        let stream = tls.accept(socket).await?;
        let service = service_fn(|request| request_of(Arc::clone(&shared), request));
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await.map_err(io::Error::other)
    };
    tokio::select! {
        // A broken connection is the client's business, or a fault that we made.
        ended = serving => drop(ended),
        _ = drops.changed() => {}
    }
}

/// What a fault makes of a request before it is answered.
enum Verdict {
    Answer { tweaks: Tweaks, shape: Shape },
    Refuse(Failure, Vec<(&'static str, String)>, Option<Vec<u8>>),
    Reset,
}

async fn request_of(shared: Arc<Shared>, mut request: hyper::Request<Incoming>) -> io::Result<Response> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, incoming) = request.into_parts();
    let header = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let token = header(AUTHORIZATION).trim_start_matches("Bearer ").to_owned();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let asked = Asked::parse(parts.method.as_str(), path, query);
    let body = incoming.collect().await.map_err(io::Error::other)?.to_bytes();
    let record = Record::new(parts.method.as_str(), path, query, &token, &asked, &body);
    let mut verdict = Verdict::Answer { tweaks: Tweaks::default(), shape: Shape::default() };
    if token != RIG_TOKEN {
        shared.state().requests.push(Arc::clone(&record));
        thawed(&shared).await;
        verdict = strike(&shared, &asked, &token).await;
    }
    let (tweaks, shape) = match verdict {
        Verdict::Answer { tweaks, shape } => (tweaks, shape),
        Verdict::Refuse(failure, headers, body) => return refuse(&record, &failure, headers, body),
        Verdict::Reset => return Err(io::Error::other("scripted reset")),
    };
    let (accept, content_type) = (header(ACCEPT), header(CONTENT_TYPE));
    let (key, protocols) = (header(SEC_WEBSOCKET_KEY), header(SEC_WEBSOCKET_PROTOCOL));
    let call = Call {
        asked: &asked,
        path,
        token: &token,
        accept: &accept,
        content_type: &content_type,
        upgrade: (&key, &protocols),
        body: &body,
        tweaks,
        streaming_lists: shared.options.streaming_lists,
    };
    let answered = answer(&mut shared.state(), call);
    shared.wake();
    match answered {
        Err(failure) => refuse(&record, &failure, Vec::new(), None),
        Ok(Answer::Text(code, text)) => respond(&record, code, "text/plain; charset=utf-8", body::whole(text.to_owned(), &record)),
        Ok(Answer::Json(code, text)) if shape.is_plain() => respond(&record, code, "application/json", body::whole(text, &record)),
        Ok(Answer::Json(code, text)) => {
            let (mut out, body) = body::channel(&record, shape, None);
            tokio::spawn(async move {
                let mut text = Bytes::from(text);
                while !text.is_empty() && out.send(text.split_to(text.len().min(65_536))).await.is_ok() {}
            });
            respond(&record, code, "application/json", body)
        }
        Ok(Answer::Exec(exec)) => run(&shared, &record, exec, upgrade),
        Ok(Answer::Watch(watch)) => {
            let (out, body) = body::channel(&record, shape, shared.options.slow_reader_cut);
            let open = record.open();
            tokio::spawn(async move {
                watch.run(shared, out).await;
                drop(open);
            });
            respond(&record, 200, "application/json", body)
        }
    }
}

/// Runs a command over the connection, which becomes its own.
fn run(shared: &Shared, record: &Arc<Record>, exec: Box<exec::Exec>, upgrade: hyper::upgrade::OnUpgrade) -> io::Result<Response> {
    let mut drops = shared.drops.subscribe();
    let (open, key) = (record.open(), exec.accept.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = exec.run(upgrade) => {}
            _ = drops.changed() => {}
        }
        drop(open);
    });
    record.answered(101);
    let response = hyper::Response::builder().status(101).header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
    let response = response.header(SEC_WEBSOCKET_ACCEPT, key).header(SEC_WEBSOCKET_PROTOCOL, exec::PROTOCOL);
    response.body(body::whole(String::new(), record)).map_err(io::Error::other)
}

async fn thawed(shared: &Shared) {
    let mut tick = shared.tick.subscribe();
    while shared.state().frozen {
        if tick.changed().await.is_err() {
            return;
        }
    }
}

async fn strike(shared: &Shared, asked: &Asked, token: &str) -> Verdict {
    let struck = shared.state().faults.strike(asked, token);
    let (mut tweaks, mut shape) = (Tweaks::default(), Shape::default());
    for (id, fault) in struck {
        match fault {
            Fault::Delay(time) => sleep(time).await,
            Fault::Status { code, headers, body } => return Verdict::Refuse(Failure::from_code(code), headers, body),
            Fault::HttpGone => return Verdict::Refuse(Failure::from_code(410), Vec::new(), None),
            Fault::ContinueGone => return Verdict::Refuse(Failure::continue_expired(""), Vec::new(), None),
            Fault::RejectSendInitialEvents => {
                let rule = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
                return Verdict::Refuse(Failure::list_options("sendInitialEvents", rule), Vec::new(), None);
            }
            Fault::Reset => return Verdict::Reset,
            Fault::Hang => std::future::pending().await,
            Fault::StallHeaders => shape.stalled = true,
            Fault::Trickle(interval) => shape.trickle = Some(interval),
            Fault::CloseAfterBytes(bytes) => shape.limit = Some((bytes, End::Close)),
            Fault::CutAfterBytes(bytes) => shape.limit = Some((bytes, End::Cut)),
            other => tweaks.add(id, other),
        }
    }
    Verdict::Answer { tweaks, shape }
}

fn refuse(record: &Record, failure: &Failure, headers: Vec<(&'static str, String)>, body: Option<Vec<u8>>) -> io::Result<Response> {
    let text = body.map_or_else(|| render(&failure.body()), |body| String::from_utf8_lossy(&body).into_owned());
    let mut response = respond(record, failure.code, "application/json", body::whole(text, record))?;
    for (name, value) in headers {
        let value = value.parse().map_err(io::Error::other)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn respond(record: &Record, code: u16, content_type: &'static str, body: Body) -> io::Result<Response> {
    record.answered(code);
    let response = hyper::Response::builder().status(code).header(CONTENT_TYPE, content_type);
    response.body(body).map_err(io::Error::other)
}
