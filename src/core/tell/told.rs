//! What pods and Secrets were when they were last told of: the form in which that outlives us.
//!
//! One checksummed record a line, as in the ledger: of a pod its uid, its address and since when it is ready; of a Secret its uid and
//! its resourceVersion. No digest and nothing of a Secret's data, so that nobody learns from it what a value is or whether two are
//! equal. What cannot be read was not told: one time too many is better than one too few.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::object::pod::{PodState, Ready};
use crate::core::object::uid::uid_text;
use crate::core::object::{Kind, Object, ObjectKey};
use crate::core::record::{line, record};

/// The version of the form.
const VERSION: u32 = 1;

/// One state of an object. Equal for two between which nobody has to be told of anything; of a Secret two may differ although its
/// data do not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ToldState(Vec<String>);

impl ToldState {
    /// The state of a Secret.
    pub(crate) fn of(object: &Object) -> Self {
        Self(vec![uid_text(object.uid), object.resource_version.to_string()])
    }

    /// The state of a pod; nothing for one of which nobody is ever told: one that is not ready, or terminates.
    pub(crate) fn of_pod(pod: &PodState) -> Option<Self> {
        let Ready { address, since } = pod.ready.clone()?;
        Some(Self(vec![uid_text(pod.uid), since, address]))
    }

    /// All of it as one text.
    pub(crate) fn text(&self) -> String {
        self.0.join("\n")
    }
}

/// The first line.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    version: u32,
    /// Who is told, by what.
    of: String,
}

/// Every other line: kind, namespace, name, state.
#[derive(Serialize, Deserialize)]
struct Line(String, String, String, ToldState);

/// What was told, to whom.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Told {
    of: String,
    states: BTreeMap<ObjectKey, ToldState>,
}

impl Told {
    /// Nothing was told yet. `of` stands for who is told, and by what.
    pub(crate) const fn nothing(of: String) -> Self {
        Self { of, states: BTreeMap::new() }
    }

    /// What was told, as [`Self::lines`] wrote it. Nothing, if it was somebody else who was told.
    pub(crate) fn read(bytes: &[u8], of: String) -> Self {
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let header: Option<Header> = lines.next().and_then(record);
        let mut told = Self::nothing(of);
        if header != Some(Header { version: VERSION, of: told.of.clone() }) {
            return told;
        }
        let states = lines.filter_map(record).filter_map(|Line(kind, namespace, name, state)| {
            let kind = [Kind::Pod, Kind::Secret].into_iter().find(|known| known.as_str() == kind)?;
            Some((ObjectKey::new(kind, namespace, name), state))
        });
        told.states.extend(states);
        told
    }

    /// All of it.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut bytes = line(&Header { version: VERSION, of: self.of.clone() });
        for (ObjectKey { kind, namespace, name }, state) in &self.states {
            bytes.extend(line(&Line(kind.as_str().to_owned(), (**namespace).to_owned(), (**name).to_owned(), state.clone())));
        }
        bytes
    }

    /// The state of an object that was told last.
    pub(crate) fn state(&self, key: &ObjectKey) -> Option<&ToldState> {
        self.states.get(key)
    }

    /// Notes that this state was told. Whether that is news.
    pub(crate) fn note(&mut self, key: &ObjectKey, state: ToldState) -> bool {
        let is_news = self.states.get(key) != Some(&state);
        if is_news {
            self.states.insert(key.clone(), state);
        }
        is_news
    }

    /// Forgets an object: when it comes back it is to be told. Whether it was known.
    pub(crate) fn forget(&mut self, key: &ObjectKey) -> bool {
        self.states.remove(key).is_some()
    }

    /// Forgets all but some. Whether any other was known.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&ObjectKey) -> bool) -> bool {
        let before = self.states.len();
        self.states.retain(|key, _| is_kept(key));
        self.states.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::Datum;

    fn key(kind: Kind) -> ObjectKey {
        ObjectKey::new(kind, "mail", "a")
    }

    fn secret() -> Object {
        Object { uid: 7, resource_version: 5, ..Object::new(key(Kind::Secret), vec![Datum::text("k", "canary")]) }
    }

    fn pod(uid: u128, address: &str, since: &str) -> ToldState {
        let ready = Some(Ready { address: address.to_owned(), since: since.to_owned() });
        ToldState::of_pod(&PodState { key: key(Kind::Pod), uid, ready }).unwrap()
    }

    fn told() -> Told {
        let mut told = Told::nothing("us".to_owned());
        for (kind, state) in [(Kind::Pod, pod(7, "10.0.0.1", "now")), (Kind::Secret, ToldState::of(&secret()))] {
            assert!(told.note(&key(kind), state.clone()));
            assert!(!told.note(&key(kind), state), "the same again");
        }
        told
    }

    #[test]
    fn r15_it_goes_there_and_back_and_holds_nothing_of_a_secret() {
        let bytes = told().lines();
        assert_eq!(Told::read(&bytes, "us".to_owned()), told());
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        let uid = uid_text(7);
        let expected = [
            r#"{"version":1,"of":"us"}"#.to_owned(),
            format!(r#"["Secret","mail","a",["{uid}","5"]]"#),
            format!(r#"["Pod","mail","a",["{uid}","now","10.0.0.1"]]"#),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn r15_what_is_torn_of_somebody_else_or_of_a_later_version_was_not_told() {
        let bytes = told().lines();
        assert_eq!(Told::read(&bytes, "others".to_owned()), Told::nothing("others".to_owned()));
        assert_eq!(Told::read(b"garbage", "us".to_owned()), Told::nothing("us".to_owned()));
        let later = [line(&Header { version: 2, of: "us".to_owned() }), line(&"x")].concat();
        assert_eq!(Told::read(&later, "us".to_owned()), Told::nothing("us".to_owned()));
        let torn = Told::read(bytes.get(..bytes.len() - 3).unwrap(), "us".to_owned());
        assert_eq!((torn.state(&key(Kind::Pod)).is_some(), torn.state(&key(Kind::Secret)).is_some()), (false, true));
    }

    #[test]
    fn r15_states_differ_where_somebody_has_to_be_told() {
        let states = [
            pod(7, "10.0.0.1", "now"),
            pod(7, "10.0.0.2", "now"),
            pod(7, "10.0.0.1", "later"),
            pod(8, "10.0.0.1", "now"),
            ToldState::of(&secret()),
            ToldState::of(&Object { resource_version: 6, ..secret() }),
            ToldState::of(&Object { uid: 8, ..secret() }),
        ];
        for (at, state) in states.iter().enumerate() {
            assert_eq!(states.iter().position(|other| other == state), Some(at));
        }
        assert_eq!(ToldState::of_pod(&PodState { key: key(Kind::Pod), uid: 7, ready: None }), None, "not ready");
    }
}
