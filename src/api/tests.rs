//! Configuration errors and deadlines, and the client against a scripted server.

use std::error::Error;

use serde_json::{Value, json};

use super::*;
use crate::api::stub::{Answer, Asked, server};

/// The error of connecting with this kubeconfig, with all its causes.
async fn refused(kubeconfig: &Path) -> String {
    let Err(error) = ApiServer::connect(Some(kubeconfig), Verify::AsConfigured).await else { panic!("a configuration error was expected") };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn url_is_printed_without_credentials() {
    for (url, expected) in [
        ("https://user:canary@10.0.0.1:6443/", "https://10.0.0.1:6443"),
        ("https://[::1]:6443", "https://[::1]:6443"),
        ("https://example.com/k8s/clusters/canary", "https://example.com"),
    ] {
        assert_eq!(printable(&url.parse().expect("a URL")), expected);
    }
}

/// A GET of this path.
fn get(path: &str) -> Request<Vec<u8>> {
    Request::get(path).body(Vec::new()).expect("a request")
}

#[test]
fn what_is_no_path_is_told() {
    let request = objects(Kind::Secret, Some("a b")).list(&kube::api::ListParams::default());
    assert_eq!(request.map_err(Failure::from).err(), Some(Failure::Request("invalid uri character".to_owned())));
}

#[tokio::test]
async fn missing_kubeconfig_names_variable_and_file() {
    let text = refused(Path::new("/nowhere/config")).await;
    assert!(text.starts_with("KUBECONFIG=\"/nowhere/config\": "), "{text}");
}

#[tokio::test]
async fn broken_kubeconfig_is_not_quoted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config");
    std::fs::write(&file, "users:\n- name: x\n  user: {token: canary, tokenFile: [canary]}\n\tcanary").expect("written");
    let text = refused(&file).await;
    assert!(text.contains("expected a kubeconfig in YAML or JSON") && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn kubeconfig_needs_no_server_that_answers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n\
                clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: t}}]\n";
    std::fs::write(&file, text).expect("written");
    let api = ApiServer::connect(Some(&file), Verify::AsConfigured).await.expect("lazy");
    assert_eq!(api.url(), "http://127.0.0.1:1");
    let failure = api.call::<serde_json::Value>(get("/version")).await.expect_err("nobody listens");
    assert!(matches!(&failure, Failure::Transport(text) if text.contains("refused")), "{failure}");
}

#[tokio::test]
async fn unauthorized_is_tried_once_more_with_a_new_token() {
    let stub = server(|asked: &Asked| Answer::json(if asked.authorization == "Bearer second" { 200 } else { 401 }, &json!({}))).await;
    let request = || get("/version");
    let failure = stub.api.call::<Value>(request()).await.expect_err("the first token is refused");
    assert_eq!((failure.code(), stub.asked().len()), (Some(401), 1), "the same token is not tried twice");
    std::fs::write(&stub.token, "second").expect("written");
    stub.api.call::<Value>(request()).await.expect("the second token is taken");
    let tokens: Vec<String> = stub.asked().into_iter().map(|asked| asked.authorization).collect();
    assert_eq!(tokens, ["Bearer first", "Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn answer_beyond_the_limit_is_refused() {
    let stub = server(|_: &Asked| Answer::json(200, &json!({"x": "y".repeat(1000)}))).await;
    let request = || get("/");
    let failure = stub.api.body_within(request(), 999).await.expect_err("too large");
    assert_eq!(failure, Failure::TooLarge { limit_bytes: 999 });
    stub.api.body_within(request(), 2000).await.expect("small enough");
}

#[tokio::test]
async fn failures_hold_no_byte_of_the_answer() {
    let stub = server(|asked: &Asked| match asked.path.as_str() {
        "/refused?a=canary" => Answer::json(429, &json!({"reason": "TooManyRequests", "message": "canary"})).with("retry-after", "7"),
        _ => Answer::json(200, &json!({"metadata": "canary"})),
    })
    .await;
    let failure = stub.api.call::<Vec<u8>>(get("/decoded")).await.expect_err("no list");
    assert!(matches!(failure, Failure::Decode { .. }) && !format!("{failure} {failure:?}").contains("canary"), "{failure:?}");
    let failure = stub.api.call::<Value>(get("/refused?a=canary")).await.expect_err("refused");
    let expected = Failure::Status {
        code: 429,
        reason: "TooManyRequests".to_owned(),
        retry_after: Some(Duration::from_secs(7)),
        message: "GET /refused".to_owned(),
    };
    assert_eq!(failure, expected);
}
