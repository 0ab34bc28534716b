//! Dovecot: HUP, or `doveadm reload`, which reads the configuration first and says what is wrong with it.

use rustix::process::Signal;

use super::load::{Talk, version_in};
use super::place::Place;
use super::process::Daemon;
use super::{Files, Program, Told, many_edits};
use crate::support::projector::free_port;

struct Dovecot {
    port: u16,
    main: String,
    home: String,
}

impl Dovecot {
    fn new(place: &Place) -> Self {
        Self { port: free_port(), main: place.file("dovecot.conf"), home: place.shown("") }
    }

    /// `shutdown_clients`: who has just connected outlives a reload.
    fn configuration(&self, greeting: &str, more: &str) -> Files {
        let (home, port) = (self.home.trim_end_matches('/'), self.port);
        let text = format!(
            "base_dir = {home}/run\nstate_dir = {home}/state\nlog_path = /dev/stderr\nprotocols = imap\nlisten = 127.0.0.1\nssl = no\n\
             shutdown_clients = no\nlogin_greeting = {greeting}\n{more}\
             passdb {{\n  driver = static\n  args = nopassword=y\n}}\n\
             userdb {{\n  driver = static\n  args = uid=dovecot gid=dovecot home={home}/mail\n}}\n\
             service imap-login {{\n  inet_listener imap {{\n    port = {port}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n"
        );
        vec![("dovecot.conf", text)]
    }

    fn script(&self, place: &Place) -> String {
        place.script(&format!("doveadm -c {} reload", self.main))
    }
}

impl Program for Dovecot {
    fn name(&self) -> &'static str {
        "Dovecot"
    }

    fn command(&self) -> Vec<String> {
        ["dovecot", "-F", "-c", &self.main].map(str::to_owned).to_vec()
    }

    fn files(&self, version: usize) -> Files {
        self.configuration(&format!("version-{version};"), "")
    }

    fn broken(&self) -> Files {
        self.configuration("version-0;", "mail_lokation = maildir:~\n")
    }

    fn complaint(&self) -> Vec<String> {
        ["files/dovecot.conf line 9", "Unknown setting: mail_lokation"].map(str::to_owned).to_vec()
    }

    fn version(&self) -> Result<usize, String> {
        let mut talk = Talk::open(self.port)?;
        let greeting = talk.hear(Some("\r\n"))?;
        let version = version_in(&greeting).ok_or_else(|| format!("greeted with {greeting:?}"))?;
        talk.say("a LOGOUT\r\n")?;
        let farewell = talk.hear(None)?;
        if farewell.contains("a OK") { Ok(version) } else { Err(format!("took leave with {farewell:?}")) }
    }

    fn tell(&self, daemon: &Daemon) {
        daemon.signal(Signal::HUP);
    }
}

#[test]
#[ignore = "needs Dovecot: the stage programs of .ci/run"]
fn as_a_child() {
    let place = Place::new();
    Told::child(&Dovecot::new(&place), &place, &[]).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs Dovecot: the stage programs of .ci/run"]
fn by_a_signal() {
    let place = Place::new();
    let settings = [("SIGNAL_PIDFILE", &*place.shown("run/master.pid"))];
    Told::beside(&Dovecot::new(&place), &place, &settings).lives_through_a_mistake(&[]);
}

#[test]
#[ignore = "needs Dovecot: the stage programs of .ci/run"]
fn by_a_script() {
    let place = Place::new();
    let dovecot = Dovecot::new(&place);
    let script = dovecot.script(&place);
    Told::beside(&dovecot, &place, &[("SCRIPT", &script)]).lives_through_a_mistake(&[&script, "exit status: 89"]);
}

#[test]
#[ignore = "needs Dovecot: the stage programs of .ci/run"]
fn many_edits_by_a_script_cost_no_request() {
    let place = Place::new();
    let dovecot = Dovecot::new(&place);
    let script = dovecot.script(&place);
    many_edits(Told::beside(&dovecot, &place, &[("SCRIPT", &script)]), "by a script");
}
