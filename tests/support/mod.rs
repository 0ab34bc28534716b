//! The rig: an API server that breaks on request, a launcher for the built binary, and waiting without sleeping for luck.
//!
//! Everything blocks and needs no runtime: tests are plain `#[test]` functions (and may be `#[tokio::test]` as well).
//!
//! ```ignore
//! // Runs in-process, and unchanged on a real cluster with PROJECTOR_TEST_CLUSTER=/path/to/kubeconfig.
//! #[test]
//! fn a_dropped_key_takes_its_file_along() {
//!     let cluster = Cluster::new();
//!     let folder = tempfile::tempdir().expect("a folder");
//!     cluster.configmap("rules", &[("a.yaml", "1"), ("b.yaml", "2")]).create();          // labelled find=me
//!     cluster.secret("token", &[("t", b"\xff\x00")]).target("sub").create();
//!     let mut projector = Projector::on(&cluster, folder.path()).env("DEBUG", "true").start();
//!     projector.wait_ready();
//!     assert_tree(folder.path(), &tree! { "a.yaml" => "1", "b.yaml" => "2", "sub/t" => b"\xff\x00" });
//!     cluster.set_data("rules", &[("a.yaml", "1")]);
//!     wait_tree(folder.path(), &tree! { "a.yaml" => "1", "sub/t" => b"\xff\x00" });
//!     assert_eq!(projector.terminate().code(), Some(0));
//!     assert_eq!(temps(folder.path()), Vec::<String>::new());
//!     projector.assert_no_leak(&["canary"]);
//! }
//!
//! // Faults need the server in this process.
//! #[test]
//! fn list_that_dies_on_page_2_removes_nothing() {
//!     let cluster = Cluster::in_process();
//!     let server = cluster.server();
//!     server.fault(Matcher::stream_list(""), Times::Always, Fault::RejectSendInitialEvents);
//!     let died = server.fault(Matcher::list("configmaps").page(2), Times::Once, Fault::CutAfterBytes(100));
//!     server.fault(Matcher::watch("secrets"), Times::N(3), Fault::retry_after(429, "1"));
//!     server.fault(Matcher::any_watch("configmaps"), Times::Once, Fault::AfterEvents(2, Injection::Error(410)));
//!     server.inject(Matcher::any_watch("configmaps"), Injection::Line(b"{garbage".to_vec()));  // into watches that are open
//!     server.drop_connections();
//!     server.compact();                                             // those who reconnect get 410 in the stream
//!     let old = server.snapshot();
//!     server.fault(Matcher::reads("configmaps"), Times::Always, Fault::Stale(old.version));
//!     server.restore(&old);                                         // as a restored etcd
//!     wait_for("the fault to strike", DEADLINE, || server.hits(died) == 1);
//!     assert_eq!(server.counts_of("configmaps").stream_lists, 1);   // the rig's own requests are not counted
//! }
//!
//! // Accounts with few rights, on both servers; `grant` changes them later.
//! let account = cluster.restricted(&[("", "configmaps", &["get", "list", "watch"])]);
//! let projector = Projector::on(&cluster, folder.path()).kubeconfig(&account.kubeconfig).start();
//!
//! // A web server for `.url` keys and REQ_URL, on a port of its own; every path answers as it was told, all else is 404.
//! let web = WebServer::start();                                    // start_tls(): authority_file() goes to REQUESTS_CA_BUNDLE
//! web.on("/a", Answer::ok("1").etag("\"1\""));                     // 304 for whoever has that version
//! web.on_each("/reload", vec![Answer::status(503), Answer::ok("")]);   // in turn, then the last again and again
//! web.on("/loop", Answer::redirect("/loop")).on("/slow", Answer::ok("x").delay(Duration::from_secs(1)));
//! web.on("/dead", Answer::hang()).on("/half", Answer::cut("0123456789", 4)).on("/giant", Answer::sized(1 << 30));
//! cluster.configmap("far", &[("a.url", &web.url("/a"))]).create();
//! let asked = web.wait_for("/a", 1);                               // everything about each request
//! assert_eq!((asked[0].method.as_str(), asked[0].credentials(), web.count("/reload")), ("GET", None, 0));
//!
//! // Pods that nobody runs: pending, running, ready and terminating as the test says, on both servers.
//! cluster.pod("director-0").label("app", "director").container("dovecot").ready(true).create();
//! cluster.set_ready("director-0", false);
//! cluster.set_status("director-0", &json!({"podIP": "10.1.0.2"}));
//!
//! // Ages of objects can be set only in-process: server.create(&json!({"kind": "ConfigMap", "metadata": {"name": "old",
//! // "namespace": cluster.namespace(), "labels": {"find": "me"}, "creationTimestamp": "2020-01-01T00:00:00Z"}, "data": {}})).
//! ```

#![allow(dead_code, unused_imports, unused_macros, reason = "each target that includes the rig uses another part of it")]

pub mod api;
pub mod cluster;
pub mod full;
pub mod http;
pub mod leak;
pub mod projector;
#[cfg(test)]
mod selftest;
pub mod tree;
pub mod web;

pub use api::access::Rule;
pub use api::fault::{Fault, FaultId, Injection, Loss, Matcher, Times};
pub use api::requests::{Counts, Request};
pub use api::route::Verb;
pub use api::{ApiServer, Options, PROJECTOR_TOKEN};
pub use cluster::{Account, Cluster, Draft};
pub use full::{cases, every, times};
pub use leak::assert_no_leak;
pub use projector::{Finished, Projector, free_port};
pub(crate) use tree::{
    DEADLINE, Tree, assert_tree, folders, inode, ledgers, mode, standing, temps, tree, tree_with_dots, wait_for, wait_for_async, wait_tree,
    wait_tree_within, wait_until,
};
pub use web::{Answer, Received, WebServer};
