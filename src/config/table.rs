//! The one table of settings: name, default, flag, meaning. `--help`, `docs/configuration.md` and the defaults in use come from it.

use crate::config::group::Group;

/// One environment variable that we read.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Name of the variable, in upper case.
    pub(crate) name: &'static str,
    /// What holds while the variable is unset or empty.
    pub(crate) default: Fallback,
    /// The flag that says the same and beats the variable, with its dashes.
    pub(crate) flag: Option<&'static str>,
    /// What the variable does, as one line of plain text.
    pub(crate) meaning: &'static str,
    /// Under which heading it is documented.
    pub(crate) group: Group,
}

/// What holds while a variable is unset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fallback {
    /// Nothing: the program does not start without it.
    Required,
    /// The same as if the variable had this value.
    Value(&'static str),
    /// A default that no single value expresses, in words.
    Described(&'static str),
    /// The feature is not used.
    Unset,
}

/// The setting of this name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

/// Variables whose values may not be shown: those of settings, and the name that one of them has elsewhere.
pub(crate) const SECRETS: [&str; 6] = ["REQ_USERNAME", "REQ_PASSWORD", "REQ_HEADERS", "REQ_PAYLOAD", "REQ_URL", "CONFIG_CONTROLLER_URL"];

/// Whether a value of this setting may not be shown.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

const fn setting(group: Group, name: &'static str, default: Fallback, meaning: &'static str) -> Setting {
    Setting { name, default, flag: None, meaning, group }
}

const fn flagged(flag: &'static str, setting: Setting) -> Setting {
    Setting { flag: Some(flag), ..setting }
}

use Fallback::{Described, Required, Unset, Value};
use Group::{Cluster, Files, Health, Log, Objects, Ownership, Reactions, Watches, Web};

/// Every setting, in the order in which it is documented and in which problems are reported.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        Objects,
        "PROFILE",
        Value("default"),
        "Which defaults hold and how values are read: default; k8s-sidecar, which takes the place of kiwigrid/k8s-sidecar; config-controller, which takes that of k8s-config-controller; or dovecot-director, which takes that of the Dovecot Director Controller.",
    ),
    flagged("--label", setting(Objects, "LABEL", Required, "Key of the label that an object must carry.")),
    flagged(
        "--label-value",
        setting(Objects, "LABEL_VALUE", Unset, "Value that the label must have. Unset: any value. Set but empty: the empty value."),
    ),
    flagged(
        "--namespace",
        setting(
            Objects,
            "NAMESPACE",
            Value("ALL"),
            "ALL, one namespace, or several with commas between them. ALL is one cluster-wide watch.",
        ),
    ),
    setting(Objects, "RESOURCE", Value("both"), "Kinds of object: configmap, secret or both."),
    setting(
        Objects,
        "RESOURCE_NAME",
        Unset,
        "Follow only the objects of these names, whatever their labels: NAME, KIND/NAME or NAMESPACE/KIND/NAME, with commas between them. Not with NAMESPACE=ALL.",
    ),
    flagged(
        "--object",
        setting(
            Objects,
            "OBJECT",
            Unset,
            "Follow exactly these objects, whatever their labels: KIND/NAMESPACE/NAME with commas between them, where KIND is configmap or secret. LABEL is not required then; with it, labelled objects are projected too.",
        ),
    ),
    setting(
        Objects,
        "ON_DELETE",
        Value("keep"),
        "What becomes of the files of an object in OBJECT that is deleted: keep, until it is there again or not in OBJECT any more, or remove.",
    ),
    flagged(
        "--once",
        setting(
            Objects,
            "METHOD",
            Value("WATCH"),
            "WATCH follows changes. LIST writes once, removes what is no longer wanted and ends. SLEEP lists every SLEEP_TIME seconds. The flag means LIST.",
        ),
    ),
    setting(
        Objects,
        "SLEEP_TIME",
        Value("60"),
        "Seconds between two lists with METHOD=SLEEP, and between two readings of an object that may be read by its name only.",
    ),
    flagged(
        "--source",
        setting(
            Objects,
            "SOURCE",
            Value("cluster"),
            "cluster, or a folder or file with manifests of ConfigMaps and Secrets that is read instead, without finalizers and Events (one that is named cluster: ./cluster). It must lie apart from FOLDER.",
        ),
    ),
    setting(
        Objects,
        "SOURCE_SETTLE",
        Value("1"),
        "Seconds for which nothing in the folder that SOURCE names may have changed before what is missing there counts, a file, a document or a key; at the latest after ten times as long. Additions and edits count at once.",
    ),
    setting(Objects, "KUBECONFIG", Described("the pod's service account, elsewhere ~/.kube/config"), "File that leads to the cluster."),
    flagged("--folder", setting(Files, "FOLDER", Required, "Folder that is kept equal to what the objects say. It is made if missing.")),
    setting(
        Files,
        "FOLDER_ANNOTATION",
        Value("k8s-sidecar-target-directory"),
        "Annotation by which an object names another folder for its files, relative to FOLDER or absolute.",
    ),
    setting(
        Files,
        "ALLOWED_FOLDERS",
        Described("FOLDER only"),
        "More folders that annotations may name, with commas between them. No file is ever written outside of FOLDER and these.",
    ),
    setting(
        Files,
        "UNIQUE_FILENAMES",
        Value("false"),
        "Files are named NAMESPACE.KIND_NAME.KEY (kind in lower case) instead of KEY, so that no two objects claim one path.",
    ),
    setting(
        Files,
        "FOLDER_PER_NAMESPACE",
        Value("false"),
        "Files of each namespace go to a folder of its name, annotated folders below that; absolute ones stay where they are.",
    ),
    setting(Files, "DEFAULT_FILE_MODE", Value("644"), "Mode of every file, whatever the umask: three or four octal digits."),
    setting(Files, "FOLDER_MODE", Value("755"), "Mode of every folder that we make below FOLDER: three or four octal digits."),
    setting(
        Files,
        "RESYNC",
        Value("600"),
        "Seconds between two checks of what is on disk, by which edited or deleted files are repaired. 0: only at start.",
    ),
    setting(
        Files,
        "DURABILITY",
        Value("none"),
        "When bytes are forced to the disk: none, each (file) or batch. Readers see whole files in every case; a file torn by power loss is healed at start.",
    ),
    setting(Files, "GZIP_KEYS", Value("false"), "Whether a key ending in .gz is written unpacked, up to URL_MAX_BYTES, without it."),
    setting(Files, "OBJECT_ANNOTATIONS", Value("true"), "Whether an object's file-mode, skip and on-delete annotations count."),
    setting(
        Ownership,
        "CONFLICT",
        Value("oldest"),
        "Which object keeps a path that several claim: the oldest, or the newest, for generators that rename objects and do not prune. Ties go by kind, namespace and name.",
    ),
    setting(
        Ownership,
        "ADOPT",
        Value("overwrite"),
        "What happens to a foreign file at a wanted path: overwrite, equal (taken over if its bytes are the wanted ones) or never. The last two need a file system with hard links or a rename that replaces nothing.",
    ),
    setting(
        Ownership,
        "INSTANCE",
        Unset,
        "Name of this projector among those that share FOLDER, up to 63 of A-Z a-z 0-9 . _ -. With it, only the same INSTANCE takes over its files.",
    ),
    setting(
        Ownership,
        "LEDGER",
        Described("a dot-file in FOLDER"),
        "Where the list of the files that are ours is kept: a name in FOLDER, or a path if it contains a slash. With a path, what was told of pods and Secrets is kept beside it, also without FOLDER.",
    ),
    setting(
        Ownership,
        "LEDGER_FORMER",
        Unset,
        "Ledgers that this deployment kept before LABEL, NAMESPACE or LEDGER changed, with commas between them: names in FOLDER, or paths. Their files are taken over, and removed where nobody wants them.",
    ),
    setting(
        Ownership,
        "PRUNE_EMPTY",
        Value("false"),
        "Whether the files of a former LABEL, NAMESPACE or SOURCE are removed although nothing matches the present one.",
    ),
    setting(Ownership, "STAGING", Unset, "An absolute path outside of FOLDER, on its mount, where files are made, unseen by its readers."),
    setting(
        Web,
        "URL_KEYS",
        Value("false"),
        "Whether a key that ends in .url names a URL, and its file, without that ending, holds what lies there.",
    ),
    setting(
        Web,
        "URL_ALLOW",
        Unset,
        "The only origins that .url keys may name, as SCHEME://HOST:PORT with commas between them. Unset: any but link-local addresses.",
    ),
    setting(
        Web,
        "URL_CREDENTIAL_ORIGINS",
        Described("the origin of REQ_URL; any while REQ_URL is unset"),
        "Origins that get REQ_USERNAME and REQ_PASSWORD, or REQ_TOKEN_FILE and REQ_HEADERS, when a .url key names them, with commas between them. An asterisk gives the first two to any.",
    ),
    setting(Web, "URL_MAX_BYTES", Value("16777216"), "The largest file that is fetched from a URL, in bytes, after unpacking."),
    setting(
        Web,
        "IGNORE_ALREADY_PROCESSED",
        Value("false"),
        "Whether what lies behind a URL is fetched only once, and not again at each RESYNC.",
    ),
    setting(Web, "ENABLE_5XX", Value("false"), "Whether an answer of 5xx is final. Otherwise the request is tried again."),
    setting(Web, "REQ_TIMEOUT", Value("10"), "Seconds to connect to another server, and between two parts of its answer."),
    setting(Web, "REQ_ANSWER_TIMEOUT", Value("120"), "Seconds for the answer to REQ_URL, at least REQ_TIMEOUT; then it is asked slowly."),
    setting(Web, "REQ_RETRY_TOTAL", Value("5"), "Retries after answers that say: later."),
    setting(
        Web,
        "REQ_RETRY_CONNECT",
        Value("10"),
        "Retries while a server cannot be reached. With ten it is given up after about eight minutes.",
    ),
    setting(Web, "REQ_RETRY_READ", Value("5"), "Retries after a connection that broke, and after no answer to REQ_URL."),
    setting(Web, "REQ_RETRY_BACKOFF_FACTOR", Value("1.1"), "Seconds; pauses between retries are 0, 2, 4, 8 … times this, at most 120."),
    setting(Web, "REQ_USERNAME", Unset, "User name for other servers. Sent only together with a password."),
    setting(Web, "REQ_PASSWORD", Unset, "Password for other servers."),
    flagged(
        "--req-username-file",
        setting(Web, "REQ_USERNAME_FILE", Unset, "File with the user name, read again for each request. Beats REQ_USERNAME."),
    ),
    flagged(
        "--req-password-file",
        setting(Web, "REQ_PASSWORD_FILE", Unset, "File with the password, read again for each request. Beats REQ_PASSWORD."),
    ),
    setting(
        Web,
        "REQ_TOKEN_FILE",
        Unset,
        "File with a bearer token, read again for each request. It goes to the origin of REQ_URL and to those that URL_CREDENTIAL_ORIGINS names one by one. Not together with REQ_PASSWORD.",
    ),
    setting(
        Web,
        "REQ_HEADERS",
        Unset,
        "More headers, a line NAME: VALUE each, for whom REQ_TOKEN_FILE is. Not together with REQ_PASSWORD.",
    ),
    setting(Web, "REQ_HEADERS_FILE", Unset, "File with such lines, read again for each request. Of one name those in the file count."),
    setting(Web, "REQ_BASIC_AUTH_ENCODING", Value("latin1"), "Encoding of user name and password: latin1, utf-8 or ascii."),
    setting(Web, "REQ_SKIP_TLS_VERIFY", Value("false"), "Whether certificates of other servers are not checked."),
    setting(
        Web,
        "REQUESTS_CA_BUNDLE",
        Unset,
        "File with the certificates that other servers are checked against, instead of the system's.",
    ),
    setting(Web, "CURL_CA_BUNDLE", Unset, "Other name of REQUESTS_CA_BUNDLE, which wins if both are set."),
    setting(
        Reactions,
        "REQ_URL",
        Unset,
        "URL that is requested after files have changed. With {pod} as its host each ready pod of EXEC_LABELS in EXEC_NAMESPACE is asked at its own address. That needs rbac/pods.yaml.",
    ),
    setting(Reactions, "REQ_SERVER_NAME", Unset, "With https://{pod} in REQ_URL: the name that the certificate of those pods is for."),
    setting(Reactions, "REQ_METHOD", Value("GET"), "Method of that request: GET, POST, PUT or PATCH."),
    setting(
        Reactions,
        "REQ_PAYLOAD",
        Unset,
        "Body of that request: JSON as it is, other text as a JSON string. Unset: an empty body without a type.",
    ),
    setting(
        Reactions,
        "REQ_SKIP_INIT",
        Value("false"),
        "Whether there is no request after the first pass with METHOD=WATCH or SLEEP. What changed since an earlier process had all files there is told all the same.",
    ),
    setting(
        Reactions,
        "SCRIPT",
        Unset,
        "Script that is run after files have changed, before the request: directly, or by sh if it is not executable. PROJECTOR_CHANGED names a file that lists the changed paths, PROJECTOR_CHANGES one that says what became of each and for which object.",
    ),
    setting(Reactions, "SCRIPT_ENV", Value("clean"), "What the script has of our environment: clean, without secret settings, or all."),
    setting(Reactions, "SCRIPT_TIMEOUT", Value("60"), "Seconds after which the script is killed."),
    setting(Reactions, "SCRIPT_RETRIES", Value("5"), "Quick retries of a script that failed; it is tried slowly after them. 0: never."),
    setting(
        Reactions,
        "SIGNAL_PROCESS",
        Unset,
        "Program that gets a signal after files have changed: its name or its path. In another container only with shareProcessNamespace.",
    ),
    setting(
        Reactions,
        "SIGNAL_PIDFILE",
        Unset,
        "File with the number of the process that gets the signal. Not together with SIGNAL_PROCESS.",
    ),
    setting(
        Reactions,
        "SIGNAL",
        Value("HUP"),
        "The signal: HUP, INT, QUIT, KILL, USR1, USR2, ALRM, TERM, CONT, STOP, WINCH or CHLD, with or without SIG, or its number.",
    ),
    setting(
        Reactions,
        "EXEC_LABELS",
        Unset,
        "Label selector of the pods in which EXEC_COMMAND is run, which needs rbac/exec.yaml, or that REQ_URL asks.",
    ),
    setting(
        Reactions,
        "EXEC_NAMESPACE",
        Described("the namespace of the pod that we run in"),
        "Namespace of those pods, and of the pods and Secrets that are watched.",
    ),
    setting(
        Reactions,
        "EXEC_CONTAINER",
        Described("the one that kubectl.kubernetes.io/default-container names, else the first"),
        "Container of those pods.",
    ),
    setting(
        Reactions,
        "EXEC_COMMAND",
        Unset,
        "The command: a JSON array with the program and its arguments, or text for sh -c. The end of what it prints is logged.",
    ),
    setting(Reactions, "EXEC_TIMEOUT", Value("30"), "Seconds after which the command counts as failed in a pod."),
    setting(
        Reactions,
        "EXEC_RETRIES",
        Value("3"),
        "Retries in the pods where it failed, with the pauses of REQ_RETRY_BACKOFF_FACTOR; after them slowly.",
    ),
    setting(Reactions, "EXEC_ONLY_READY", Value("true"), "Whether pods that run but are not ready are left out."),
    setting(Reactions, "EXEC_CONCURRENCY", Value("4"), "How many pods run it, or are asked, at the same time."),
    setting(
        Reactions,
        "EXEC_ON",
        Described("files, where anything is projected"),
        "Whether the command runs in pods after files have changed: files or none.",
    ),
    setting(Reactions, "EXEC_ON_START", Value("false"), "Whether the command runs once after each start. Not with METHOD=LIST."),
    setting(
        Reactions,
        "EXEC_DELAY",
        Value("0"),
        "Seconds between a pod that became ready and the command; another such pod begins them anew, up to ten times.",
    ),
    setting(
        Reactions,
        "WATCH_PODS_LABELS",
        Unset,
        "Label selector of pods in EXEC_NAMESPACE after which the command runs when one becomes ready or has another address.",
    ),
    setting(
        Reactions,
        "WATCH_SECRET_TYPE",
        Unset,
        "Type of Secrets in EXEC_NAMESPACE, for example kubernetes.io/tls, after which the command runs when one is new or its data changed.",
    ),
    setting(Reactions, "WATCH_SECRET_LABELS", Described("any"), "Label selector of those Secrets."),
    setting(
        Reactions,
        "EXEC_SECRET_DELAY",
        Value("70"),
        "Seconds between such a Secret and the command, because mounted Secrets follow about a minute late; another change begins them anew, up to ten times.",
    ),
    setting(
        Reactions,
        "CHILD_START",
        Value("ready"),
        "When the command after -- is started: ready, which is after the first complete projection, or now.",
    ),
    setting(Reactions, "RELOAD_SIGNAL", Value("HUP"), "The signal that tells the child of changes: its name or its number."),
    setting(
        Reactions,
        "RELOAD_RESTART",
        Value("false"),
        "Whether the child is stopped and started again after changes, instead of the signal.",
    ),
    setting(Reactions, "KILL_SIGNAL", Value("TERM"), "The signal that ends the child when it is to be started again."),
    setting(
        Reactions,
        "KILL_TIMEOUT",
        Value("10"),
        "Seconds, also with a fraction, that the child has to end when it is asked to, before it is killed with its process group.",
    ),
    setting(
        Reactions,
        "CHILD_RESTART",
        Value("never"),
        "What follows when the child ends by itself: never, which ends us with its code, or always, which starts it again after a pause that grows from 1 to 60 seconds.",
    ),
    setting(Reactions, "REACT_OUTPUT", Value("guarded"), "When what it says is logged: guarded, not with files of Secrets; or always."),
    setting(
        Reactions,
        "ON_RELOAD_FAILURE",
        Value("report"),
        "What it means when the application cannot be told: report (the reason stands in the body of /healthz), unready (/readyz answers 503, too) or unhealthy (/healthz does).",
    ),
    setting(
        Reactions,
        "REACT_WINDOW",
        Value("0.2"),
        "Seconds without a change after which the application is told, once for all changes since; at the latest after ten times this.",
    ),
    setting(
        Reactions,
        "REQ_ONCE_PER_BATCH",
        Value("false"),
        "The same as REACT_WINDOW=0.2, unless REACT_WINDOW is set. Without both, the application is told once per changed object.",
    ),
    setting(Reactions, "REACT_ON_START", Value("false"), "Whether the application is told once after each start, whatever changed."),
    setting(
        Reactions,
        "REACT_JITTER",
        Value("0"),
        "Seconds by which whatever is to be told is delayed at most, by chance, so that replicas do not all reload at once. Not before retries, nor with METHOD=LIST.",
    ),
    setting(Watches, "WATCH_SERVER_TIMEOUT", Value("600"), "Seconds after which the API server ends a watch."),
    setting(
        Watches,
        "WATCH_CLIENT_TIMEOUT",
        Value("660"),
        "Seconds after which we end a watch. Raised to WATCH_SERVER_TIMEOUT + 5 if it is less.",
    ),
    setting(Watches, "SKIP_TLS_VERIFY", Value("false"), "Whether the API server's certificate is not checked."),
    setting(Watches, "DISABLE_X509_STRICT_VERIFICATION", Value("false"), "Accepted for k8s-sidecar's sake, without effect."),
    setting(
        Watches,
        "ERROR_THROTTLE_SLEEP",
        Value("5"),
        "Accepted for k8s-sidecar's sake, without effect: waits after errors grow and scatter.",
    ),
    setting(Health, "LIVENESS", Value("true"), "Whether /healthz and /readyz are served."),
    setting(Health, "HEALTH_PORT", Value("8080"), "Port of the health endpoint. A port that is taken does not stop the projector."),
    setting(Health, "HEALTHCHECK_PORT", Unset, "Other name of HEALTH_PORT, which wins if both are set."),
    setting(Health, "HEALTH_HOST", Described("all addresses, IPv4 and IPv6"), "IP address that the health endpoint listens on."),
    setting(
        Health,
        "HEALTH_STALE_AFTER",
        Value("0"),
        "Seconds without contact to the API server after which /healthz answers 503. 0: never, so that an outage of the API restarts no pod.",
    ),
    setting(
        Cluster,
        "FINALIZERS",
        Value("true"),
        "Whether objects get a finalizer, so that they are gone only after their files. Never added with METHOD=LIST, nor with a kubeconfig that only its place names, unless this is set.",
    ),
    setting(
        Cluster,
        "FINALIZER_NAME",
        Described("kube-projector.dev/ and a hash of label, value and namespaces"),
        "Name of the finalizer: one per deployment, the same in all its replicas.",
    ),
    setting(
        Cluster,
        "FINALIZER_FORMER",
        Unset,
        "Names of finalizers that this deployment used before, with commas between them. They are removed, never added.",
    ),
    setting(Cluster, "EVENT_LOGGING", Value("false"), "Whether outcomes are told as Kubernetes Events on objects and on our pod."),
    setting(Log, "LOG_LEVEL", Value("info"), "error, warn, info, debug or trace."),
    setting(Log, "LOG_FORMAT", Described("json, or text if stderr is a terminal"), "text or json; logfmt, too, with PROFILE=k8s-sidecar."),
    setting(Log, "LOG_TZ", Value("LOCAL"), "Zone of the times in PROFILE=k8s-sidecar: UTC, or the local one."),
    setting(
        Log,
        "LOG_CONFIG",
        Unset,
        "File in YAML in the form of Python's logging.config: level, stream and file handlers, JSON or LOGFMT. Beats LOG_LEVEL and LOG_FORMAT.",
    ),
    setting(Log, "VERBOSE", Value("false"), "The same as LOG_LEVEL=debug, unless LOG_LEVEL is set."),
    setting(Log, "DEBUG", Value("false"), "The same as VERBOSE."),
];
