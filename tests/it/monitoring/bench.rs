//! What the instances have in common: the Prometheus that looks at them, their ports, and the end of it all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::monitoring::prometheus::{LOOK, Prometheus};
use crate::support::Projector;
use crate::support::projector::Builder;

/// One instance, and what becomes of it.
pub struct Instance {
    /// Its name.
    pub name: &'static str,
    /// What fires for it.
    pub alerts: &'static [&'static str],
    /// Its life, on a thread of its own: it starts, breaks if it is to, and stays until the end.
    pub live: fn(&Stand<'_>),
}

/// What all instances share.
pub struct Bench {
    pub prometheus: Prometheus,
    settled: AtomicUsize,
    ended: AtomicBool,
}

/// Where one of them stands.
pub struct Stand<'a> {
    bench: &'a Bench,
    name: &'static str,
    port: u16,
}

impl Bench {
    pub fn new(prometheus: Prometheus) -> Self {
        Self { prometheus, settled: AtomicUsize::new(0), ended: AtomicBool::new(false) }
    }

    /// The place of one instance.
    pub fn stand(&self, name: &'static str, port: u16) -> Stand<'_> {
        Stand { bench: self, name, port }
    }

    /// How many instances have done all that they were to do.
    pub fn settled(&self) -> usize {
        self.settled.load(Ordering::SeqCst)
    }

    /// Lets every instance go.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

impl Stand<'_> {
    /// Launches this instance where Prometheus looks for it.
    pub fn launch(&self, builder: Builder) -> Projector {
        builder.env("HEALTH_PORT", &self.port.to_string()).start()
    }

    /// The same, until it is ready and Prometheus has seen it.
    pub fn start(&self, builder: Builder) -> Projector {
        let mut projector = self.launch(builder);
        projector.wait_ready();
        self.wait("projector_ready", |ready| ready == 1.0);
        projector
    }

    /// A metric of this instance, as Prometheus knows it.
    fn query(&self, metric: &str) -> String {
        format!("{metric}{{instance=\"{}\"}}", self.name)
    }

    /// Waits for what Prometheus knows of a metric of this instance: the sum of its series.
    pub fn wait(&self, metric: &str, is_so: impl Fn(f64) -> bool) -> f64 {
        self.bench.prometheus.wait(&self.query(metric), is_so)
    }

    /// The same of a metric that may be gone by the end.
    pub fn wait_or_end(&self, metric: &str, is_so: impl Fn(f64) -> bool) {
        while !self.is_over() && !self.bench.prometheus.value(&self.query(metric)).is_some_and(&is_so) {
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until this instance has been scraped so often.
    pub fn scraped(&self, times: f64) {
        self.bench.prometheus.wait(&format!("count_over_time(up{{instance=\"{}\"}}[1h])", self.name), |count| count >= times);
    }

    /// Waits until so many seconds went by for Prometheus.
    pub fn pass(&self, seconds: f64) {
        let now = self.bench.prometheus.wait("vector(time())", |_| true);
        self.bench.prometheus.wait("vector(time())", |time| time >= now + seconds);
    }

    /// Says that nothing more is done to this instance but what is always done, and stays until the end.
    pub fn stay(&self) {
        self.settle();
        while !self.is_over() {
            std::thread::sleep(LOOK);
        }
    }

    /// The same without staying.
    pub fn settle(&self) {
        self.bench.settled.fetch_add(1, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.bench.ended.load(Ordering::SeqCst)
    }
}
