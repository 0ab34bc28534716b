//! nginx: HUP, which it does not answer.

use rustix::process::Signal;

use super::load::http_version;
use super::place::Place;
use super::process::Daemon;
use super::{Files, Program, Told, many_edits};
use crate::support::projector::free_port;

struct Nginx {
    port: u16,
    main: String,
}

impl Nginx {
    fn new(place: &Place) -> Self {
        let (pid, included, scratch) = (place.shown("nginx.pid"), place.file("*.conf"), place.shown("scratch"));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {scratch}-{name}; "))
            .collect();
        let main = format!(
            "user root; worker_processes 2; pid {pid}; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {temporary}\n  include {included};\n}}\n"
        );
        place.keep("nginx.conf", &main);
        Self { port: free_port(), main: place.shown("nginx.conf") }
    }

    fn script(&self, place: &Place) -> String {
        place.script(&format!("nginx -e stderr -t -c {main}\nnginx -e stderr -c {main} -s reload", main = self.main))
    }
}

impl Program for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn command(&self) -> Vec<String> {
        ["nginx", "-e", "stderr", "-c", &self.main, "-g", "daemon off;"].map(str::to_owned).to_vec()
    }

    fn files(&self, version: usize) -> Files {
        let server =
            format!("server {{\n  listen 127.0.0.1:{};\n  location / {{ return 200 \"version-{version};\\n\"; }}\n}}\n", self.port);
        vec![("server.conf", server)]
    }

    fn broken(&self) -> Files {
        vec![("server.conf", format!("server {{\n  listen 127.0.0.1:{};\n  lokation / {{}}\n}}\n", self.port))]
    }

    fn complaint(&self) -> Vec<String> {
        ["[emerg]", "unknown directive", "lokation", "files/server.conf:3"].map(str::to_owned).to_vec()
    }

    fn version(&self) -> Result<usize, String> {
        http_version(self.port, "/")
    }

    fn tell(&self, daemon: &Daemon) {
        daemon.signal(Signal::HUP);
    }
}

#[test]
#[ignore = "needs nginx: the stage programs of .ci/run"]
fn as_a_child() {
    let place = Place::new();
    Told::child(&Nginx::new(&place), &place, &[]).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs nginx: the stage programs of .ci/run"]
fn by_a_signal() {
    let place = Place::new();
    let settings = [("SIGNAL_PIDFILE", &*place.shown("nginx.pid"))];
    Told::beside(&Nginx::new(&place), &place, &settings).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs nginx: the stage programs of .ci/run"]
fn by_a_script() {
    let place = Place::new();
    let nginx = Nginx::new(&place);
    let script = nginx.script(&place);
    Told::beside(&nginx, &place, &[("SCRIPT", &script)]).lives_through_a_mistake(&[&script, "exit status: 1"]);
}

#[test]
#[ignore = "needs nginx: the stage programs of .ci/run"]
fn many_edits_as_a_child_cost_no_request() {
    let place = Place::new();
    many_edits(Told::child(&Nginx::new(&place), &place, &[]), "as a child");
}
