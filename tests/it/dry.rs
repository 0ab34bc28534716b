//! DRY_RUN: nothing is changed, nobody is told, and what is said is what would have been done.

mod calls;

use serde_json::Value;

use self::calls::{forbidden, traced};
use crate::common::{OURS, Setup, count, put, started};
use crate::support::projector::Builder;
use crate::support::*;

/// Everything that could change something or tell somebody, and the means to see that it does.
struct Bench {
    setup: Setup,
    web: WebServer,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { setup: Setup::in_process(), web: WebServer::start() };
        bench.web.on("/file", Answer::ok("from afar"));
        put(&bench.setup.beside("script"), "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\n");
        bench
    }

    fn path(&self, name: &str) -> String {
        self.setup.beside(name).display().to_string()
    }

    /// A launch by which a change of files is told in every way, and kept in every place.
    fn projector(&self) -> Builder {
        let namespace = self.setup.cluster.namespace();
        let projector = self.setup.projector().env("LOG_FORMAT", "json").env("EVENT_LOGGING", "true").env("RESYNC", "1");
        let projector = projector.env("LEDGER", &self.path("state/ledger")).env("STAGING", &self.path("staging"));
        let projector = projector.env("REQ_URL", &self.web.url("/reload")).env("URL_KEYS", "true").env("SCRIPT", &self.path("script"));
        let projector = projector.env("EXEC_LABELS", "app=director").env("EXEC_COMMAND", "true").env("EXEC_NAMESPACE", namespace);
        let projector = projector.env("WATCH_SECRET_TYPE", "kubernetes.io/tls").env("EXEC_SECRET_DELAY", "0");
        projector
            .env("SIGNAL_PROCESS", "nobody-is-called-so")
            .env("URL_ALLOW", &self.web.origin())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
    }

    /// What a former run left: two objects with their files, guarded.
    fn former(&self) {
        std::fs::create_dir(self.setup.beside("state")).unwrap();
        self.setup.cluster.configmap("edited", &[("edited", "1"), ("dropped", "1")]).create();
        self.setup.cluster.configmap("deleted", &[("deleted", "1")]).target("sub").create();
        let former = self.projector().without("SIGNAL_PROCESS").without("EXEC_LABELS").without("EXEC_COMMAND");
        let former = former.without("EXEC_NAMESPACE").without("WATCH_SECRET_TYPE").without("EXEC_SECRET_DELAY");
        let mut projector = started(&former);
        for name in ["edited", "deleted"] {
            self.setup.has_finalizers("configmaps", name, &[OURS]);
        }
        projector.terminate();
        std::fs::remove_dir(self.setup.beside("staging")).unwrap();
        let _ = std::fs::remove_file(self.setup.beside("ran"));
        self.web.clear_requests();
    }
}

/// The lines of the log that say this.
fn said(projector: &Projector, message: &str) -> Vec<Value> {
    let lines: Vec<Value> = projector.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines.into_iter().filter(|line| line["message"] == message).collect()
}

/// Waits until these paths were said to be written or removed; each so often as it is named.
fn wait_said(projector: &Projector, message: &str, paths: &[&str]) {
    wait_until(&format!("{message:?} of {paths:?}"), DEADLINE, || {
        let mut found: Vec<String> =
            said(projector, message).iter().map(|line| line["path"].as_str().unwrap_or_default().to_owned()).collect();
        found.iter_mut().for_each(|path| *path = path.rsplit('/').next().unwrap_or_default().to_owned());
        found.sort();
        if found == paths { Ok(()) } else { Err(found) }
    });
}

#[test]
fn nothing_is_changed_nobody_is_told_and_the_api_server_is_only_read() {
    let bench = Bench::new();
    bench.former();
    let (cluster, server) = (&bench.setup.cluster, bench.setup.cluster.server());
    cluster.pod("director").label("app", "director").ready(true).create();
    let (before, asked, connections) = (standing(&bench.setup.beside("")), server.requests().len(), bench.web.connections());
    let trace = tempfile::tempdir().unwrap();
    let launch = bench.projector().env("DRY_RUN", "true");
    let mut projector = traced(launch, &trace.path().join("trace")).start();
    projector.wait_ready();
    cluster.set_data("edited", &[("edited", "22"), ("remote.url", &bench.web.url("/file"))]);
    wait_said(&projector, "would write file", &["edited"]);
    cluster.configmap("new", &[("new", "1")]).target("fresh/folder").create();
    cluster.delete("configmaps", "deleted");
    wait_said(&projector, "would write file", &["edited", "new"]);
    wait_said(&projector, "would remove file", &["deleted", "dropped"]);
    wait_said(&projector, "would fetch the file behind a URL, what it holds is not known", &["remote"]);
    cluster.secret("certificate", &[("tls.crt", "1"), ("tls.key", "1")]).unlabelled().of_type("kubernetes.io/tls").create();
    projector.wait_output("would run the command because of this");
    for way in ["script", "signal", "request", "exec"] {
        wait_for(&format!("{way} to be said"), DEADLINE, || {
            said(&projector, "would tell the application").iter().any(|line| line["reaction"] == way)
        });
    }
    projector.wait_output("would remove finalizer");
    projector.wait_output("would add finalizer");
    assert_eq!(said(&projector, "would remove finalizer").len(), 1, "{}", projector.output());
    assert_eq!(projector.terminate().code(), Some(0));
    assert_eq!(standing(&bench.setup.beside("")), before);
    let requests = server.requests();
    let ours: Vec<_> = requests[asked..].iter().filter(|request| request.token == PROJECTOR_TOKEN).collect();
    assert!(ours.len() > 3, "{ours:?}");
    for request in ours {
        let is_read = matches!(request.verb, Verb::Get | Verb::List | Verb::StreamList | Verb::Watch);
        assert!(is_read && request.method == "GET", "{request:?}");
    }
    assert_eq!((bench.web.connections(), bench.web.requests().len()), (connections, 0));
    let trace = std::fs::read_to_string(trace.path().join("trace")).unwrap();
    assert!(trace.lines().count() > 300, "it was traced: {}", trace.lines().count());
    let port = server.url().rsplit_once(':').unwrap().1.trim_matches('/').to_owned();
    assert_eq!(forbidden(&trace, &port), Vec::<String>::new());
    // The same without DRY_RUN is found out by the same means.
    let real = tempfile::tempdir().unwrap();
    let mut projector = traced(bench.projector().without("SIGNAL_PROCESS"), &real.path().join("trace")).start();
    bench.setup.holds(&tree! { "edited" => "22", "fresh/folder/new" => "1", "remote" => "from afar" });
    projector.terminate();
    let found = forbidden(&std::fs::read_to_string(real.path().join("trace")).unwrap(), &port);
    for call in ["openat(", "renameat", "unlinkat(", "mkdirat(", "flock(", "write(", "connect("] {
        assert!(found.iter().any(|found| found.starts_with(call)), "{call} in {found:#?}");
    }
}

/// What a run says of files and of whom it tells, in its words or in those of a dry one.
fn history(bench: &Bench, dry: bool) -> (Vec<String>, usize) {
    let (cluster, setup) = (&bench.setup.cluster, &bench.setup);
    let launch = setup.projector().env("LOG_FORMAT", "json").env("RESYNC", "1").env("REQ_URL", &bench.web.url("/reload"));
    let (written, removed) = if dry { ("would write file", "would remove file") } else { ("file written", "file removed") };
    cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
    cluster.configmap("foreign", &[("foreign", "1")]).create();
    setup.foreign("foreign", "theirs");
    let projector = started(&launch.env("DRY_RUN", if dry { "true" } else { "false" }));
    let told = |count: usize| {
        wait_for(&format!("{count} to be told"), DEADLINE, || match dry {
            true => said(&projector, "would tell the application").len() == count,
            false => bench.web.count("/reload") == count,
        });
    };
    wait_said(&projector, written, &["a", "b", "foreign"]);
    told(1);
    cluster.set_data("a", &[("a", "22"), ("c", "1")]);
    wait_said(&projector, written, &["a", "a", "b", "c", "foreign"]);
    wait_said(&projector, removed, &["b"]);
    told(2);
    cluster.secret("s", &[("s", "secret")]).target("sub").create();
    wait_said(&projector, written, &["a", "a", "b", "c", "foreign", "s"]);
    told(3);
    cluster.relabel("configmaps", "foreign", &[("find", None)]);
    wait_said(&projector, removed, &["b", "foreign"]);
    told(4);
    cluster.delete("configmaps", "a");
    wait_said(&projector, removed, &["a", "b", "c", "foreign"]);
    told(5);
    let lines: Vec<Value> = projector.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let folder = setup.folder().display().to_string();
    let mut done = Vec::new();
    for line in &lines {
        let act = match line["message"].as_str() {
            Some(message) if message == written => "written",
            Some(message) if message == removed => "removed",
            _ => continue,
        };
        let path = line["path"].as_str().unwrap().replace(&folder, "");
        let object = line["object"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        done.push(format!("{act} {path} {} of {object} {}", line["bytes"], line["because"]));
    }
    let replaced = if dry { "would replace foreign file (ADOPT)" } else { "foreign file replaced (ADOPT)" };
    assert_eq!(count(&projector.output(), replaced), 1, "{}", projector.output());
    (done, if dry { said(&projector, "would tell the application").len() } else { bench.web.count("/reload") })
}

#[test]
fn what_is_said_of_a_history_is_what_is_done_in_it() {
    let (real, dry) = (Bench::new(), Bench::new());
    let (done, said) = (history(&real, false), history(&dry, true));
    assert_eq!(done, said);
    assert_eq!(done.0.len(), 10, "{done:?}");
    real.setup.holds(&tree! { "sub/s" => "secret" });
    dry.setup.holds(&tree! { "foreign" => "theirs" });
    assert_eq!((dry.web.requests().len(), dry.web.connections()), (0, 0));
}

#[test]
fn health_metrics_and_the_status_page_say_it_first() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let address = format!("127.0.0.1:{}", projector::free_port());
    let projector = started(&setup.projector().env("DRY_RUN", "true").env("STATUS_ADDR", &address));
    for path in ["/healthz", "/readyz"] {
        let answer = http::Client::http("127.0.0.1", projector.port()).try_send("GET", path, &[], &[]).unwrap();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 && body.starts_with("{\"dry_run\":true,"), "{path}: {body}");
    }
    let metrics = http::Client::http("127.0.0.1", projector.port()).try_send("GET", "/metrics", &[], &[]).unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.lines().any(|line| line == "projector_dry_run 1"), "{metrics}");
    assert!(metrics.lines().any(|line| line == "projector_file_writes_total 1"), "{metrics}");
    let status = Projector::builder().arg("status").env("STATUS_ADDR", &address).run();
    let first = status.stdout.lines().next().unwrap_or_default();
    assert!(first.starts_with("A dry run: nothing is changed, and nobody is told."), "{status:?}");
    let (host, port) = address.split_once(':').unwrap();
    let document = http::Client::http(host, port.parse().unwrap()).try_send("GET", "/status", &[], &[]).unwrap();
    assert!(document.body.starts_with(b"{\"dry_run\":true,"), "{}", String::from_utf8_lossy(&document.body));
    let first = projector.output().lines().next().unwrap_or_default().to_owned();
    assert!(first.contains("a dry run: nothing is changed, and nobody is told"), "{first}");
    // And where it is none, none of them says so.
    let projector = setup.start();
    let metrics = http::Client::http("127.0.0.1", projector.port()).try_send("GET", "/metrics", &[], &[]).unwrap();
    assert!(String::from_utf8_lossy(&metrics.body).contains("projector_dry_run 0"));
    assert_eq!(projector.health().1.get("dry_run"), None);
}

#[test]
fn a_command_behind_two_dashes_is_refused_by_name() {
    let setup = Setup::in_process();
    let ended = setup.projector().env("DRY_RUN", "true").args(&["--", "nginx", "-g", "secret"]).run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("DRY_RUN: true runs nothing, and the command behind -- would be run (nginx)"), "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn one_list_says_what_it_would_do_and_ends() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.foreign("theirs", "1");
    let before = standing(&setup.folder());
    let ended = setup.projector().env("DRY_RUN", "true").env("METHOD", "LIST").run();
    assert_eq!(
        (ended.code, count(&ended.stderr, "would write file"), count(&ended.stderr, "would be in sync")),
        (Some(0), 1, 1),
        "{ended:?}"
    );
    assert_eq!(standing(&setup.folder()), before);
}

#[test]
fn a_run_beside_one_that_works_tells_what_it_would_do_in_its_place() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut working = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    let dry = started(&setup.projector().env("DRY_RUN", "true").env("LOG_FORMAT", "json").env("DEFAULT_FILE_MODE", "600"));
    dry.wait_output("another instance holds the ledger: what is said is what would be done in its place");
    wait_said(&dry, "would write file", &["a"]);
    setup.cluster.configmap("b", &[("b", "1")]).create();
    wait_said(&dry, "would write file", &["a", "b"]);
    setup.settles_at(&tree! { "a" => "1", "b" => "1" });
    assert_eq!(mode(&setup.path("a")), 0o644);
    assert!(working.is_running());
}

#[test]
fn release_check_and_plan_change_nothing_either() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    projector.terminate();
    let (before, asked) = (standing(&setup.folder()), setup.cluster.server().requests().len());
    let dry = setup.projector().env("DRY_RUN", "true");
    let release = dry.clone().arg("release").run();
    assert_eq!(release.code, Some(1), "whoever waits for it must not go on: {release:?}");
    assert!(release.stdout.contains("1 of 1 objects would be released") && release.stdout.contains("DRY_RUN=true: nothing was released"));
    assert_eq!(dry.clone().args(&["release", "--dry-run"]).run().code, Some(0));
    let check = dry.clone().env("REQ_URL", "http://127.0.0.1:1/").arg("check").run();
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stdout.contains("DRY_RUN: nothing is changed") && check.stdout.contains("could be written"), "{check:?}");
    assert_eq!(dry.clone().arg("plan").run().code, Some(0));
    assert_eq!(standing(&setup.folder()), before);
    let requests = setup.cluster.server().requests();
    assert!(requests[asked..].iter().all(|request| request.method == "GET" || request.verb == Verb::Review), "{requests:?}");
    setup.has_finalizers("configmaps", "a", &[OURS]);
}
