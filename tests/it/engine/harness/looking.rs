//! What the folder must hold, what it holds, and whether that is right.

use std::collections::{BTreeMap, BTreeSet};

use kube_projector::core::files::ledger;
use kube_projector::core::object::ObjectKey;
use kube_projector::core::path::{Roots, TargetPath};
use kube_projector::engine::Engine;

use super::{FILE_MODE, World, show};
use crate::engine::model::{ABSENT, BROKEN, Files, Thing, folders, is_in_the_way, won};
use crate::support::{folders as folders_on_disk, mode, temps, tree_with_dots};

impl World {
    /// What the folder must hold for the objects as they are. Of files that stay, whatever the objects want, this tells which they are
    /// by what the ledger says, and what they hold by what they hold.
    pub fn wanted(&self) -> Files {
        let (selected, ledger, found) = (self.selected(), self.ledger(), self.found());
        let there = |path: &String| found.get(path).map(|bytes| (path.clone(), bytes.clone()));
        let fixed: Files = ledger.iter().filter(|(_, (key, _))| self.is_withheld(key)).filter_map(|(path, _)| there(path)).collect();
        let won = won(&selected, &self.foreign, &fixed).into_iter().filter(|(_, (_, bytes))| *bytes != ABSENT);
        let mut files = self.foreign.clone();
        files.extend(won.map(|(path, (_, bytes))| (path, bytes.clone())));
        files.extend(fixed);
        let stays = |(path, (key, lasts)): &(&String, &(ObjectKey, bool))| *lasts && !self.is_live(key) && !is_in_the_way(path, &selected);
        for (path, bytes) in ledger.iter().filter(stays).filter_map(|(path, _)| there(path)) {
            files.entry(path).or_insert(bytes);
        }
        files
    }

    /// What the ledger of the present label says: whose each path is, and whether it stays when that goes.
    pub fn ledger(&self) -> BTreeMap<String, (ObjectKey, bool)> {
        let roots = Roots::new(&self.folder.path().display().to_string(), []);
        let name = self.ledger.map_or_else(|| format!(".kube-projector.{}.ledger", self.label), str::to_owned);
        let home = self.beside.as_deref().unwrap_or_else(|| self.elsewhere.as_ref().unwrap_or(&self.folder).path());
        let read = std::fs::read(home.join(name)).ok().and_then(|bytes| ledger::read(&bytes, &roots).ok());
        let Some(contents) = read else { return BTreeMap::new() };
        let path = |(path, key): (&TargetPath, &ObjectKey)| (path.as_str().to_owned(), (key.clone(), contents.lasting.contains(path)));
        contents.owned.iter().map(path).collect()
    }

    /// Whether the object is followed, and does not say otherwise.
    pub fn is_live(&self, key: &ObjectKey) -> bool {
        self.objects.get(key).is_some_and(|thing| thing.labels.contains(self.label) && !(self.annotations && thing.annotations.skips()))
    }

    /// Whether the object is rejected as a whole.
    pub fn is_withheld(&self, key: &ObjectKey) -> bool {
        let says = |thing: &Thing| thing.annotations.mode(thing.kind, FILE_MODE);
        self.annotations && self.is_live(key) && self.objects.get(key).is_some_and(|thing| says(thing).is_err())
    }

    /// Objects that are selected and not rejected, with the bytes behind their URLs, and unpacked. Of what cannot be unpacked what is
    /// there is what is wanted, where it is theirs.
    pub fn selected(&self) -> Vec<Thing> {
        let selected = self.objects.values().filter(|thing| self.is_live(&thing.key()) && !self.is_withheld(&thing.key())).cloned();
        let known = self.gzip_max.map(|_| (self.ledger(), self.found()));
        let unpacked = |mut thing: Thing| {
            let Some((ledger, found)) = &known else { return thing };
            let packed: Vec<String> = thing.data.keys().filter(|key| key.ends_with(".gz")).cloned().collect();
            for key in packed {
                let (name, bytes) = (key.trim_end_matches(".gz"), thing.data.remove(&key).unwrap());
                let path = thing.path(name);
                let is_its = ledger.get(&path).is_some_and(|(owner, _)| *owner == thing.key());
                let bytes = match bytes.first() {
                    Some(&BROKEN) if is_its => found.get(&path).cloned().unwrap_or_else(|| ABSENT.to_vec()),
                    Some(&BROKEN) => ABSENT.to_vec(),
                    _ => bytes,
                };
                thing.data.entry(name.to_owned()).or_insert(bytes);
            }
            thing
        };
        let selected = selected.map(unpacked);
        let resolved = |mut thing: Thing| {
            let Some(web) = &self.web else { return thing };
            let (remote, mut data): (Vec<_>, BTreeMap<_, _>) =
                (thing.data.clone().into_iter().filter(|(key, _)| key.ends_with(".url")).collect(), thing.data);
            for (key, url) in remote {
                data.remove(&key);
                let bytes = web.served.get(&String::from_utf8(url).unwrap()).cloned().unwrap_or_default();
                data.entry(key.trim_end_matches(".url").to_owned()).or_insert(bytes);
            }
            thing.data = data;
            thing
        };
        selected.map(resolved).collect()
    }

    /// What it holds, ledgers and temporary files aside.
    pub fn found(&self) -> Files {
        let mut files = tree_with_dots(self.folder.path());
        files.retain(|path, _| !path.rsplit('/').next().unwrap().starts_with(".kube-projector."));
        files
    }

    /// Files and folders are the wanted ones, and nothing else is there.
    pub fn assert_converged(&self, when: &str) {
        let wanted = self.wanted();
        let (found, wanted_folders) = (self.found(), folders(&wanted));
        assert!(found == wanted, "{when}: files differ\nfound:  {}\nwanted: {}", show(&found), show(&wanted));
        self.assert_modes(when);
        let there: BTreeSet<String> = folders_on_disk(self.folder.path()).into_iter().collect();
        assert_eq!(there, wanted_folders, "{when}: folders");
        assert_eq!(temps(self.folder.path()), Vec::<String>::new(), "{when}: temporary files");
        self.assert_owned(when);
    }

    /// Each file has the mode that its object gives it, where it is sure whose it is.
    fn assert_modes(&self, when: &str) {
        if self.control.ignores_modes() {
            return;
        }
        let (selected, ledger) = (self.selected(), self.ledger());
        for (path, (thing, bytes)) in won(&selected, &self.foreign, &Files::new()) {
            let is_its = ledger.get(&path).is_some_and(|(owner, _)| *owner == thing.key());
            let is_broken = self.objects[&thing.key()].data.values().any(|bytes| bytes.first() == Some(&BROKEN));
            let file = self.folder.path().join(&path);
            if is_its && !is_broken && bytes != ABSENT && file.exists() {
                let expected = if self.annotations { thing.annotations.mode(thing.kind, FILE_MODE).unwrap() } else { FILE_MODE };
                assert_eq!(mode(&file), u32::from(expected), "{when}: mode of {path}");
            }
        }
    }

    /// P5: every file that is neither foreign nor temporary is in a ledger. P4: every foreign file is as it was.
    pub fn assert_owned(&self, when: &str) {
        let roots = Roots::new(&self.folder.path().display().to_string(), []);
        let mut owned = BTreeSet::new();
        for (path, bytes) in [Some(self.folder.path()), self.beside.as_deref()].into_iter().flatten().flat_map(tree_with_dots) {
            if path.ends_with(".ledger")
                && let Ok(contents) = ledger::read(&bytes, &roots)
            {
                owned.extend(contents.owned.keys().map(|path| path.as_str().to_owned()));
            }
        }
        let found = self.found();
        for (path, bytes) in &self.foreign {
            assert!(found.get(path) == Some(bytes), "{when}: the foreign file {path} is not what it was");
        }
        let lost: Vec<_> = found.keys().filter(|path| !owned.contains(*path) && !self.foreign.contains_key(*path)).collect();
        assert!(lost.is_empty(), "{when}: created but not in the ledger: {lost:?}; the ledger has {owned:?}");
    }

    /// Whether every source is listed in this process.
    pub fn settled(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.store().settled())
    }

    /// Looks at paths in this process.
    pub fn looked(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| engine.store().looked())
    }

    /// How many paths could not be made right so far.
    pub fn stuck(&self) -> usize {
        self.engine.as_ref().map_or(0, Engine::stuck)
    }
}
