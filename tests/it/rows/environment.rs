//! S17: what the programs that we start, and processes of our uid, see of our environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::mount::{Account, NOBODY};
use crate::common::Setup;
use crate::sidecar_hooks::write_by_child;
use crate::support::projector::Builder;
use crate::support::*;

/// Notes what it has of the environment, what the list of changes says, and what it can read of its parent.
const SCRIPT: &str = "#!/bin/sh
cd \"$FOLDER\"
cat \"$PROJECTOR_CHANGED\" > .changed
cat /proc/$PPID/environ > .parent
cat /proc/$PPID/maps >> .parent
{ env; echo END; } > .script
";
/// As the child: the same, and waits for its end.
const CHILD: &str = "cd $FOLDER; cat /proc/$PPID/environ > .parent; { env; echo END; } > .child; exec sleep 100";
const SECRETS: [(&str, &str); 5] = [
    ("REQ_USERNAME", "canary-user"),
    ("REQ_PASSWORD", "canary-password"),
    ("REQ_PAYLOAD", "canary-payload"),
    ("REQ_URL", "http://127.0.0.1:1/canary-url"),
    ("CONFIG_CONTROLLER_URL", "http://127.0.0.1:1/canary-former"),
];

/// What container runtimes leave to root.
const CONTAINER: &str = "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,\
                         +net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";

fn launch(builder: Builder) -> Builder {
    let builder = builder.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("REQ_RETRY_CONNECT", "0").env("MINE", "yes");
    SECRETS.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
}

/// What was noted under this name, whole.
fn noted(folder: &std::path::Path, name: &str) -> String {
    wait_until(name, DEADLINE, || {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        if text.ends_with("END\n") { Ok(text) } else { Err(text) }
    })
}

/// Runs the script, then the child; neither has a secret, and neither can read ours.
fn inherits_nothing_secret(builder: Builder, folder: &std::path::Path) {
    let script = folder.join("..script");
    write_by_child(&script, SCRIPT, "755");
    let finished = launch(builder.clone()).env("SCRIPT", &script.display().to_string()).env("METHOD", "LIST").run();
    let seen = noted(folder, ".script");
    assert!(seen.contains("MINE=yes") && !seen.contains("canary"), "{seen}\n{}", finished.stderr);
    let [parent, changed] = [".parent", ".changed"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    assert_eq!((parent, changed), (String::new(), format!("{}\n", folder.join("a").display())), "{}", finished.stderr);
    let projector = launch(builder).args(&["run", "--", "/bin/sh", "-c", CHILD]).start();
    let seen = noted(folder, ".child");
    assert!(seen.contains("MINE=yes") && !seen.contains("canary"), "{seen}\n{}", projector.output());
    assert_eq!(fs::read_to_string(folder.join(".parent")).unwrap(), "");
}

#[test]
fn s17_as_non_root_script_and_child_neither_inherit_secrets_nor_read_ours() {
    let cluster = Cluster::in_process();
    let account = Account::new();
    fs::set_permissions(account.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    cluster.configmap("a", &[("a", "1")]).create();
    inherits_nothing_secret(account.launch(&cluster, "022", NOBODY), &account.folder());
}

#[test]
fn s17_as_root_of_a_container_script_and_child_neither_inherit_secrets_nor_read_ours() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = setup.projector().wrapper(&["setpriv", CONTAINER, "--"]);
    inherits_nothing_secret(builder.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), &setup.folder());
}

#[test]
fn s17_a_credential_plugin_of_a_kubeconfig_gets_none_of_them() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut kubeconfig: serde_json::Value = serde_json::from_slice(&fs::read(setup.cluster.kubeconfig()).unwrap()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let (version, plugin, seen) = ("client.authentication.k8s.io/v1", setup.beside("plugin"), setup.beside("seen"));
    let answer = serde_json::json!({"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}});
    write_by_child(&plugin, &format!("#!/bin/sh\nenv > {}\necho '{answer}'\n", seen.display()), "755");
    kubeconfig["users"][0]["user"] = serde_json::json!({
        "exec": {"apiVersion": version, "command": plugin, "interactiveMode": "Never"},
    });
    fs::write(setup.beside("kubeconfig"), kubeconfig.to_string()).unwrap();
    let finished = launch(setup.projector()).kubeconfig(&setup.beside("kubeconfig")).env("METHOD", "LIST").run();
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("MINE=yes") && !seen.contains("canary"), "{seen}\n{}", finished.stderr);
}

/// What a projector of an unknown uid says that looks for a process which there is not, after this preparation as root.
fn looks_in_vain(prepared: &str) -> String {
    let cluster = Cluster::in_process();
    let account = Account::new();
    cluster.configmap("a", &[("a", "1")]).create();
    let script = format!("{prepared}; exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups -- \"$@\"");
    let builder = account.launch(&cluster, "022", NOBODY).env("SIGNAL_PROCESS", "no-such-program");
    let projector = builder.wrapper(&["unshare", "-m", "/bin/sh", "-c", &script, "nobody"]).start();
    projector.wait_output("no process ");
    projector.output()
}

#[test]
fn c6_who_looks_among_processes_that_may_not_be_looked_into_is_told_so() {
    // This test runs as root: its processes cannot be looked into by others.
    let output = looks_in_vain(":");
    assert!(output.contains("they run as another uid than 4711"), "{output}");
    let output = looks_in_vain("mount -t proc -o hidepid=2 proc /proc");
    assert!(output.contains("/proc shows none but those of our uid (hidepid)"), "{output}");
    let output = looks_in_vain("mount -t proc -o hidepid=1 proc /proc");
    assert!(output.contains("or /proc hides what they are (hidepid)"), "{output}");
}

#[test]
fn s17_script_env_decides_and_the_profile_of_k8s_sidecar_keeps_them() {
    for (profile, environment, expected) in
        [("default", "all", 5), ("default", "clean", 0), ("k8s-sidecar", "", 5), ("k8s-sidecar", "clean", 0), ("k8s-sidecar", "all", 5)]
    {
        let setup = Setup::in_process();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let script = setup.path("..script");
        write_by_child(&script, SCRIPT, "755");
        let builder = launch(setup.projector()).env("PROFILE", profile).env("SCRIPT_ENV", environment);
        let finished = builder.env("SCRIPT", &script.display().to_string()).env("METHOD", "LIST").run();
        let seen = noted(&setup.folder(), ".script");
        assert_eq!(seen.matches("canary").count(), expected, "{profile} {environment:?}: {seen}\n{}", finished.stderr);
    }
}
