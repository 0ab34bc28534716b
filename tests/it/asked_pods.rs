//! REQ_URL with `{pod}` as its host: every pod of EXEC_LABELS is asked at its own address. Pods are web servers of this machine, each at
//! an address of its own and all on one port, so in-process only.

use std::cell::RefCell;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::common::{Setup, count, put, started};
use crate::support::projector::Builder;
use crate::support::*;

/// What a role for files has, and then for pods.
const FILES: [(&str, &str, &[&str]); 2] = [("", "configmaps", &["get", "list", "watch"]), ("", "secrets", &["get", "list", "watch"])];

/// Three replicas, and a projector that asks them.
struct Bench {
    setup: Setup,
    replicas: [WebServer; 3],
    edits: RefCell<usize>,
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

impl Bench {
    /// All of them ready, and fine with everything.
    fn new() -> Self {
        let bench = Self::of([1, 2, 3], WebServer::start_at);
        for (name, last) in [("a", 1), ("b", 2), ("c", 3)] {
            bench.pod(name, &status(&address(last).to_string())).create();
        }
        bench
    }

    /// Servers at these addresses, and no pod.
    fn of(at: [u8; 3], start: fn(IpAddr, u16) -> WebServer) -> Self {
        let first = start(address(at[0]), 0);
        let port = first.port();
        let replicas = [first, start(address(at[1]), port), start(address(at[2]), port)];
        let bench = Self { setup: Setup::in_process(), replicas, edits: RefCell::new(0) };
        bench.all_answer(&Answer::ok(""));
        bench
    }

    fn all_answer(&self, answer: &Answer) {
        for replica in &self.replicas {
            replica.on("/reload", answer.clone());
        }
    }

    fn pod(&self, name: &str, status: &Value) -> cluster::PodDraft<'_> {
        self.setup.cluster.pod(name).label("app", "web").status(status.clone())
    }

    fn url(&self) -> String {
        format!("http://{{pod}}:{}/reload", self.replicas[0].port())
    }

    fn projector(&self) -> Builder {
        let builder = self.setup.projector().env("FINALIZERS", "false").env("REQ_URL", &self.url()).env("REQ_METHOD", "POST");
        let builder = builder.env("EXEC_LABELS", "app=web").env("EXEC_NAMESPACE", self.setup.cluster.namespace());
        builder.env("REQ_RETRY_BACKOFF_FACTOR", "0.02").env("LOG_LEVEL", "debug")
    }

    /// Another state of the one file.
    fn change(&self) {
        *self.edits.borrow_mut() += 1;
        let value = self.edits.borrow().to_string();
        match self.setup.cluster.get("configmaps", "a") {
            None => self.setup.cluster.configmap("a", &[("a", &value)]).create(),
            Some(_) => self.setup.cluster.set_data("a", &[("a", &value)]),
        };
        self.setup.holds(&tree! { "a" => value.as_str() });
    }

    /// How often each of them was asked.
    fn asked(&self) -> [usize; 3] {
        self.replicas.each_ref().map(|replica| replica.count("/reload"))
    }

    /// Waits until the application has been told so often, and each replica was asked so often by then.
    fn told(&self, projector: &Projector, times: usize, asked: [usize; 3]) {
        wait_until(&format!("{times} times told"), DEADLINE, || {
            let output = projector.output();
            if count(&output, "told the application") == times { Ok(()) } else { Err(output) }
        });
        assert_eq!(self.asked(), asked, "{}", projector.output());
    }
}

/// Of a pod that is ready at this address.
fn status(address: &str) -> Value {
    json!({"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]})
}

/// Of a pod that runs and is not ready.
fn unready() -> Value {
    json!({"phase": "Running", "podIP": "127.0.0.2", "conditions": [{"type": "Ready", "status": "False"}]})
}

/// The rights in a role that is shipped.
fn shipped(file: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(format!("{}/rbac/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let role: Value = serde_saphyr::from_str(text.split("\n---\n").next().unwrap()).unwrap();
    let words = |rule: &Value, field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap() };
    let rules = role["rules"].as_array().unwrap().iter();
    let rights = rules.flat_map(|rule| {
        assert_eq!(words(rule, "apiGroups"), [""]);
        words(rule, "resources").into_iter().flat_map(|resource| words(rule, "verbs").into_iter().map(move |verb| (verb, resource.clone())))
    });
    rights.collect()
}

#[test]
fn acceptance_4_each_replica_is_told_once_though_one_answers_500_at_first_and_list_of_pods_is_right_enough() {
    let bench = Bench::new();
    bench.replicas[1].on_each("/reload", vec![Answer::status(500), Answer::ok("")]);
    assert_eq!(shipped("pods.yaml"), [("list".to_owned(), "pods".to_owned())]);
    let account = bench.setup.cluster.restricted(&[FILES[0], FILES[1], ("", "pods", &["list"])]);
    let builder = bench.projector().kubeconfig(&account.kubeconfig);
    let check = builder.clone().arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    assert!(check.stdout.contains("REQ_URL: 3 pods to ask now, by app=web in ") && bench.asked() == [0; 3], "{}", check.stdout);
    let projector = started(&builder);
    bench.change();
    bench.told(&projector, 1, [1, 2, 1]);
    let output = projector.output();
    assert!(output.contains("the pod was not told") && output.contains("answered 500 Internal Server Error"), "{output}");
    bench.change();
    bench.told(&projector, 2, [2, 3, 2]);
    let asked = bench.replicas[2].requests_to("/reload").remove(0);
    assert_eq!((asked.method.as_str(), asked.header("host")), ("POST", Some(format!("127.0.0.3:{}", bench.replicas[0].port()).as_str())));
    let of_pods: Vec<_> = bench.setup.cluster.server().requests().into_iter().filter(|request| request.resource == "pods").collect();
    assert!(!of_pods.is_empty() && of_pods.iter().all(|request| request.status == 200), "{of_pods:?}");
}

#[test]
fn pods_that_are_none_of_them_are_not_asked() {
    let bench = Bench::of([1, 2, 3], WebServer::start_at);
    bench.pod("a", &status("127.0.0.1")).create();
    bench.pod("not-ready", &unready()).create();
    bench.pod("terminating", &status("127.0.0.2")).finalizer("rig.dev/hold").create();
    bench.setup.cluster.delete("pods", "terminating");
    bench.setup.cluster.pod("other").label("app", "other").status(status("127.0.0.2")).create();
    // What listens at a node's address need not be the pod's.
    bench.pod("in-node", &status("127.0.0.3")).spec("hostNetwork", json!(true)).create();
    let projector = started(&bench.projector());
    bench.change();
    bench.told(&projector, 1, [1, 0, 0]);
    bench.change();
    bench.told(&projector, 2, [2, 0, 0]);
    assert_eq!(count(&projector.output(), "pods without an address of their own (hostNetwork) are not asked"), 1);
    bench.setup.cluster.set_status("a", &unready());
    bench.change();
    bench.told(&projector, 3, [2, 0, 0]);
    projector.wait_output("there is no pod to ask");
    bench.setup.cluster.set_status("a", &status("127.0.0.1"));
    bench.change();
    bench.told(&projector, 4, [3, 0, 0]);
}

#[test]
fn a_pod_that_goes_while_it_does_not_answer_is_no_failure_any_more() {
    let bench = Bench::new();
    bench.replicas[2].on("/reload", Answer::status(404));
    let projector = started(&bench.projector());
    bench.change();
    wait_for("another attempt", DEADLINE, || bench.asked()[2] >= 2);
    assert_eq!(bench.asked()[..2], [1, 1]);
    bench.setup.cluster.delete("pods", "c");
    projector.wait_output("told the application");
    assert_eq!(bench.asked()[..2], [1, 1]);
}

#[test]
fn no_redirect_is_followed_and_no_proxy_is_asked() {
    let bench = Bench::new();
    let proxy = WebServer::start();
    bench.replicas[0].on("/reload", Answer::redirect(&bench.replicas[1].url("/elsewhere")));
    bench.replicas[1].on("/elsewhere", Answer::ok(""));
    let builder = bench.projector().env("HTTP_PROXY", &proxy.origin()).env("http_proxy", &proxy.origin());
    // The way to the API server is none of this.
    let projector = started(&builder.env("NO_PROXY", "localhost"));
    bench.change();
    projector.wait_output("the application was not told, trying again later");
    assert_eq!((bench.asked(), bench.replicas[1].count("/elsewhere"), proxy.connections()), ([1, 1, 1], 0, 0));
    assert!(projector.output().contains("answered 302 Found"));
    bench.replicas[0].on("/reload", Answer::ok(""));
    bench.change();
    bench.told(&projector, 1, [2, 2, 2]);
}

#[test]
fn an_address_of_ipv6_stands_in_brackets() {
    let bench = Bench::of([1, 2, 3], WebServer::start_at);
    let replica = WebServer::start_at("::1".parse().unwrap(), bench.replicas[0].port());
    replica.on("/reload", Answer::ok(""));
    bench.pod("a", &status("::1")).create();
    let projector = started(&bench.projector());
    bench.change();
    bench.told(&projector, 1, [0, 0, 0]);
    assert_eq!(replica.requests_to("/reload")[0].header("host"), Some(format!("[::1]:{}", replica.port()).as_str()));
}

#[test]
fn the_certificate_is_checked_against_req_server_name() {
    // It is for 127.0.0.1 and localhost.
    let bench = Bench::of([2, 3, 4], WebServer::start_tls_at);
    bench.pod("a", &status("127.0.0.2")).create();
    let bundle = bench.replicas[0].authority_file().display().to_string();
    let builder = bench.projector().env("REQ_URL", &bench.url().replace("http:", "https:")).env("REQUESTS_CA_BUNDLE", &bundle);
    let unnamed = builder.clone().run();
    assert_eq!((unnamed.code, count(&unnamed.stderr, "REQ_SERVER_NAME: with https://{pod}")), (Some(2), 1), "{}", unnamed.stderr);
    let mut projector = started(&builder.clone().env("REQ_SERVER_NAME", "other.example").env("REQ_RETRY_CONNECT", "1"));
    bench.change();
    projector.wait_output("not every pod was told, trying again later");
    assert!(projector.output().contains("certificate"), "{}", projector.output());
    projector.terminate();
    assert_eq!(bench.asked(), [0; 3]);
    let projector = started(&builder.env("REQ_SERVER_NAME", "LocalHost"));
    bench.told(&projector, 1, [1, 0, 0]);
    let asked = bench.replicas[0].requests_to("/reload").remove(0);
    assert_eq!(asked.header("host"), Some(format!("localhost:{}", bench.replicas[0].port()).as_str()));
}

#[test]
fn as_many_pods_as_allowed_are_asked_at_the_same_time() {
    for allowed in [1, 2] {
        let bench = Bench::new();
        bench.all_answer(&Answer::hang());
        let projector = started(&bench.projector().env("EXEC_CONCURRENCY", &allowed.to_string()));
        bench.change();
        let asked = || bench.asked().iter().sum::<usize>();
        wait_for("as many requests", DEADLINE, || asked() >= allowed);
        // What should not be asked yet would have been by now.
        bench.setup.caught_up();
        assert_eq!(asked(), allowed);
        bench.all_answer(&Answer::ok(""));
        bench.replicas.iter().for_each(WebServer::drop_connections);
        projector.wait_output("told the application");
    }
}

#[test]
fn what_says_who_we_are_goes_to_the_pods_and_to_nobody_else() {
    let bench = Bench::new();
    let stranger = WebServer::start();
    stranger.on("/f", Answer::ok("1"));
    bench.setup.cluster.configmap("far", &[("f.url", &stranger.url("/f"))]).create();
    let token = bench.setup.beside("token");
    put(&token, "canary-token\n");
    let builder = bench.projector().env("REQ_TOKEN_FILE", &token.display().to_string()).env("URL_KEYS", "true");
    let projector = started(&builder.env("REQ_HEADERS", "X-Canary: canary-header"));
    wait_for("each pod to be told", DEADLINE, || bench.asked().iter().all(|asked| *asked > 0));
    stranger.wait_for("/f", 1);
    let carried = |request: &Received| ["authorization", "x-canary"].map(|name| request.header(name).map(str::to_owned));
    for replica in &bench.replicas {
        assert_eq!(carried(&replica.requests_to("/reload")[0]), ["Bearer canary-token", "canary-header"].map(|text| Some(text.to_owned())));
    }
    assert_eq!(carried(&stranger.requests_to("/f")[0]), [None, None]);
    projector.assert_no_leak(&["canary-token", "canary-header"]);
}

#[test]
fn r10_a_pod_that_refuses_who_we_are_is_spared_while_the_others_are_told_and_asked_at_once_with_another_token() {
    let bench = Bench::new();
    bench.replicas[0].on("/reload", Answer::status(401));
    let token = bench.setup.beside("token");
    put(&token, "one\n");
    let builder = bench.projector().env("REQ_TOKEN_FILE", &token.display().to_string());
    let mut projector = started(&builder);
    let edit = |times: usize| {
        bench.change();
        wait_for("the others to be told", DEADLINE, || bench.asked()[1..].iter().all(|asked| *asked >= times));
    };
    (1..=4).for_each(edit);
    assert_eq!(bench.asked()[0], 1);
    bench.setup.caught_up();
    projector.wait_output("in 1 of 3 pods, a: ");
    // It is owed through a restart, and so is the care for who refused us.
    projector.terminate();
    let projector = started(&builder);
    (5..=8).for_each(edit);
    bench.setup.caught_up();
    let before = bench.asked()[0];
    assert!(before <= 2, "{before}");
    bench.all_answer(&Answer::ok(""));
    put(&token, "two\n");
    projector.wait_output("told the application");
    // The files that showed us to have caught up are told of with the rest, or after it.
    let asked = bench.asked()[0] - before;
    assert!((1..=2).contains(&asked), "{asked}");
}

#[test]
fn without_the_right_to_list_pods_that_is_said_and_it_recovers() {
    let bench = Bench::new();
    let account = bench.setup.cluster.restricted(&FILES);
    let builder = bench.projector().kubeconfig(&account.kubeconfig).env("REQ_RETRY_TOTAL", "1");
    let namespace = bench.setup.cluster.namespace();
    let check = builder.clone().arg("check").run();
    let denied = format!("PROBLEM  RBAC: may not list pods in {namespace} (see rbac/)");
    assert!(check.code == Some(1) && check.stdout.contains(&denied), "{}", check.stdout);
    let projector = started(&builder);
    bench.change();
    projector.wait_output(&format!("not permitted: list pods in namespace {namespace} (see rbac/pods.yaml)"));
    projector.wait_output("not every pod was told, trying again later");
    bench.setup.cluster.grant(&account, &[FILES[0], FILES[1], ("", "pods", &["list"])]);
    bench.change();
    bench.told(&projector, 1, [1, 1, 1]);
}

#[test]
fn an_answer_that_is_final_by_enable_5xx_is_not_asked_for_again_until_something_is_new() {
    let bench = Bench::new();
    bench.replicas[0].on("/reload", Answer::status(503));
    bench.replicas[1].on_each("/reload", vec![Answer::status(429), Answer::ok("")]);
    let projector = started(&bench.projector().env("ENABLE_5XX", "true"));
    bench.change();
    projector.wait_output("the application was not told");
    wait_for("the second attempt", DEADLINE, || bench.asked() == [1, 2, 1]);
    bench.replicas[0].on("/reload", Answer::ok(""));
    bench.change();
    bench.told(&projector, 1, [2, 3, 2]);
}
