//! Names and labels, and where they are served.

use std::collections::{BTreeMap, BTreeSet};

use super::{Figures, scrape};
use crate::common::{Setup, started};
use crate::support::http::Client;
use crate::support::*;

/// What `docs/metrics.md`, which is made of the table, says of each metric: its type and the names of its labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned()).filter(|label| !label.is_empty());
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels.collect()))
    };
    let found: BTreeMap<_, _> = rows.map(row).collect();
    assert!(found.len() > 30, "{found:?}");
    found
}

/// Types and names of labels of what was scraped as text.
fn served(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found: BTreeMap<_, _> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, sort) = line.split_once(' ').unwrap();
        found.insert(name.to_owned(), (sort.to_owned(), BTreeSet::new()));
    }
    for series in Figures::parse(text).0.into_keys() {
        let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
        let of_histogram =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).filter(|name| found.contains_key(*name));
        let (_, known) = found.get_mut(of_histogram.unwrap_or(name)).unwrap_or_else(|| panic!("{name} has no type"));
        let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
        known.extend(labels.map(|(name, _)| name.to_owned()).filter(|name| name != "le"));
    }
    found
}

/// What the numbers are of: series, without their numbers.
fn series(projector: &Projector) -> BTreeSet<String> {
    Figures::of(projector).0.into_keys().collect()
}

#[test]
fn names_types_and_labels_are_those_of_the_table() {
    let setup = Setup::in_process();
    let web = WebServer::start();
    web.on_each("/reload", vec![Answer::ok(""), Answer::status(503)]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&setup.projector().env("REQ_URL", &web.url("/reload")).env("REQ_METHOD", "POST"));
    wait_for("the first reload", DEADLINE, || scrape(&projector, "").contains("last_reload_success_timestamp"));
    setup.cluster.set_data("a", &[("a", "2")]);
    let complete = ["projector_reaction_owed_since", "reloader_last_reload_success_timestamp", "_oldest_bookmark"];
    wait_for("every time to be known", DEADLINE, || {
        let text = scrape(&projector, "text/plain");
        complete.iter().all(|part| text.contains(part))
    });
    let mut documented = documented();
    // Text has no type for it.
    documented.get_mut("projector_build_info").unwrap().0 = "gauge".to_owned();
    assert_eq!(served(&scrape(&projector, "text/plain")), documented);
}

#[test]
fn both_forms_say_the_same() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&setup.projector());
    let open = scrape(&projector, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(open.ends_with("# EOF\n"), "{open}");
    let open: BTreeSet<_> = Figures::parse(&open).0.into_keys().map(bounds_without_zeros).collect();
    let text: BTreeSet<_> = series(&projector).into_iter().map(bounds_without_zeros).collect();
    assert_eq!(open, text);
}

/// One form writes the bound 1 of a bucket as 1.0.
fn bounds_without_zeros(series: String) -> String {
    series.replace(".0\"}", "\"}")
}

#[test]
fn every_profile_serves_them_and_settings_can_say_no() {
    for profile in ["default", "k8s-sidecar"] {
        let setup = Setup::in_process();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let served = started(&setup.projector().env("PROFILE", profile));
        assert_eq!(Figures::of(&served).get("projector_files"), 1.0, "{profile}");
        drop(served);
        let silent = started(&setup.projector().env("PROFILE", profile).env("METRICS", "false"));
        let asked = |path: &str| Client::http("127.0.0.1", silent.port()).send("GET", path, &[], &[]).status;
        assert_eq!((asked("/metrics"), asked("/readyz")), (404, 200), "{profile}");
    }
}

#[test]
fn five_hundred_watches_have_not_one_series_more_than_one() {
    let setup = Setup::in_process();
    for number in 0..500 {
        let name = format!("o{number}");
        setup.cluster.configmap(&name, &[(&name, "1")]).unlabelled().create();
    }
    let following = |count: usize| {
        let objects: Vec<_> = (0..count).map(|number| format!("configmap/{}/o{number}", setup.cluster.namespace())).collect();
        let builder = setup.projector().without("LABEL").without("NAMESPACE").env("OBJECT", &objects.join(",")).env("FINALIZERS", "false");
        let projector = started(&builder);
        wait_for("a bookmark", DEADLINE, || series(&projector).iter().any(|series| series.contains("bookmark")));
        let figures = Figures::of(&projector);
        assert_eq!(figures.get("projector_watches{resource=\"configmaps\"}"), count as f64);
        assert_eq!(figures.get("projector_objects"), count as f64);
        series(&projector)
    };
    let one = following(1);
    assert!(one.len() > 100, "{one:?}");
    assert_eq!(following(500), one);
}

#[test]
fn figures_of_the_process_are_those_of_the_kernel() {
    let setup = Setup::in_process();
    let began = std::time::SystemTime::now();
    let projector = started(&setup.projector());
    let figures = Figures::of(&projector);
    let since = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = figures.get("process_start_time_seconds");
    assert!(started >= since(began) - 0.01 && started <= since(std::time::SystemTime::now()), "{started}");
    let resident = figures.get("process_resident_memory_bytes") / 1024.0;
    let (now, peak) = (projector.rss_kib() as f64, projector.peak_kib() as f64);
    assert!(resident > now / 2.0 && resident <= peak, "{resident} of {now} and {peak} KiB");
    let open = std::fs::read_dir(format!("/proc/{}/fd", projector.pid())).unwrap().count() as f64;
    // Its own connection to whoever asks may be closed by now.
    assert!((figures.get("process_open_fds") - open).abs() <= 2.0, "{} and {open}", figures.get("process_open_fds"));
    assert!(figures.get("process_cpu_seconds_total") < DEADLINE.as_secs_f64());
}
