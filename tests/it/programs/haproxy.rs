//! HAProxy: USR2 to its master, which is deaf while it loads, or `reload` at the master's socket, which waits.

use rustix::process::Signal;

use super::load::http_version;
use super::place::Place;
use super::process::Daemon;
use super::{Files, Program, Told, many_edits};
use crate::support::projector::free_port;

struct Haproxy {
    port: u16,
    main: String,
    pid: String,
    socket: String,
}

impl Haproxy {
    fn new(place: &Place) -> Self {
        Self { port: free_port(), main: place.file("haproxy.cfg"), pid: place.shown("haproxy.pid"), socket: place.shown("master.sock") }
    }

    fn configuration(&self, rule: &str) -> Files {
        let port = self.port;
        let text = format!(
            "global\n  hard-stop-after 30s\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             frontend front\n  bind 127.0.0.1:{port}\n  {rule}\n"
        );
        vec![("haproxy.cfg", text)]
    }

    fn script(&self, place: &Place) -> String {
        place.script(&format!("haproxy -c -f {}\necho reload | socat stdio UNIX-CONNECT:{}", self.main, self.socket))
    }
}

impl Program for Haproxy {
    fn name(&self) -> &'static str {
        "HAProxy"
    }

    fn command(&self) -> Vec<String> {
        ["haproxy", "-W", "-f", &self.main, "-p", &self.pid, "-S", &self.socket].map(str::to_owned).to_vec()
    }

    fn files(&self, version: usize) -> Files {
        self.configuration(&format!("http-request return status 200 content-type text/plain string \"version-{version};\""))
    }

    fn broken(&self) -> Files {
        self.configuration("htpp-request return status 200")
    }

    fn complaint(&self) -> Vec<String> {
        ["parsing [", "files/haproxy.cfg:10]", "unknown keyword 'htpp-request'"].map(str::to_owned).to_vec()
    }

    fn version(&self) -> Result<usize, String> {
        http_version(self.port, "/")
    }

    fn tell(&self, daemon: &Daemon) {
        daemon.signal(Signal::USR2);
    }
}

#[test]
#[ignore = "needs HAProxy: the stage programs of .ci/run"]
fn as_a_child() {
    let place = Place::new();
    Told::child(&Haproxy::new(&place), &place, &[("RELOAD_SIGNAL", "USR2")]).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs HAProxy: the stage programs of .ci/run"]
fn by_a_signal() {
    let place = Place::new();
    let haproxy = Haproxy::new(&place);
    Told::beside(&haproxy, &place, &[("SIGNAL_PIDFILE", &haproxy.pid), ("SIGNAL", "USR2")]).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs HAProxy and socat: the stage programs of .ci/run"]
fn by_a_script() {
    let place = Place::new();
    let haproxy = Haproxy::new(&place);
    let script = haproxy.script(&place);
    Told::beside(&haproxy, &place, &[("SCRIPT", &script)]).lives_through_a_mistake(&[&script, "exit status: 1"]);
}

#[test]
#[ignore = "needs HAProxy: the stage programs of .ci/run"]
fn many_edits_by_a_signal_cost_no_request() {
    let place = Place::new();
    let haproxy = Haproxy::new(&place);
    let settings = [("SIGNAL_PIDFILE", &*haproxy.pid), ("SIGNAL", "USR2")];
    many_edits(Told::beside(&haproxy, &place, &settings), "by a signal");
}
