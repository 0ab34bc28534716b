//! What somebody who comes from k8s-sidecar reads and copies: values files for charts, and the page about it.

use std::path::Path;

use serde_json::Value;

/// The settings that this way of working adds or that the page has to explain.
const SETTINGS: &[&str] = &[
    "PROFILE",
    "RESOURCE_NAME",
    "FOLDER_PER_NAMESPACE",
    "REQ_URL",
    "REQ_METHOD",
    "REQ_PAYLOAD",
    "REQ_SKIP_INIT",
    "REQ_USERNAME",
    "REQ_PASSWORD",
    "REQ_USERNAME_FILE",
    "REQ_PASSWORD_FILE",
    "REQ_BASIC_AUTH_ENCODING",
    "REQ_TIMEOUT",
    "REQ_ANSWER_TIMEOUT",
    "REQ_RETRY_TOTAL",
    "REQ_RETRY_CONNECT",
    "REQ_RETRY_READ",
    "REQ_RETRY_BACKOFF_FACTOR",
    "REQ_SKIP_TLS_VERIFY",
    "REQ_ONCE_PER_BATCH",
    "REACT_WINDOW",
    "SCRIPT",
    "SCRIPT_TIMEOUT",
    "SCRIPT_RETRIES",
    "PROJECTOR_CHANGED",
    "URL_CREDENTIAL_ORIGINS",
    "URL_ALLOW",
    "URL_MAX_BYTES",
    "ENABLE_5XX",
    "SKIP_TLS_VERIFY",
    "IGNORE_ALREADY_PROCESSED",
    "DISABLE_X509_STRICT_VERIFICATION",
    "ERROR_THROTTLE_SLEEP",
    "LOG_TZ",
    "LOG_CONFIG",
    "--req-username-file",
    "--req-password-file",
];

const PAGE: &str = "docs/migrating-from-k8s-sidecar.md";

fn shipped(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&whole).unwrap_or_else(|error| panic!("reading {}: {error}", whole.display()))
}

#[test]
fn the_page_names_every_setting() {
    let page = shipped(PAGE);
    let missing: Vec<_> = SETTINGS.iter().filter(|name| !page.contains(&format!("`{name}"))).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

/// The files of `examples/k8s-sidecar` with their charts' keys of the image.
#[test]
fn values_of_the_examples_name_our_image_where_each_chart_looks_for_it() {
    let places: &[(&str, &[&str])] = &[
        ("grafana", &["/sidecar/image"]),
        ("kube-prometheus-stack", &["/grafana/sidecar/image"]),
        ("loki", &["/sidecar/image"]),
        ("jenkins", &["/controller/sidecars/configAutoReload/image"]),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/k8s-sidecar");
    let mut found: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let mut told: Vec<_> = places.iter().map(|(name, _)| folder.join(name).with_extension("yaml")).collect();
    told.sort();
    assert_eq!(found, told);
    for (name, pointers) in places {
        let text = std::fs::read_to_string(folder.join(name).with_extension("yaml")).unwrap();
        let values: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for pointer in *pointers {
            let image = values.pointer(pointer).unwrap_or_else(|| panic!("{name} says nothing at {pointer}"));
            let repository = image["repository"].as_str().unwrap_or_default();
            assert!(repository.ends_with("kube-projector"), "{name}: {image}");
            assert!(image["tag"].as_str().unwrap_or_default().ends_with("-k8s-sidecar"), "{name}: {image}");
        }
    }
}
