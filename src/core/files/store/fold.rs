//! Folds events into the store: what the sources say becomes claims, and the paths that this touches.

use std::sync::Arc;

use crate::core::files::entry::{Claim, Claims, Content, Live, OnDisk};
use crate::core::files::folded::{Fate, Folded, Seen};
use crate::core::files::project::{self, FileProjection, Projection, Rejection, Rules, Urls};
use crate::core::files::remotes::RemoteState;
use crate::core::files::store::{Progress, Store};
use crate::core::files::unpack::{UnpackError, gunzip};
use crate::core::memory::take_out;
use crate::core::object::annotations::Said;
use crate::core::object::remote::Arrival;
use crate::core::object::{Object, ObjectEvent, ObjectKey, Payload, SourceEvent, SourceId};
use crate::core::path::{PathError, TargetPath};

impl Store {
    /// Folds one event into the store. Never touches the disk.
    pub(crate) fn fold(&mut self, event: SourceEvent, rules: &Rules, folded: &mut Folded) {
        match event {
            SourceEvent::ListBegin { source, consistent, .. } => {
                if let Some(source) = self.sources.get_mut(usize::from(source.0)) {
                    source.accepts_older = consistent;
                }
            }
            SourceEvent::Object { source, generation, event } => self.fold_object(source, generation, event, rules, folded),
            SourceEvent::ListEnd { source, generation } => self.list_end(source, generation, folded),
            SourceEvent::Arrived { key, path, ticket, arrival } => self.arrived(&key, &path, ticket, arrival, rules, folded),
            SourceEvent::Refused { source } => {
                if let Some(source) = self.sources.get_mut(usize::from(source.0)).filter(|source| source.progress == Progress::Pending) {
                    source.progress = Progress::Refused;
                    folded.progressed = true;
                }
            }
        }
    }

    fn fold_object(&mut self, source: SourceId, generation: u32, event: ObjectEvent, rules: &Rules, folded: &mut Folded) {
        match event {
            ObjectEvent::Apply(object) => self.apply(source, generation, *object, rules, folded),
            ObjectEvent::Fetched(object) => {
                let live = self
                    .object(&object.key)
                    .filter(|live| (live.uid() == 0 || live.uid() == object.uid) && live.resource_version <= object.resource_version);
                // It stands for no list but those that named the object.
                if let Some(generation) = live.map(|live| live.generation.max(generation)) {
                    self.apply(source, generation, *object, rules, folded);
                }
            }
            ObjectEvent::Unread { key, uid, resource_version } => self.unread(source, generation, &key, (uid, resource_version), folded),
            ObjectEvent::Keep(key) => {
                if let Some(live) = self.objects.get_mut(&key).and_then(|entry| entry.live.as_mut()) {
                    live.generation = live.generation.max(generation);
                }
            }
            ObjectEvent::Unanswered(key) => {
                if self.object(&key).is_some() {
                    folded.unanswered.push(self.intern(&key));
                }
            }
            ObjectEvent::Delete { key, uid, overrides, finalizers } => {
                let current = self.object(&key).map_or(uid, Live::uid);
                if uid == 0 || current == 0 || uid == current || overrides {
                    let key = self.intern(&key);
                    folded.seen.push(Seen { key: key.clone(), uid, finalizers: finalizers.into(), fate: Fate::Gone });
                    self.remove(&key, folded);
                } else {
                    folded.stale += 1;
                }
            }
            // None is projected.
            ObjectEvent::Pod(_) => {}
        }
    }

    fn apply(&mut self, source: SourceId, generation: u32, mut object: Object, rules: &Rules, folded: &mut Folded) {
        let accepts_older = self.accepts_older(source);
        let key = self.intern(&object.key);
        let skips = rules.annotations && object.annotations.skips();
        let former = match self.objects.get_mut(&key).map(|entry| &mut entry.live) {
            Some(Some(live)) if live.resource_version > object.resource_version && !accepts_older => {
                live.generation = live.generation.max(generation);
                folded.stale += 1;
                return;
            }
            Some(live) if !skips => live.take(),
            Some(_) | None => None,
        };
        if skips {
            return self.skip(&key, object, folded);
        }
        take_out(&mut self.skipped, &key);
        if let Some(former) = &former {
            self.count_live(former.source, -1);
        }
        self.count_live(source, 1);
        let mut new = Live::new(object.uid, object.resource_version, source, generation);
        (new.created, new.unread) = (object.created, false);
        let fate = if object.terminating { Fate::Terminating } else { Fate::Live };
        folded.seen.push(Seen { key: key.clone(), uid: object.uid, finalizers: std::mem::take(&mut object.finalizers), fate });
        new.lasts = rules.annotations && self.is_to_last(&key, &object, rules);
        self.knows_lasting |= new.lasts;
        // Where files outlive their object, its deletion mark says nothing about them.
        object.terminating &= !self.keeps(&key) && !new.lasts;
        if object.data.is_empty() {
            folded.empty.push(key.clone());
        }
        if object.folder.is_some() {
            folded.overridden.push(key.clone());
        }
        let (wanted, stays) = self.wanted(&key, object, (former.as_ref(), &new), rules, folded);
        let was_withheld = take_out(&mut self.withheld, &key);
        if stays {
            self.withheld.insert(key.clone());
        }
        // What it owned and may want no more was held back while its bytes or wishes were not known, or while its files outlived it.
        let outlived = || self.keeps(&key) || self.lasting_of(&key) > 0;
        let held_back = was_withheld || former.as_ref().map_or_else(outlived, |former| former.unread);
        let kept = self.renew(&key, (former, &new), wanted, folded);
        let owned = || kept.iter().filter(|claim| self.path(&claim.path).is_some_and(|entry| entry.owner.as_ref() == Some(&key))).count();
        if held_back && owned() < usize::try_from(self.owned_by(&key)).unwrap_or_default() {
            self.touch_owned(&key, folded);
        }
        new.claims = Claims::new(kept);
        self.object_entry(&key).live = Some(new);
        self.decide_contests(folded);
    }

    /// What an object claims now, in the order of paths, each with its bytes where they came; and whether its files stay as they are.
    fn wanted(
        &mut self,
        key: &Arc<ObjectKey>,
        object: Object,
        (former, new): (Option<&Live>, &Live),
        rules: &Rules,
        folded: &mut Folded,
    ) -> (Vec<(Claim, Option<FileProjection>)>, bool) {
        let Projection { files, remotes, held, mut rejections, outside, stays } = project::files(object, rules);
        if rules.tells_outside {
            folded.outside.push((key.clone(), new.uid(), outside));
        }
        let mut wanted: Vec<(Claim, Option<FileProjection>)> = Vec::with_capacity(files.len() + remotes.len());
        for (path, file) in files {
            match self.content(&file, rules) {
                Ok(content) => wanted.push((Claim { path: self.known(path), content }, Some(file))),
                Err(why) => {
                    wanted.push((self.pending(path, file.mode), None));
                    rejections.push(Rejection { key: file.packed, why });
                }
            }
        }
        folded.rejections.push((key.clone(), new.uid(), rejections));
        wanted.extend(remotes.iter().map(|remote| (self.pending(remote.path.clone(), remote.mode), None)));
        // What is held has bytes if anything has: those that are there.
        let known = |path: TargetPath| {
            let content = former?.claims.at(&path).filter(|content| !content.is_pending())?;
            Some((Claim { path, content }, None))
        };
        wanted.extend(held.into_iter().filter_map(known));
        folded.remotes.extend(self.remotes.replace(key, remotes, &self.digester));
        // Two keys of one object can give one name: the first one stands.
        wanted.sort_by(|(left, _), (right, _)| left.path.cmp(&right.path));
        wanted.dedup_by(|(later, _), (first, _)| later.path == first.path);
        (wanted, stays)
    }

    /// Takes new claims for the former ones, and marks what that touches.
    fn renew(
        &mut self,
        key: &Arc<ObjectKey>,
        (former, new): (Option<Live>, &Live),
        wanted: Vec<(Claim, Option<FileProjection>)>,
        folded: &mut Folded,
    ) -> Vec<Claim> {
        let same_rank = former.as_ref().is_some_and(|former| former.created == new.created && !former.unread);
        let age_before = former.as_ref().map_or(new.created, |former| former.created);
        let old = former.map(|former| former.claims).unwrap_or_default();
        let renewed = |path: &TargetPath| wanted.binary_search_by(|(claim, _)| claim.path.cmp(path)).is_ok();
        self.unclaim((key, age_before), &old, renewed, folded);
        // Of two states in one batch the later counts. What answered a question that is still asked belongs to both.
        let answered = |path: &TargetPath| self.remotes.state(path, key).is_some_and(|state| state != RemoteState::Pending);
        old.paths().filter(|path| !answered(path)).for_each(|path| drop(folded.bodies.take(path, key)));
        let mut kept = Vec::with_capacity(wanted.len());
        for (mut claim, file) in wanted {
            let before = old.at(&claim.path);
            if before.is_none() {
                self.claim_path(&claim.path, key, new.created);
            } else if age_before != new.created {
                self.age_claim(&claim.path, key, (age_before, new.created));
            }
            let Some(file) = file else {
                if let Some(known) = before.filter(|_| self.remotes.state(&claim.path, key) == Some(RemoteState::Known)) {
                    claim.content = Content { mode: claim.content.mode, ..known };
                }
                folded.touch(&claim.path);
                kept.push(claim);
                continue;
            };
            if before.is_some_and(|before| before.is_pending()) {
                self.look_again(&claim.path);
            }
            if before != Some(claim.content) || !same_rank || !self.holds(&claim.path, &claim.content, new.lasts) {
                folded.touch(&claim.path);
                folded.bodies.put(&claim.path, key, file);
            }
            kept.push(claim);
        }
        kept
    }

    /// The same path, which shares memory with what is known of it.
    fn known(&self, path: TargetPath) -> TargetPath {
        self.paths.get_key_value(&path).map_or(path, |(known, _)| known.clone())
    }

    /// The claim on a path whose bytes are not known yet.
    fn pending(&self, path: TargetPath, mode: u16) -> Claim {
        Claim { path: self.known(path), content: Content::pending(mode) }
    }

    /// Whether the object's files are to stay when it goes. One that is rejected says nothing: as it was.
    fn is_to_last(&self, key: &ObjectKey, object: &Object, rules: &Rules) -> bool {
        match project::mode(object, rules) {
            Ok(_) => object.annotations.keep == Said::Value(()),
            Err(_) => self.lasting_of(key) > 0,
        }
    }

    /// Of a path whose bytes were not known, a file's length was all that was looked at.
    fn look_again(&mut self, path: &TargetPath) {
        let unread = |disk: OnDisk| matches!(disk, OnDisk::File(stamp) if stamp.content.is_pending());
        if self.path(path).is_some_and(|entry| unread(entry.disk())) {
            self.saw(path, OnDisk::Unknown);
        }
    }

    /// Folds an answer about a file behind a URL. One to a question that nobody asks any more does not count.
    fn arrived(&mut self, key: &ObjectKey, path: &TargetPath, ticket: u64, arrival: Arrival, rules: &Rules, folded: &mut Folded) {
        let state = if matches!(arrival, Arrival::Failed) { RemoteState::Failed } else { RemoteState::Known };
        let Some(encoded) = self.remotes.answered(key, path, ticket, state) else { return };
        let key = self.intern(key);
        folded.answered.push(key.clone());
        let (bytes, is_real) = match arrival {
            Arrival::Unchanged => return,
            Arrival::Body(body) => (body, true),
            Arrival::Failed => (Payload::default(), false),
        };
        let mode = self.claim(path, &key).map_or(rules.file_mode, |content| content.mode);
        let file = FileProjection { bytes, mode, encoded, packed: None };
        if !is_real {
            // What is there stays; only where nothing is, an empty file may be wanted.
            let is_wanted = rules.urls == Urls::Follow { empty_at_first_failure: true };
            if is_wanted && self.remotes.state(path, &key) == Some(RemoteState::Failed) {
                folded.touch(path);
                folded.bodies.put(path, &key, file);
            }
            return;
        }
        let Ok(content) = self.content(&file, rules) else { return };
        let Some(live) = self.objects.get_mut(&key).and_then(|entry| entry.live.as_mut()) else { return };
        live.claims.set(path, content);
        let lasts = live.lasts;
        if !self.holds(path, &content, lasts) {
            self.look_again(path);
            folded.touch(path);
            folded.bodies.put(path, &key, file);
        }
    }

    /// Withdraws the claims of `old` that are not renewed.
    fn unclaim(
        &mut self,
        (key, created): (&Arc<ObjectKey>, i64),
        old: &Claims,
        renewed: impl Fn(&TargetPath) -> bool,
        folded: &mut Folded,
    ) {
        for path in old.paths().filter(|path| !renewed(path)) {
            folded.touch(path);
            self.unclaim_path(path, key, created);
            folded.bodies.take(path, key);
        }
    }

    fn unread(&mut self, source: SourceId, generation: u32, key: &ObjectKey, (uid, resource_version): (u128, u64), folded: &mut Folded) {
        let accepts_older = self.accepts_older(source);
        let key = self.intern(key);
        let entry = self.object_entry(&key);
        let is_new = entry.live.is_none();
        match &mut entry.live {
            Some(live)
                if !accepts_older
                    && (live.resource_version > resource_version
                        || (live.resource_version == resource_version && live.uid() == uid && !live.unread)) =>
            {
                // Nothing new: the bytes that were dropped are known.
                folded.stale += u32::from(live.resource_version > resource_version);
                live.generation = live.generation.max(generation);
                return;
            }
            // What is read again counts only if it is this object, and not older.
            Some(live) => {
                live.set_uid(uid);
                (live.resource_version, live.generation, live.unread) = (resource_version, generation, true);
            }
            None => entry.live = Some(Live::new(uid, resource_version, source, generation)),
        }
        if is_new {
            self.count_live(source, 1);
        }
        folded.unread.push(key);
    }

    /// Counts objects that a source lists.
    fn count_live(&mut self, source: SourceId, change: isize) {
        if let Some(source) = self.sources.get_mut(usize::from(source.0)) {
            source.live = source.live.saturating_add_signed(change);
        }
    }

    fn accepts_older(&self, source: SourceId) -> bool {
        self.sources.get(usize::from(source.0)).is_some_and(|source| source.accepts_older)
    }

    pub(super) fn remove(&mut self, key: &Arc<ObjectKey>, folded: &mut Folded) {
        take_out(&mut self.skipped, key);
        let was_withheld = take_out(&mut self.withheld, key);
        let Some(live) = self.objects.get_mut(key).and_then(|entry| entry.live.take()) else {
            return;
        };
        self.count_live(live.source, -1);
        self.unclaim((key, live.created), &live.claims, |_| false, folded);
        self.decide_contests(folded);
        folded.rejections.push((key.clone(), live.uid(), Vec::new()));
        folded.remotes.extend(self.remotes.replace(key, Vec::new(), &self.digester));
        folded.outside.push((key.clone(), live.uid(), None));
        let owned = live.claims.paths().filter(|path| self.path(path).is_some_and(|entry| entry.owner.as_ref() == Some(key))).count();
        if (live.unread || was_withheld) && owned < usize::try_from(self.owned_by(key)).unwrap_or_default() {
            self.touch_owned(key, folded);
        }
        self.drop_object_if_idle(key);
    }

    /// Marks what an object owns: that was held back while its bytes were not known.
    pub(super) fn touch_owned(&self, key: &Arc<ObjectKey>, folded: &mut Folded) {
        let owned = self.paths().filter(|(_, entry)| entry.owner.as_ref() == Some(key)).map(|(path, _)| path.clone());
        folded.touched.extend(owned);
    }

    fn list_end(&mut self, id: SourceId, generation: u32, folded: &mut Folded) {
        let Some(source) = self.sources.get_mut(usize::from(id.0)) else {
            return;
        };
        folded.progressed |= source.progress != Progress::Complete;
        (source.progress, source.accepts_older) = (Progress::Complete, false);
        let gone: Vec<_> = self
            .live()
            .filter(|(_, live)| live.source == id && live.generation != generation)
            .map(|(key, live)| (key.clone(), live.uid()))
            .collect();
        for (key, uid) in gone {
            folded.seen.push(Seen { key: key.clone(), uid, finalizers: Vec::new(), fate: Fate::Vanished });
            self.remove(&key, folded);
        }
    }

    /// What the file holds. Packed bytes are unpacked and forgotten at once: they are unpacked again where they are written.
    fn content(&self, file: &FileProjection, rules: &Rules) -> Result<Content, PathError> {
        let (digest, length) = match (&file.packed, rules.gzip_max) {
            (Some(_), Some(bytes_max)) => {
                let mut length = 0;
                let (digest, unpacked) = self.digester.digest_pieces(|take| {
                    gunzip(file.bytes.bytes(), bytes_max, &mut |piece| {
                        length += piece.len();
                        take(piece);
                    })
                });
                unpacked.map_err(|fault| match fault {
                    UnpackError::TooLarge => PathError::TooLarge(bytes_max),
                    UnpackError::Broken => PathError::NotGzip,
                })?;
                (digest, length)
            }
            _ => (self.digester.digest(file.bytes.bytes()), file.bytes.bytes().len()),
        };
        Ok(Content { digest, length: u32::try_from(length).unwrap_or(u32::MAX), mode: file.mode })
    }

    /// Whether the path, as far as we know, already holds this content as the claim of its only claimant.
    fn holds(&self, path: &TargetPath, content: &Content, lasts: bool) -> bool {
        let Some(entry) = self.paths.get(path) else { return false };
        match (entry.disk(), &entry.owner, &*entry.claimants) {
            (OnDisk::File(stamp), Some(owner), [only]) => stamp.content == *content && owner == only && entry.lasts() == lasts,
            // A loser of a conflict changed: the file changes only when its rank does.
            (OnDisk::File(_), Some(_), _) => false,
            _ => false,
        }
    }
}
