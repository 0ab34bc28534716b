//! Everybody can use it: by keyboard, by ear, in the dark, on a telephone, on paper. And the README's picture.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::driver::{ENTER, SPACE, TAB};
use crate::browser::list::SWEEP;
use crate::browser::{LINK, Look, PATHS, STATE, bulk};
use crate::common::Setup;
use crate::support::{Answer, DEADLINE, WebServer, wait_for};

/// Name, folder and files of an object.
type Dashboards<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Something of everything: folders, a Secret, and a path that two want.
fn scene(setup: &Setup, namespace: &str) {
    let cluster = &setup.cluster;
    let maps: [Dashboards<'_>; 4] = [
        ("checkout", "checkout", &[("latency.json", "{\"title\": \"Latency\"}"), ("errors.json", "{\"title\": \"Errors\"}")]),
        ("shipping", "shipping", &[("parcels.json", "{\"title\": \"Parcels\"}"), ("returns.json", "{}")]),
        ("nodes", "nodes", &[("cpu.json", &"1".repeat(4321)), ("memory.json", &"2".repeat(2345))]),
        ("checkout-copy", "checkout", &[("latency.json", "{}")]),
    ];
    for (name, folder, data) in maps {
        cluster.configmap(name, data).target(folder).in_namespace(namespace).create();
    }
    cluster.secret("datasource", &[("password", "x")]).in_namespace(namespace).create();
}

fn axe(look: &Look) -> Value {
    let path = std::env::var_os("PROJECTOR_TEST_AXE").map(PathBuf::from).expect("PROJECTOR_TEST_AXE names axe.min.js: see .ci/run browser");
    look.browser.run(&fs::read_to_string(&path).unwrap(), &[]);
    let found = "axe.run(document, { resultTypes: ['violations'] }).then((all) => all.violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]))";
    look.browser.promised(found, SWEEP)
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn axe_finds_nothing_in_light_and_dark_wide_and_narrow_well_and_not() {
    let setup = Setup::in_process();
    bulk(&setup, 1);
    scene(&setup, setup.cluster.namespace());
    let mut look = Look::at(setup);
    look.shows(STATE, json!("bad"));
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 400), ("dark", 400)] {
        look.browser.prefers("prefers-color-scheme", scheme);
        look.browser.size(width, 900);
        assert_eq!(axe(&look), json!([]), "{scheme}, {width}");
    }
    look.search("nobody");
    look.run("document.querySelector('details').open = true");
    assert_eq!(axe(&look), json!([]), "a search that finds nothing");
    look.browser.said_nothing();
    look.projector.kill9();
    look.shows(LINK, json!("lost"));
    assert_eq!(axe(&look), json!([]), "disconnected");
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_dark_page_is_dark() {
    let look = Look::at(Setup::in_process());
    let light = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part > 200)";
    look.browser.prefers("prefers-color-scheme", "light");
    look.shows(light, json!(true));
    look.browser.prefers("prefers-color-scheme", "dark");
    look.shows("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part < 60)", json!(true));
    look.shows("getComputedStyle(document.body).color.match(/\\d+/g).every((part) => part > 200)", json!(true));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn the_keyboard_is_enough() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("y", "12"), ("z", "1")]).create();
    let look = Look::at(setup);
    look.shows(PATHS, json!(["y", "z"]));
    let mut passed = Vec::new();
    for _ in 0..11 {
        look.browser.press(TAB);
        let (focus, seen) =
            ("document.activeElement.id || document.activeElement.textContent", "getComputedStyle(document.activeElement).outlineStyle");
        let found = look.browser.value(&format!("[{focus}, {seen} !== 'none']"));
        assert_eq!(found[1], json!(true), "the focus can be seen on {found}");
        passed.push(found[0].as_str().unwrap().to_owned());
        match found[0].as_str().unwrap() {
            "pause" => {
                look.browser.press(ENTER);
                look.shows(LINK, json!("paused"));
                look.browser.press(ENTER);
                look.shows(LINK, json!("live"));
            }
            "bad" => {
                look.browser.press(SPACE);
                look.shows(PATHS, json!([]));
                look.browser.press(SPACE);
                look.shows(PATHS, json!(["y", "z"]));
            }
            "query" => {
                look.browser.press("z");
                look.shows(PATHS, json!(["z"]));
                look.browser.press("\u{e003}");
                look.shows(PATHS, json!(["y", "z"]));
            }
            "Size" => {
                look.browser.press(ENTER);
                look.shows(PATHS, json!(["z", "y"]));
            }
            _ => {}
        }
    }
    assert_eq!(passed, ["skip", "pause", "bad", "query", "File", "Object", "State", "Mode", "Size", "Since", "Why"]);
    look.open("");
    look.browser.press(TAB);
    look.browser.press(ENTER);
    look.shows("[document.activeElement.id, location.hash]", json!(["files", ""]));
    look.browser.press(TAB);
    look.shows("document.activeElement.id", json!("bad"));
    look.browser.said_nothing();
}

/// The names of everything that has this role.
fn heard(look: &Look, role: &str) -> Vec<Value> {
    let tree = look.browser.tool("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == json!(false) && node["role"]["value"] == role);
    nodes.map(|node| node["name"]["value"].clone()).collect()
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_screen_reader_hears_the_verdict_and_finds_every_row() {
    let setup = Setup::in_process();
    bulk(&setup, 3);
    let look = Look::at(setup);
    look.shows("document.querySelectorAll('#blocks tr').length", json!(300));
    let of = |role: &str| heard(&look, role);
    assert!(of("table").contains(&json!("Files and their objects")), "{:?}", of("table"));
    // Rows far away come into that tree as they come near; which of how many they are is told of each.
    look.shows(
        "[document.getElementById('table').getAttribute('aria-rowcount'), ...[...document.querySelectorAll('#blocks tr')].map((tr) => Number(tr.getAttribute('aria-rowindex'))).filter((index, at) => index !== at + 2)]",
        json!(["301"]),
    );
    look.run("[...document.querySelectorAll('#blocks tr')].at(-1).scrollIntoView()");
    wait_for("the last row", DEADLINE, || of("StaticText").contains(&json!("002-99.yaml")));
    for title in ["File", "Object", "State", "Mode", "Size", "Since", "Why"] {
        assert!(of("columnheader").contains(&json!(title)), "{title}: {:?}", of("columnheader"));
    }
    look.shows("[sentence.getAttribute('role'), sentence.textContent !== '']", json!(["status", true]));
    look.shows(
        "[...document.querySelectorAll('main table')].filter((table) => !table.closest('#blocks') && !table.caption).length",
        json!(0),
    );
    // What changes is said; what stands there is not said again.
    look.run("window.said = []; new MutationObserver(() => said.push(sentence.textContent)).observe(sentence, { childList: true, characterData: true, subtree: true });");
    look.setup.cluster.configmap("other", &[("000-00.yaml", "2")]).create();
    look.shows(STATE, json!("bad"));
    look.shows("said.at(-1) === sentence.textContent && new Set(said).size === said.length", json!(true));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn what_is_printed_is_all_there_and_has_no_buttons() {
    let setup = Setup::in_process();
    bulk(&setup, 2);
    let look = Look::at(setup);
    look.browser.tool("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    let hidden = "['tools', 'pause'].every((id) => getComputedStyle(document.getElementById(id)).display === 'none')";
    look.shows(hidden, json!(true));
    look.shows(
        "[...document.querySelectorAll('.block')].every((block) => getComputedStyle(block).contentVisibility === 'visible')",
        json!(true),
    );
    look.shows("getComputedStyle(document.body).backgroundColor", json!("rgb(255, 255, 255)"));
    look.browser.said_nothing();
}

/// The README's picture, and what it may weigh.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images/status.png");
const PICTURE_BYTES_MAX: usize = 200_000;

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn the_picture_in_the_readme_is_one_of_this_page() {
    let web = WebServer::start();
    web.on("/reload", Answer::ok(""));
    let setup = Setup::in_process();
    // Names such as people give.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    setup.cluster.client().post("/api/v1/namespaces", &namespace).ok("a namespace");
    scene(&setup, "shop");
    let home = tempfile::Builder::new().prefix("grafana-").tempdir().unwrap();
    let folder = home.path().join("dashboards");
    fs::create_dir(&folder).unwrap();
    let look = Look::with(setup, |builder| builder.env("NAMESPACE", "shop").folder(&folder).env("REQ_URL", &web.url("/reload")));
    look.shows(STATE, json!("bad"));
    web.wait_for("/reload", 1);
    look.shows("document.querySelector('#changes .told p')?.className ?? ''", json!("well-text"));
    look.browser.size(1120, 1060);
    let picture = look.browser.picture();
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images")).unwrap();
        fs::write(PICTURE, &picture).unwrap();
    }
    let kept = fs::read(PICTURE).unwrap_or_else(|error| panic!("{PICTURE}: {error}: UPDATE_PICTURE=1 makes it"));
    let shape = |png: &[u8]| (png[..4].to_vec(), png[16..24].to_vec());
    assert_eq!(shape(&kept), shape(&picture), "another size: UPDATE_PICTURE=1 makes it anew");
    assert!(kept.len() < PICTURE_BYTES_MAX, "{} bytes", kept.len());
    look.browser.said_nothing();
}
