//! Which system calls a dry run may not make: those that change a file, tell a process, or reach anybody but the API server.

use std::path::Path;

use crate::support::projector::Builder;

/// The same launch, with every call of every thread written to a file.
pub fn traced(launch: Builder, to: &Path) -> Builder {
    launch.wrapper(&["strace", "-D", "-f", "-qq", "-y", "-o", &to.display().to_string()])
}

/// Calls that change files, and those that tell processes or make some.
const NEVER: &[&str] = &[
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "link",
    "symlink",
    "mknod",
    "chmod",
    "fchmod",
    "chown",
    "fchown",
    "lchown",
    "truncate",
    "ftruncate",
    "fallocate",
    "utime",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "fsync",
    "fdatasync",
    "sync",
    "syncfs",
    "flock",
    "memfd_create",
    "copy_file_range",
    "sendfile",
    "pwrite64",
    "pwritev",
    "kill",
    "pidfd_send_signal",
    "pidfd_open",
    "execve",
    "execveat",
    "fork",
    "vfork",
    "mount",
    "umount2",
];

/// What of a trace no dry run may do, whose API server listens on this port. Its own start is its first `execve`.
pub fn forbidden(trace: &str, port: &str) -> Vec<String> {
    let calls = trace.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start());
    let own_start = trace.lines().position(|line| line.contains("execve(")).unwrap_or_default();
    calls.enumerate().filter(|(at, call)| *at > own_start && is_forbidden(call, port)).map(|(_, call)| call.to_owned()).collect()
}

fn is_forbidden(call: &str, port: &str) -> bool {
    let Some((name, arguments)) = call.split_once('(') else { return false };
    let plain = name.strip_suffix("at").or_else(|| name.strip_suffix("at2")).unwrap_or(name);
    match name {
        "open" | "openat" | "openat2" | "creat" => {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE", "O_APPEND"].iter().any(|flag| arguments.contains(flag));
            (writes || name == "creat") && !arguments.contains("\"/dev/null\"")
        }
        "fcntl" => arguments.contains("F_SETLK") || arguments.contains("F_OFD_SETLK"),
        // A process has its own memory, a thread has not.
        "clone" | "clone3" => !arguments.contains("CLONE_THREAD"),
        "connect" => !arguments.contains(&format!("htons({port})")) || !arguments.contains("127.0.0.1"),
        // By `-y`: to a file by its path, where it is none of the two that were given for the log.
        "write" | "writev" | "sendto" | "sendmsg" | "sendmmsg" => {
            let number = arguments.split(['<', ',']).next().unwrap_or_default();
            let to = arguments.split_once('<').and_then(|(_, rest)| rest.split('>').next()).unwrap_or_default();
            !matches!(number, "1" | "2") && to.starts_with('/') && !to.starts_with("/dev/null")
        }
        _ => NEVER.contains(&name) || (name.ends_with("at") || name.ends_with("at2")) && NEVER.contains(&plain),
    }
}

#[test]
fn what_changes_something_is_found() {
    let trace = "\
1 execve(\"/kube-projector\", [], 0x1) = 0
1 openat(AT_FDCWD</>, \"/f\", O_RDONLY|O_CLOEXEC) = 3</f>
1 openat(3</f>, \"a\", O_WRONLY|O_CREAT|O_EXCL, 0600) = 4</f/a>
1 write(4</f/a>, \"1\", 1) = 1
1 write(2</log>, \"1\", 1) = 1
1 write(5<anon_inode:[eventfd]>, \"1\", 8) = 8
1 renameat2(3</f>, \"a\", 3</f>, \"b\", RENAME_NOREPLACE) = 0
1 unlinkat(3</f>, \"a\", 0) = 0
1 fchmodat(3</f>, \"a\", 0600) = 0
1 mkdirat(3</f>, \"a\", 0700) = 0
1 flock(4</f/a>, LOCK_EX|LOCK_NB) = 0
1 connect(6<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0
1 connect(6<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0
1 clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 2
1 clone3({flags=CLONE_VM|CLONE_VFORK}, 88) = 2
1 execve(\"/script\", [], 0x1) = 0
1 statx(3</f>, \"\", AT_EMPTY_PATH, STATX_MNT_ID, 0x1) = 0
";
    let found: Vec<String> = forbidden(trace, "443").iter().map(|call| call.split('(').next().unwrap().to_owned()).collect();
    assert_eq!(found, ["openat", "write", "renameat2", "unlinkat", "fchmodat", "mkdirat", "flock", "connect", "clone3", "execve"]);
}
