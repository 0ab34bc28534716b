//! The launcher, the trees, and the search for leaks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::catch_unwind;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;

use crate::support::api::route::hex;
use crate::support::projector::Builder;
use crate::support::{
    Cluster, DEADLINE, Projector, assert_no_leak, assert_tree, folders, inode, ledgers, mode, temps, tree, tree_with_dots, wait_for,
    wait_for_async, wait_tree,
};

/// A launch of a shell script in the place of the projector.
fn shell(script: &str) -> Builder {
    Projector::builder().binary(Path::new("/bin/sh")).args(&["-c", script])
}

#[test]
fn launches_with_a_clean_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let launch = shell("echo \"$FOLDER|$A|$HOME|$HEALTH_PORT\"; echo oops >&2; exit 3");
    let launch = launch.folder(folder.path()).env("A", "1").env("B", "2").without("B").env("HEALTH_PORT", "7");
    let finished = launch.run();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(3), "oops\n"));
    assert_eq!(finished.stdout, format!("{}|1||7\n", folder.path().display()));
    let finished = shell("umask").umask("027").run();
    assert_eq!(finished.stdout, "0027\n");
}

#[test]
fn signals_kills_and_output() {
    let mut running = shell("trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.01; done").env("PATH", "/usr/bin:/bin").start();
    running.wait_output("hello");
    assert!(running.is_running());
    assert!(running.rss_kib() > 0 && running.peak_kib() >= running.rss_kib());
    assert_eq!(running.terminate().code(), Some(0));
    assert_eq!(running.output(), "hello\nbye\n");
    let mut running = shell("echo up; while :; do sleep 0.01; done").env("PATH", "/usr/bin:/bin").start();
    running.wait_output("up");
    running.signal(Signal::USR1);
    assert_eq!(running.wait_exit(DEADLINE).code(), None);
    let mut running = shell("while :; do :; done").start();
    running.kill9();
    assert!(!running.is_running());
}

#[test]
fn health_is_asked_over_plain_http() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let count = socket.read(&mut request).expect("a request");
            let ready = request[..count].starts_with(b"GET /readyz ");
            let answer = if ready {
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
            } else {
                "HTTP/1.1 503 No\r\nConnection: close\r\n\r\n{\"a\":1}"
            };
            socket.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    let mut running = shell("while :; do sleep 0.01; done").env("PATH", "/usr/bin:/bin").env("HEALTH_PORT", &port.to_string()).start();
    assert_eq!(running.health(), (503, serde_json::json!({"a": 1})));
    running.wait_ready();
    serving.join().expect("no panic");
    assert_eq!(running.health().0, 0, "nobody answers any more");
}

#[test]
fn a_projector_that_ends_before_it_is_ready_fails_the_test() {
    let failed = catch_unwind(|| {
        shell("exit 2").start().wait_ready();
    });
    assert!(failed.is_err());
}

#[test]
fn projector_on_a_cluster_knows_where_it_is() {
    let cluster = Cluster::new();
    let folder = tempfile::tempdir().expect("a folder");
    let launch =
        Projector::on(&cluster, folder.path()).binary(Path::new("/bin/sh")).args(&["-c", "cat $KUBECONFIG; echo $NAMESPACE $LABEL"]);
    let finished = launch.env("PATH", "/usr/bin:/bin").run();
    assert!(finished.stdout.contains("certificate-authority-data"));
    assert!(finished.stdout.ends_with(&format!("{} find\n", cluster.namespace())));
}

#[test]
fn trees_show_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fs::create_dir_all(root.join("sub/deep")).expect("folders");
    fs::write(root.join("a"), "1").expect("a file");
    fs::write(root.join("sub/b"), b"\xff\x00").expect("a file");
    fs::write(root.join(".kube-projector.x1.tmp"), "half").expect("a file");
    fs::write(root.join("sub/.kube-projector.y.ledger"), "").expect("a file");
    symlink("/nowhere", root.join("link")).expect("a link");
    let expected = tree! { "a" => "1", "sub/b" => b"\xff\x00", "link" => "-> /nowhere" };
    assert_eq!(tree(root), expected);
    assert_tree(root, &expected);
    assert_eq!(tree_with_dots(root).len(), 5);
    assert_eq!(folders(root), ["sub", "sub/deep"]);
    assert_eq!((temps(root), ledgers(root)), (vec![".kube-projector.x1.tmp".to_owned()], vec!["sub/.kube-projector.y.ledger".to_owned()]));
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o640)).expect("a mode");
    assert_eq!(mode(&root.join("a")), 0o640);
    let before = inode(&root.join("a"));
    fs::write(root.join("new"), "2").expect("a file");
    fs::rename(root.join("new"), root.join("a")).expect("a rename");
    assert_ne!(inode(&root.join("a")), before);
    assert!(catch_unwind(|| assert_tree(folder.path(), &expected)).is_err());
}

#[test]
fn waits_end_when_it_is_so_and_fail_when_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&path, "1").expect("a file"));
        wait_tree(folder.path(), &tree! { "a" => "1" });
    });
    let failed = catch_unwind(|| wait_for("nothing", std::time::Duration::from_millis(10), || false));
    let text = failed.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(text.contains("nothing"), "{text}");
}

#[tokio::test]
async fn waits_work_in_a_runtime() {
    let mut polls = 0;
    wait_for_async("the third poll", DEADLINE, || {
        polls += 1;
        polls == 3
    })
    .await;
    let cluster = Cluster::in_process();
    cluster.configmap("a", &[]).create();
    assert_eq!(cluster.list("configmaps").len(), 1);
}

#[test]
fn planted_leaks_are_found_in_every_form() {
    let canary = "s3cr\"et/\u{e9} value+1";
    let bytes = canary.as_bytes();
    let planted = [
        canary.to_owned(),
        STANDARD.encode(bytes),
        STANDARD.encode([b"x", bytes, b"y"].concat()),
        STANDARD.encode([b"xx", bytes, b"yy"].concat()),
        hex(bytes),
        hex(bytes).to_uppercase(),
        serde_json::Value::from(canary).to_string(),
        format!("{canary:?}"),
        format!("{bytes:?}"),
        "s3cr%22et%2F%C3%A9%20value%2B1".to_owned(),
        "s3cr%22et%2F%C3%A9+value%2B1".to_owned(),
    ];
    for leak in planted {
        let text = format!("level=info value={leak} end");
        assert!(catch_unwind(|| assert_no_leak("a log", &text, &[canary])).is_err(), "not found: {text}");
    }
    assert_no_leak("a log", "level=info key=password bytes=18", &[canary]);
}
