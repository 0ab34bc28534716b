//! What the kernel says of this process, in the words that every exporter uses.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

/// See the module's header. What cannot be read is not shown.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct ProcessFigures {
    /// Time on a processor, in seconds.
    pub(super) cpu_seconds: Option<f64>,
    /// Memory that is resident.
    pub(super) resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub(super) open_fds: Option<u64>,
}

impl ProcessFigures {
    /// How it is now.
    pub(super) fn read() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        // The listing has a descriptor of its own.
        let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1));
        Self {
            cpu_seconds: text("stat").and_then(|stat| cpu_ticks(&stat)).map(|ticks| ticks / ticks_per_second()),
            resident_bytes: text("statm").and_then(|statm| resident_pages(&statm)).map(|pages| pages.saturating_mul(page_bytes())),
            open_fds: open.and_then(|count| u64::try_from(count).ok()),
        }
    }
}

fn ticks_per_second() -> f64 {
    u32::try_from(clock_ticks_per_second()).map_or(100.0, f64::from)
}

fn page_bytes() -> u64 {
    u64::try_from(page_size()).unwrap_or(4096)
}

/// User's and system's time in `/proc/self/stat`, whose second field may hold anything, brackets too.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(f64::from(ticks()?) + f64::from(ticks()?))
}

fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_proc() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 12345 1000 200";
        assert_eq!(cpu_ticks(stat), Some(300.0));
        assert_eq!(resident_pages("9000 1234 500 1 0 2 0"), Some(1234));
        assert_eq!((cpu_ticks("7 (a) S"), resident_pages("x")), (None, None));
    }

    #[test]
    fn a_running_process_has_figures() {
        let figures = ProcessFigures::read();
        assert!(figures.cpu_seconds.is_some() && figures.resident_bytes > Some(1 << 16) && figures.open_fds >= Some(3), "{figures:?}");
    }
}
