//! What the folder must hold, what it holds, and whether that is right.

use std::collections::{BTreeMap, BTreeSet};

use kube_projector::core::ledger;
use kube_projector::core::path::Roots;
use kube_projector::engine::Engine;

use super::{World, show};
use crate::engine::model::{Files, Thing, folders, wanted};
use crate::support::{folders as folders_on_disk, temps, tree_with_dots};

impl World {
    /// What the folder must hold for the objects as they are.
    pub fn wanted(&self) -> Files {
        wanted(&self.selected(), &self.foreign)
    }

    /// Objects that are selected, with the bytes behind their URLs.
    pub(super) fn selected(&self) -> Vec<Thing> {
        let selected = self.objects.values().filter(|thing| thing.labels.contains(self.label)).cloned();
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
        let there: BTreeSet<String> = folders_on_disk(self.folder.path()).into_iter().collect();
        assert_eq!(there, wanted_folders, "{when}: folders");
        assert_eq!(temps(self.folder.path()), Vec::<String>::new(), "{when}: temporary files");
        self.assert_owned(when);
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
