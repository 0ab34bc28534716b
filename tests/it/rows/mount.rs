//! Mounts in a place of their own that are gone with the test, and accounts without a name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::projector::Builder;
use crate::support::{Cluster, Projector};

/// The uid that no passwd file knows.
pub const NOBODY: u32 = 4711;

/// Runs a command that must work; says what it needs when it does not.
pub fn command(line: &[&str]) {
    let output = Command::new(line[0]).args(&line[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{line:?}: {error}; these tests need root, mount, setpriv and strace"));
    assert!(output.status.success(), "{line:?}: {}; these tests need root", String::from_utf8_lossy(&output.stderr));
}

/// A small file system of one's own.
pub struct Mount {
    home: TempDir,
    others: Vec<PathBuf>,
}

impl Mount {
    /// A tmpfs with these options.
    pub fn tmpfs(options: &str) -> Self {
        Self::of("tmpfs", options)
    }

    /// A file system that needs no device.
    pub fn of(kind: &str, options: &str) -> Self {
        let mount = Self::place();
        command(&["mount", "-t", kind, "-o", options, kind, &mount.shown()]);
        mount
    }

    /// An empty ext4 in a file.
    pub fn ext4() -> Self {
        let mount = Self::place();
        let image = mount.beside("image");
        fs::File::create(&image).and_then(|file| file.set_len(16 << 20)).unwrap();
        let image = image.display().to_string();
        command(&["mkfs.ext4", "-q", "-F", &image]);
        command(&["mount", "-o", "loop", &image, &mount.shown()]);
        fs::remove_dir(mount.path().join("lost+found")).unwrap();
        mount
    }

    fn place() -> Self {
        let mount = Self { home: TempDir::new().unwrap(), others: Vec::new() };
        fs::create_dir(mount.path()).unwrap();
        mount
    }

    /// Mounts a new tmpfs in the same place.
    pub fn again(&self, options: &str) {
        command(&["mount", "-t", "tmpfs", "-o", options, "tmpfs", &self.shown()]);
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// A place beside the mount.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn shown(&self) -> String {
        self.path().display().to_string()
    }

    pub fn remount(&self, options: &str) {
        command(&["mount", "-o", &format!("remount,{options}"), &self.shown()]);
    }

    pub fn unmount(&self) {
        command(&["umount", "-l", &self.shown()]);
    }

    /// Lays a file over another one; gone with the mount at the latest.
    pub fn bind(&mut self, from: &Path, onto: &Path) {
        command(&["mount", "--bind", &from.display().to_string(), &onto.display().to_string()]);
        self.others.push(onto.to_owned());
    }

    pub fn unbind(&mut self) {
        self.others.drain(..).for_each(|path| command(&["umount", "-l", &path.display().to_string()]));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for path in self.others.iter().chain([&self.path()]) {
            // It may be unmounted already.
            drop(Command::new("umount").arg("-l").arg(path).output());
        }
    }
}

/// What a uid without name needs: a folder of its own, the kubeconfig and the binary where it may read them.
pub struct Account {
    home: TempDir,
}

impl Account {
    pub fn new() -> Self {
        let home = TempDir::new().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let folder = home.path().join("folder");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).expect("these tests need root");
        // By another process: children that other tests start meanwhile would inherit our open file, and nobody can run it then.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_kube-projector")).arg(home.path().join("kube-projector")).status();
        assert!(copied.expect("cp runs").success());
        Self { home }
    }

    pub fn folder(&self) -> PathBuf {
        self.home.path().join("folder")
    }

    /// A launch as that uid, without the groups of root, under this umask.
    pub fn launch(&self, cluster: &Cluster, umask: &str, group: u32) -> Builder {
        let kubeconfig = self.home.path().join("kubeconfig");
        fs::copy(cluster.kubeconfig(), &kubeconfig).unwrap();
        fs::set_permissions(&kubeconfig, fs::Permissions::from_mode(0o644)).unwrap();
        let script = format!("umask {umask}; exec setpriv --reuid={NOBODY} --regid={NOBODY} --groups={group} -- \"$@\"");
        Projector::on(cluster, &self.folder())
            .kubeconfig(&kubeconfig)
            .binary(&self.home.path().join("kube-projector"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .wrapper(&["/bin/sh", "-c", &script, "nobody"])
    }
}
