//! Whether somebody holds a lock, as the kernel lists them. No lock is taken to find out.

/// Whether a lock of flock(2) is held on the file of this device and inode, by whomever.
pub(crate) fn held((_, inode): (u64, u64)) -> bool {
    // Unreadable: take it as held, so that nothing of a sibling is planned away.
    std::fs::read_to_string("/proc/locks").map_or(true, |locks| {
        locks.lines().any(|lock| {
            lock.contains("FLOCK")
                && lock.split_whitespace().any(|word| word.rsplit_once(':').is_some_and(|(_, found)| found == inode.to_string()))
        })
    })
}
