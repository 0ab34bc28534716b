//! Maps that were large once are as large for ever, unless somebody makes them smaller; and what costs nothing while they are empty.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// So much room is no matter.
const KEPT: usize = 64;

/// Gives back room of a map that has lost most of what was in it. Called whenever something was taken out it costs no more than a few
/// moves for each thing taken out, as growing does for each put in.
pub(crate) fn give_back<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > KEPT.max(4 * map.len()) {
        map.shrink_to(2 * map.len());
    }
}

/// Takes a key out of a set that is empty nearly always: looking for it in vain takes a hash of the whole key.
pub(crate) fn take_out<K: Eq + Hash>(set: &mut HashSet<K>, key: &K) -> bool {
    !set.is_empty() && set.remove(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_a_map_is_never_much_larger_than_what_is_in_it() {
        let mut map: HashMap<usize, usize> = (0..10_000).map(|number| (number, number)).collect();
        let mut shrunk = 0;
        for number in 0..10_000 {
            let before = map.capacity();
            map.remove(&number);
            give_back(&mut map);
            shrunk += usize::from(map.capacity() < before / 4 * 3);
            assert!(map.capacity() <= KEPT.max(4 * map.len()), "room for {} with {} in it", map.capacity(), map.len());
        }
        assert!((1..20).contains(&shrunk), "made smaller {shrunk} times");
    }
}
