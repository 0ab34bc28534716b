//! A scripted API server on loopback for the tests beside this code. Plain HTTP: TLS is not their matter.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::api::ApiServer;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// HTTP method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The `Authorization` header.
    pub(crate) authorization: String,
    /// The body as text.
    pub(crate) body: String,
}

/// What the server answers.
pub(crate) struct Answer {
    code: u16,
    header: Option<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// A JSON body with a status.
    pub(crate) fn json(code: u16, body: &serde_json::Value) -> Self {
        Self { code, header: None, body: body.to_string().into_bytes() }
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.header = Some((name, value.to_owned()));
        self
    }
}

/// A running server and a client of it.
pub(crate) struct Stub {
    /// The client.
    pub(crate) api: ApiServer,
    /// The token file that the client uses.
    pub(crate) token: std::path::PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
    _folder: tempfile::TempDir,
}

impl Stub {
    /// Every request until now, in order of arrival.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// A server that answers by `script` until the test ends.
pub(crate) async fn server(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (script, log) = (Arc::new(script), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| {
                    let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                    async move { Ok::<_, Infallible>(answer(request, &*script, &log).await) }
                }),
            ));
        }
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "first").expect("written");
    let config = folder.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: 'http://{address}'}}}}]\nusers: [{{name: u, user: {{tokenFile: '{}'}}}}]\n",
        token.display()
    );
    std::fs::write(&config, text).expect("written");
    let api = ApiServer::connect(Some(&config), crate::config::Verify::AsConfigured).await.expect("a client");
    Stub { api, token, asked, _folder: folder }
}

async fn answer(
    request: http::Request<Incoming>,
    script: &(dyn Fn(&Asked) -> Answer + Sync + Send),
    log: &Mutex<Vec<Asked>>,
) -> Response<Full<bytes::Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        authorization: head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let answer = script(&asked);
    log.lock().expect("no panic").push(asked);
    let mut response = Response::builder().status(answer.code);
    if let Some((name, value)) = answer.header {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.body.into())).expect("a response")
}
