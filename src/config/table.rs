//! The one table of settings. A row says name and type, how a text becomes a value, what holds without one, what it means, and which flag
//! says the same. The fields of [`SettingValues`], `--help`, `docs/configuration.md`, flags and the test of bad values come from it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::config::LedgerPlace;
#[cfg(test)]
use crate::config::profiles::Dialect;
use crate::config::profiles::{self, sidecar};
use crate::config::read::child::{ChildStart, RestartPolicy};
use crate::config::read::form::ValueForm::{self, Number, Path, PerDialect, Text, Words};
use crate::config::read::form::{BOOLEAN, EXACT_TRUTH, PATH, ReadValue, TRUTH};
use crate::config::read::log::{LogFormat, LogLevel, LogZone};
use crate::config::read::numbers::{self, DAY, RETRIES, YEAR, from};
use crate::config::read::origin::Origin;
use crate::config::read::parse::{self, MethodName};
use crate::config::read::reload::Environment;
use crate::config::read::web::{self, CredentialOrigins, Encoding, Redacted, SecretHeader};
use crate::config::read::{SettingsReader, child, exec, headers, log, objects, origin, paths, reload, status, triggers};
use crate::config::setting::Fallback::{Described, Required, Unset, Value};
use crate::config::setting::{Flag, Heading, Setting, Takes};
use crate::core::discretion::ReactOutput;
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, NamedObject, Namespaces, ObjectKey};
use crate::core::policy::{Adopt, Durability, OnDelete, OnReloadFailure, Precedence};

/// Variables whose values may not be shown: those of settings, and the name that one of them has elsewhere.
pub(crate) const SECRETS: [&str; 6] = ["REQ_USERNAME", "REQ_PASSWORD", "REQ_HEADERS", "REQ_PAYLOAD", "REQ_URL", "CONFIG_CONTROLLER_URL"];

/// The setting of this name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn flag(position: usize, name: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { position, name, takes, help }
}

const fn only(flags: &[Flag]) -> Option<Flag> {
    if let [flag] = flags { Some(*flag) } else { None }
}

/// Makes of the rows, which say `NAME: Type = form, default, "meaning", flag;`, the table and the values that are read by it.
macro_rules! settings {
    ($($heading:ident { $($name:ident: $type:ty = $form:expr, $default:expr, $meaning:literal $(, $flag:expr)?;)* })*) => {
        /// Every setting, in the order in which it is documented and in which problems are reported.
        pub(crate) const SETTINGS: &[Setting] = &[$($({
            const FORM: ValueForm<$type> = $form;
            Setting {
                name: stringify!($name),
                heading: Heading::$heading,
                default: $default,
                meaning: $meaning,
                flag: only(&[$($flag)?]),
                bounds: FORM.bounds(),
                #[cfg(test)]
                refused: || FORM.refused(),
                #[cfg(test)]
                takes: |text| FORM.read(text, Dialect::Own, std::path::Path::new("/")).is_ok(),
                #[cfg(test)]
                words: || FORM.words(),
            }
        },)*)*];

        /// What became of each setting; it is called what its variable is called.
        #[expect(non_snake_case, reason = "whoever looks for a variable finds its row and its use")]
        pub(crate) struct SettingValues {
            $($(#[doc = $meaning] pub(crate) $name: ReadValue<$type>,)*)*
        }

        impl SettingValues {
            /// Reads every setting that is wanted, and notes what is wrong with it.
            pub(crate) fn read(reader: &mut SettingsReader<'_>, is_wanted: impl Fn(&Setting) -> bool) -> Self {
                Self { $($($name: reader.read(stringify!($name), &$form, &is_wanted),)*)* }
            }
        }
    };
}

settings! {
    Objects {
        PROFILE: () = Text(profiles::named), Value("default"),
            "Which defaults hold and how values are read: default; k8s-sidecar, which takes the place of kiwigrid/k8s-sidecar; config-controller, which takes that of k8s-config-controller; or dovecot-director, which takes that of the Dovecot Director Controller.";
        LABEL: String = PerDialect(parse::label_key, sidecar::text), Required,
            "Key of the label that an object must carry.",
            flag(1, "--label", Takes::Value("KEY"), "Label key that objects must carry");
        LABEL_VALUE: String = PerDialect(parse::label_value, sidecar::text), Unset,
            "Value that the label must have. Unset: any value. Set but empty: the empty value.",
            flag(2, "--label-value", Takes::Value("VALUE"), "Value that the label must have");
        NAMESPACE: Option<Namespaces> = PerDialect(parse::some_namespaces, sidecar::namespaces), Value("ALL"),
            "ALL, one namespace, or several with commas between them. ALL is one cluster-wide watch.",
            flag(4, "--namespace", Takes::Value("NAMES"), "Namespaces, with commas between them, or ALL");
        RESOURCE: &'static [Kind] =
            Words(&[("configmap", &[Kind::ConfigMap]), ("secret", &[Kind::Secret]), ("both", &Kind::ALL)]), Value("both"),
            "Kinds of object: configmap, secret or both.";
        RESOURCE_NAME: Vec<NamedObject> = Text(objects::named), Unset,
            "Follow only the objects of these names, whatever their labels: NAME, KIND/NAME or NAMESPACE/KIND/NAME, with commas between them. Not with NAMESPACE=ALL.";
        OBJECT: Vec<ObjectKey> = Text(objects::keys), Unset,
            "Follow exactly these objects, whatever their labels: KIND/NAMESPACE/NAME with commas between them, where KIND is configmap or secret. LABEL is not required then; with it, labelled objects are projected too.",
            flag(5, "--object", Takes::Values("KIND/NAMESPACE/NAME"), "Objects to follow one by one, with commas between them; may be repeated");
        ON_DELETE: OnDelete = Words(&[("keep", OnDelete::Keep), ("remove", OnDelete::Remove)]), Value("keep"),
            "What becomes of the files of an object in OBJECT that is deleted: keep, until it is there again or not in OBJECT any more, or remove.";
        METHOD: MethodName = PerDialect(parse::method, sidecar::method), Value("WATCH"),
            "WATCH follows changes. LIST writes once, removes what is no longer wanted and ends. SLEEP lists every SLEEP_TIME seconds. The flag means LIST.",
            flag(10, "--once", Takes::Nothing("LIST"), "Write once and end");
        SLEEP_TIME: Duration = Number(numbers::seconds, from(1, YEAR)), Value("60"),
            "Seconds between two lists with METHOD=SLEEP, and between two readings of an object that may be read by its name only.";
        SOURCE: Option<PathBuf> = Path(paths::manifests), Value("cluster"),
            "cluster, or a folder or file with manifests of ConfigMaps and Secrets that is read instead, without finalizers and Events (one that is named cluster: ./cluster). It must lie apart from FOLDER.",
            flag(6, "--source", Takes::Value("DIR"), "Folder of manifests to read instead of a cluster");
        SOURCE_SETTLE: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("1"),
            "Seconds for which nothing in the folder that SOURCE names may have changed before what is missing there counts, a file, a document or a key; at the latest after ten times as long. Additions and edits count at once.";
        KUBECONFIG: PathBuf = Path(paths::kubeconfig), Described("the pod's service account, elsewhere ~/.kube/config"),
            "File that leads to the cluster.";
    }
    Files {
        FOLDER: PathBuf = PATH, Required,
            "Folder that is kept equal to what the objects say. It is made if missing.",
            flag(3, "--folder", Takes::Value("DIR"), "Folder to keep");
        FOLDER_ANNOTATION: String = PerDialect(parse::annotation_key, sidecar::annotation_key), Value("k8s-sidecar-target-directory"),
            "Annotation by which an object names another folder for its files, relative to FOLDER or absolute.";
        ALLOWED_FOLDERS: Vec<PathBuf> = Path(paths::paths), Described("FOLDER only"),
            "More folders that annotations may name, with commas between them. No file is ever written outside of FOLDER and these.";
        UNIQUE_FILENAMES: bool = TRUTH, Value("false"),
            "Files are named NAMESPACE.KIND_NAME.KEY (kind in lower case) instead of KEY, so that no two objects claim one path.";
        FOLDER_PER_NAMESPACE: bool = TRUTH, Value("false"),
            "Files of each namespace go to a folder of its name, annotated folders below that; absolute ones stay where they are.";
        DEFAULT_FILE_MODE: u32 = PerDialect(parse::mode, sidecar::mode), Value("644"),
            "Mode of every file, whatever the umask: three or four octal digits.";
        FOLDER_MODE: u32 = Text(parse::mode), Value("755"),
            "Mode of every folder that we make below FOLDER: three or four octal digits.";
        RESYNC: Duration = Number(numbers::seconds, from(0, YEAR)), Value("600"),
            "Seconds between two checks of what is on disk, by which edited or deleted files are repaired. 0: only at start.";
        DURABILITY: Durability =
            Words(&[("none", Durability::None), ("each", Durability::Each), ("batch", Durability::Batch)]), Value("none"),
            "When bytes are forced to the disk: none, each (file) or batch. Readers see whole files in every case; a file torn by power loss is healed at start.";
        GZIP_KEYS: bool = BOOLEAN, Value("false"),
            "Whether a key ending in .gz is written unpacked, up to URL_MAX_BYTES, without it.";
        OBJECT_ANNOTATIONS: bool = BOOLEAN, Value("true"),
            "Whether an object's file-mode, skip and on-delete annotations count.";
    }
    Ownership {
        CONFLICT: Precedence = Words(&[("oldest", Precedence::Oldest), ("newest", Precedence::Newest)]), Value("oldest"),
            "Which object keeps a path that several claim: the oldest, or the newest, for generators that rename objects and do not prune. Ties go by kind, namespace and name.";
        ADOPT: Adopt = Words(&[("overwrite", Adopt::Overwrite), ("equal", Adopt::Equal), ("never", Adopt::Never)]), Value("overwrite"),
            "What happens to a foreign file at a wanted path: overwrite, equal (taken over if its bytes are the wanted ones) or never. The last two need a file system with hard links or a rename that replaces nothing.";
        INSTANCE: String = Text(parse::instance), Unset,
            "Name of this projector among those that share FOLDER, up to 63 of A-Z a-z 0-9 . _ -. With it, only the same INSTANCE takes over its files.";
        LEDGER: LedgerPlace = Path(paths::ledger), Described("a dot-file in FOLDER"),
            "Where the list of the files that are ours is kept: a name in FOLDER, or a path if it contains a slash. With a path, what was told of pods and Secrets is kept beside it, also without FOLDER.";
        LEDGER_FORMER: Vec<LedgerPlace> = Path(paths::ledgers), Unset,
            "Ledgers that this deployment kept before LABEL, NAMESPACE or LEDGER changed, with commas between them: names in FOLDER, or paths. Their files are taken over, and removed where nobody wants them.";
        PRUNE_EMPTY: bool = BOOLEAN, Value("false"),
            "Whether the files of a former LABEL, NAMESPACE or SOURCE are removed although nothing matches the present one.";
        STAGING: PathBuf = Path(paths::staging), Unset,
            "An absolute path outside of FOLDER, on its mount, where files are made, unseen by its readers.";
    }
    Web {
        URL_KEYS: bool = BOOLEAN, Value("false"),
            "Whether a key that ends in .url names a URL, and its file, without that ending, holds what lies there.";
        URL_ALLOW: Vec<Origin> = Text(origin::origins), Unset,
            "The only origins that .url keys may name, as SCHEME://HOST:PORT with commas between them. Unset: any but link-local addresses.";
        URL_CREDENTIAL_ORIGINS: CredentialOrigins =
            Text(origin::credential_origins), Described("the origin of REQ_URL; any while REQ_URL is unset"),
            "Origins that get REQ_USERNAME and REQ_PASSWORD, or REQ_TOKEN_FILE and REQ_HEADERS, when a .url key names them, with commas between them. An asterisk gives the first two to any.";
        URL_MAX_BYTES: u32 = Number(numbers::count, from(0, u32::MAX)), Value("16777216"),
            "The largest file that is fetched from a URL, in bytes, after unpacking.";
        IGNORE_ALREADY_PROCESSED: bool = TRUTH, Value("false"),
            "Whether what lies behind a URL is fetched only once, and not again at each RESYNC.";
        ENABLE_5XX: bool = TRUTH, Value("false"),
            "Whether an answer of 5xx is final. Otherwise the request is tried again.";
        REQ_TIMEOUT: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("10"),
            "Seconds to connect to another server, and between two parts of its answer.";
        REQ_ANSWER_TIMEOUT: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("120"),
            "Seconds for the answer to REQ_URL, at least REQ_TIMEOUT; then it is asked slowly.";
        REQ_RETRY_TOTAL: u32 = Number(numbers::count, from(0, RETRIES)), Value("5"),
            "Retries after answers that say: later.";
        REQ_RETRY_CONNECT: u32 = Number(numbers::count, from(0, RETRIES)), Value("10"),
            "Retries while a server cannot be reached. With ten it is given up after about eight minutes.";
        REQ_RETRY_READ: u32 = Number(numbers::count, from(0, RETRIES)), Value("5"),
            "Retries after a connection that broke, and after no answer to REQ_URL.";
        REQ_RETRY_BACKOFF_FACTOR: Duration = Number(numbers::decimal_seconds, from(0, 120)), Value("1.1"),
            "Seconds; pauses between retries are 0, 2, 4, 8 … times this, at most 120.";
        REQ_USERNAME: Redacted = Text(web::redacted), Unset,
            "User name for other servers. Sent only together with a password.";
        REQ_PASSWORD: Redacted = Text(web::redacted), Unset,
            "Password for other servers.";
        REQ_USERNAME_FILE: PathBuf = PATH, Unset,
            "File with the user name, read again for each request. Beats REQ_USERNAME.",
            flag(7, "--req-username-file", Takes::Value("FILE"), "File with the user name for other servers");
        REQ_PASSWORD_FILE: PathBuf = PATH, Unset,
            "File with the password, read again for each request. Beats REQ_PASSWORD.",
            flag(8, "--req-password-file", Takes::Value("FILE"), "File with the password for other servers");
        REQ_TOKEN_FILE: PathBuf = PATH, Unset,
            "File with a bearer token, read again for each request. It goes to the origin of REQ_URL and to those that URL_CREDENTIAL_ORIGINS names one by one. Not together with REQ_PASSWORD.";
        REQ_HEADERS: Vec<SecretHeader> = Text(headers::given), Unset,
            "More headers, a line NAME: VALUE each, for whom REQ_TOKEN_FILE is. Not together with REQ_PASSWORD.";
        REQ_HEADERS_FILE: PathBuf = PATH, Unset,
            "File with such lines, read again for each request. Of one name those in the file count.";
        REQ_BASIC_AUTH_ENCODING: Encoding = Text(web::encoding), Value("latin1"),
            "Encoding of user name and password: latin1, utf-8 or ascii.";
        REQ_SKIP_TLS_VERIFY: bool = EXACT_TRUTH, Value("false"),
            "Whether certificates of other servers are not checked.";
        REQUESTS_CA_BUNDLE: PathBuf = PATH, Unset,
            "File with the certificates that other servers are checked against, instead of the system's.";
        CURL_CA_BUNDLE: PathBuf = PATH, Unset,
            "Other name of REQUESTS_CA_BUNDLE, which wins if both are set.";
    }
    Reactions {
        REQ_URL: Redacted = Text(origin::reload_url), Unset,
            "URL that is requested after files have changed. With {pod} as its host each ready pod of EXEC_LABELS in EXEC_NAMESPACE is asked at its own address. That needs rbac/pods.yaml.";
        REQ_SERVER_NAME: String = Text(exec::server_name), Unset,
            "With https://{pod} in REQ_URL: the name that the certificate of those pods is for.";
        REQ_METHOD: Option<String> = PerDialect(reload::request_method, sidecar::request_method), Value("GET"),
            "Method of that request: GET, POST, PUT or PATCH.";
        REQ_PAYLOAD: Redacted = Text(reload::payload), Unset,
            "Body of that request: JSON as it is, other text as a JSON string. Unset: an empty body without a type.";
        REQ_SKIP_INIT: bool = TRUTH, Value("false"),
            "Whether there is no request after the first pass with METHOD=WATCH or SLEEP. What changed since an earlier process had all files there is told all the same.";
        SCRIPT: PathBuf = PATH, Unset,
            "Script that is run after files have changed, before the request: directly, or by sh if it is not executable. PROJECTOR_CHANGED names a file that lists the changed paths, PROJECTOR_CHANGES one that says what became of each and for which object.";
        SCRIPT_ENV: Environment = Words(&[("clean", Environment::Clean), ("all", Environment::All)]), Value("clean"),
            "What the script has of our environment: clean, without secret settings, or all.";
        SCRIPT_TIMEOUT: Duration = Number(numbers::seconds, from(1, YEAR)), Value("60"),
            "Seconds after which the script is killed.";
        SCRIPT_RETRIES: u32 = Number(numbers::count, from(0, RETRIES)), Value("5"),
            "Quick retries of a script that failed; it is tried slowly after them. 0: never.";
        SIGNAL_PROCESS: String = Text(parse::text), Unset,
            "Program that gets a signal after files have changed: its name or its path. In another container only with shareProcessNamespace.";
        SIGNAL_PIDFILE: PathBuf = PATH, Unset,
            "File with the number of the process that gets the signal. Not together with SIGNAL_PROCESS.";
        SIGNAL: Signal = Text(reload::signal), Value("HUP"),
            "The signal: HUP, INT, QUIT, KILL, USR1, USR2, ALRM, TERM, CONT, STOP, WINCH or CHLD, with or without SIG, or its number.";
        EXEC_LABELS: Selector = Text(parse::selector), Unset,
            "Label selector of the pods in which EXEC_COMMAND is run, which needs rbac/exec.yaml, or that REQ_URL asks.";
        EXEC_NAMESPACE: String = Text(exec::namespace), Described("the namespace of the pod that we run in"),
            "Namespace of those pods, and of the pods and Secrets that are watched.";
        EXEC_CONTAINER: String =
            Text(exec::container), Described("the one that kubectl.kubernetes.io/default-container names, else the first"),
            "Container of those pods.";
        EXEC_COMMAND: Vec<String> = Text(exec::command), Unset,
            "The command: a JSON array with the program and its arguments, or text for sh -c. The end of what it prints is logged.";
        EXEC_TIMEOUT: Duration = Number(numbers::seconds, from(1, DAY)), Value("30"),
            "Seconds after which the command counts as failed in a pod.";
        EXEC_RETRIES: u32 = Number(numbers::count, from(0, RETRIES)), Value("3"),
            "Retries in the pods where it failed, with the pauses of REQ_RETRY_BACKOFF_FACTOR; after them slowly.";
        EXEC_ONLY_READY: bool = BOOLEAN, Value("true"),
            "Whether pods that run but are not ready are left out.";
        EXEC_CONCURRENCY: u32 = Number(numbers::count, from(1, 1000)), Value("4"),
            "How many pods run it, or are asked, at the same time.";
        EXEC_ON: bool = Words(&[("files", true), ("none", false)]), Described("files, where anything is projected"),
            "Whether the command runs in pods after files have changed: files or none.";
        EXEC_ON_START: bool = BOOLEAN, Value("false"),
            "Whether the command runs once after each start. Not with METHOD=LIST.";
        EXEC_DELAY: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("0"),
            "Seconds between a pod that became ready and the command; another such pod begins them anew, up to ten times.";
        WATCH_PODS_LABELS: Selector = Text(triggers::some_selector), Unset,
            "Label selector of pods in EXEC_NAMESPACE after which the command runs when one becomes ready or has another address.";
        WATCH_SECRET_TYPE: String = Text(triggers::secret_type), Unset,
            "Type of Secrets in EXEC_NAMESPACE, for example kubernetes.io/tls, after which the command runs when one is new or its data changed.";
        WATCH_SECRET_LABELS: Selector = Text(parse::selector), Described("any"),
            "Label selector of those Secrets.";
        EXEC_SECRET_DELAY: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("70"),
            "Seconds between such a Secret and the command, because mounted Secrets follow about a minute late; another change begins them anew, up to ten times.";
        CHILD_START: ChildStart = Words(&[("ready", ChildStart::Ready), ("now", ChildStart::Now)]), Value("ready"),
            "When the command after -- is started: ready, which is after the first complete projection, or now.";
        RELOAD_SIGNAL: Signal = Text(child::telling_signal), Value("HUP"),
            "The signal that tells the child of changes: its name or its number.";
        RELOAD_RESTART: bool = BOOLEAN, Value("false"),
            "Whether the child is stopped and started again after changes, instead of the signal.";
        KILL_SIGNAL: Signal = Text(reload::signal), Value("TERM"),
            "The signal that ends the child when it is to be started again.";
        KILL_TIMEOUT: Duration = Number(numbers::decimal_seconds, from(0, YEAR)), Value("10"),
            "Seconds, also with a fraction, that the child has to end when it is asked to, before it is killed with its process group.";
        CHILD_RESTART: RestartPolicy = Words(&[("never", RestartPolicy::Never), ("always", RestartPolicy::Always)]), Value("never"),
            "What follows when the child ends by itself: never, which ends us with its code, or always, which starts it again after a pause that grows from 1 to 60 seconds.";
        REACT_OUTPUT: ReactOutput = Words(&[("guarded", ReactOutput::Guarded), ("always", ReactOutput::Always)]), Value("guarded"),
            "When what it says is logged: guarded, not with files of Secrets; or always.";
        ON_RELOAD_FAILURE: OnReloadFailure =
            Words(&[("report", OnReloadFailure::Report), ("unready", OnReloadFailure::Unready), ("unhealthy", OnReloadFailure::Unhealthy)]),
            Value("report"),
            "What it means when the application cannot be told: report (the reason stands in the body of /healthz), unready (/readyz answers 503, too) or unhealthy (/healthz does).";
        REACT_WINDOW: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("0.2"),
            "Seconds without a change after which the application is told, once for all changes since; at the latest after ten times this.";
        REQ_ONCE_PER_BATCH: bool = BOOLEAN, Value("false"),
            "The same as REACT_WINDOW=0.2, unless REACT_WINDOW is set. Without both, the application is told once per changed object.";
        REACT_ON_START: bool = BOOLEAN, Value("false"),
            "Whether the application is told once after each start, whatever changed.";
        REACT_JITTER: Duration = Number(numbers::decimal_seconds, from(0, DAY)), Value("0"),
            "Seconds by which whatever is to be told is delayed at most, by chance, so that replicas do not all reload at once. Not before retries, nor with METHOD=LIST.";
    }
    Watches {
        WATCH_SERVER_TIMEOUT: Duration = Number(numbers::seconds, from(1, YEAR)), Value("600"),
            "Seconds after which the API server ends a watch.";
        WATCH_CLIENT_TIMEOUT: Duration = Number(numbers::seconds, from(1, YEAR)), Value("660"),
            "Seconds after which we end a watch. Raised to WATCH_SERVER_TIMEOUT + 5 if it is less.";
        SKIP_TLS_VERIFY: bool = EXACT_TRUTH, Value("false"),
            "Whether the API server's certificate is not checked.";
        DISABLE_X509_STRICT_VERIFICATION: bool = TRUTH, Value("false"),
            "Accepted for k8s-sidecar's sake, without effect.";
        ERROR_THROTTLE_SLEEP: String = Text(parse::text), Value("5"),
            "Accepted for k8s-sidecar's sake, without effect: waits after errors grow and scatter.";
    }
    Health {
        LIVENESS: bool = BOOLEAN, Value("true"),
            "Whether /healthz and /readyz are served.";
        HEALTH_PORT: Option<u16> = PerDialect(parse::some_port, sidecar::port), Value("8080"),
            "Port of the health endpoint. A port that is taken does not stop the projector.";
        HEALTHCHECK_PORT: u16 = Text(parse::port), Unset,
            "Other name of HEALTH_PORT, which wins if both are set.";
        HEALTH_HOST: Option<IpAddr> = PerDialect(parse::some_ip_address, sidecar::ip_address), Described("all addresses, IPv4 and IPv6"),
            "IP address that the health endpoint listens on.";
        HEALTH_STALE_AFTER: Duration = Number(numbers::seconds, from(0, YEAR)), Value("0"),
            "Seconds without contact to the API server after which /healthz answers 503. 0: never, so that an outage of the API restarts no pod.";
        STATUS_ADDR: SocketAddr = Text(status::loopback), Unset,
            "Loopback address and port, such as 127.0.0.1:9090, on which the status page is served, with what it shows as JSON at /status. From elsewhere: kubectl port-forward or ssh -L.";
        METRICS: bool = BOOLEAN, Value("true"),
            "Whether /metrics is served beside /healthz. With LIVENESS=false it is not.";
    }
    Cluster {
        FINALIZERS: bool = BOOLEAN, Value("true"),
            "Whether objects get a finalizer, so that they are gone only after their files. Never added with METHOD=LIST, nor with a kubeconfig that only its place names, unless this is set.";
        FINALIZER_NAME: String = Text(parse::finalizer), Described("kube-projector.dev/ and a hash of label, value and namespaces"),
            "Name of the finalizer: one per deployment, the same in all its replicas.";
        FINALIZER_FORMER: Vec<String> = Text(parse::finalizers), Unset,
            "Names of finalizers that this deployment used before, with commas between them. They are removed, never added.";
        EVENT_LOGGING: bool = BOOLEAN, Value("false"),
            "Whether outcomes are told as Kubernetes Events on objects and on our pod.";
    }
    Running {
        DRY_RUN: bool = BOOLEAN, Value("false"),
            "Whether nothing is changed, here or in the cluster, and nobody is told or asked anything but the API server for objects: what would be done is logged instead. Not with a command after --.";
    }
    Log {
        LOG_LEVEL: LogLevel = PerDialect(log::level, sidecar::level), Value("info"),
            "error, warn, info, debug or trace.";
        LOG_FORMAT: LogFormat = PerDialect(log::format, sidecar::format), Described("json, or text if stderr is a terminal"),
            "text or json; logfmt, too, with PROFILE=k8s-sidecar.";
        LOG_TZ: LogZone = Text(log::zone), Value("LOCAL"),
            "Zone of the times in PROFILE=k8s-sidecar: UTC, or the local one.";
        LOG_CONFIG: String = Text(parse::text), Unset,
            "File in YAML in the form of Python's logging.config: level, stream and file handlers, JSON or LOGFMT. Beats LOG_LEVEL and LOG_FORMAT.";
        VERBOSE: bool = BOOLEAN, Value("false"),
            "The same as LOG_LEVEL=debug, unless LOG_LEVEL is set.";
        DEBUG: bool = BOOLEAN, Value("false"),
            "The same as VERBOSE.";
    }
}
