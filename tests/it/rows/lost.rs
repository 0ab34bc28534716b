//! R11: a peer that is gone without a word, in a network namespace of the test's own.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Child, Command};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::mount::command;
use crate::common::{Setup, started};
use crate::support::{Answer, DEADLINE, WebServer, wait_for};

/// A network of nobody else: this thread's, and that of all threads and processes that it starts.
struct Network(Child);

impl Network {
    fn enter() -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().expect("these tests need unshare");
        let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let ours = link(std::process::id());
        wait_for("a network", DEADLINE, || link(holder.id()).is_some_and(|theirs| Some(theirs) != ours));
        let file = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("these tests need root");
        command(&["busybox", "ip", "link", "set", "lo", "up"]);
        Self(holder)
    }
}

/// While it is there, whatever is sent to this port goes nowhere.
struct Silence(u16);

impl Silence {
    fn at(port: u16) -> Self {
        Self::act("--append", port);
        Self(port)
    }

    fn act(act: &str, port: u16) {
        command(&["iptables", act, "INPUT", "--protocol", "tcp", "--dport", &port.to_string(), "--jump", "DROP"]);
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        Self::act("--delete", self.0);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.0.kill().expect("it sleeps");
        self.0.wait().expect("it was killed");
    }
}

#[test]
fn r11_a_peer_that_is_gone_is_a_broken_connection_and_asked_again_long_before_a_slow_one_would_be() {
    let _network = Network::enter();
    let (setup, web) = (Setup::in_process(), WebServer::start());
    web.on("/reload", Answer::hang());
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = setup.projector().env("REQ_URL", &web.url("/reload")).env("REQ_METHOD", "POST");
    // An hour for a living one that works. Nothing but the end of the connection can bring another request.
    let projector = started(&builder.env("REQ_ANSWER_TIMEOUT", "3600").env("REQ_TIMEOUT", "2"));
    web.wait_for("/reload", 1);
    let silence = Silence::at(web.port());
    projector.wait_output("Connection timed out");
    web.on("/reload", Answer::ok(""));
    drop(silence);
    projector.wait_output("told the application");
    assert_eq!(web.count("/reload"), 2, "{}", projector.output());
}
