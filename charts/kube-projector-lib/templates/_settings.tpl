{{- /* Written from src/config/table.rs by: UPDATE_DOCS=1 cargo test --lib */ -}}
{{- define "kube-projector-lib.settings" -}}
PROFILE: {type: text}
LABEL: {type: text}
LABEL_VALUE: {type: text}
NAMESPACE: {type: text}
RESOURCE: {type: words, words: [configmap, secret, both]}
RESOURCE_NAME: {type: text}
OBJECT: {type: text}
ON_DELETE: {type: words, words: [keep, remove]}
METHOD: {type: text}
SLEEP_TIME: {type: integer}
SOURCE: {type: text}
SOURCE_SETTLE: {type: number}
KUBECONFIG: {type: text}
FOLDER: {type: text}
FOLDER_ANNOTATION: {type: text}
ALLOWED_FOLDERS: {type: text}
UNIQUE_FILENAMES: {type: boolean}
FOLDER_PER_NAMESPACE: {type: boolean}
DEFAULT_FILE_MODE: {type: text}
FOLDER_MODE: {type: text}
RESYNC: {type: integer}
DURABILITY: {type: words, words: [none, each, batch]}
GZIP_KEYS: {type: boolean}
OBJECT_ANNOTATIONS: {type: boolean}
CONFLICT: {type: words, words: [oldest, newest]}
ADOPT: {type: words, words: [overwrite, equal, never]}
INSTANCE: {type: text}
LEDGER: {type: text}
LEDGER_FORMER: {type: text}
PRUNE_EMPTY: {type: boolean}
STAGING: {type: text}
URL_KEYS: {type: boolean}
URL_ALLOW: {type: text}
URL_CREDENTIAL_ORIGINS: {type: text}
URL_MAX_BYTES: {type: integer}
IGNORE_ALREADY_PROCESSED: {type: boolean}
ENABLE_5XX: {type: boolean}
REQ_TIMEOUT: {type: number}
REQ_ANSWER_TIMEOUT: {type: number}
REQ_RETRY_TOTAL: {type: integer}
REQ_RETRY_CONNECT: {type: integer}
REQ_RETRY_READ: {type: integer}
REQ_RETRY_BACKOFF_FACTOR: {type: number}
REQ_USERNAME: {type: secret}
REQ_PASSWORD: {type: secret}
REQ_USERNAME_FILE: {type: fileOrSecret}
REQ_PASSWORD_FILE: {type: fileOrSecret}
REQ_TOKEN_FILE: {type: fileOrSecret}
REQ_HEADERS: {type: secret}
REQ_HEADERS_FILE: {type: fileOrSecret}
REQ_BASIC_AUTH_ENCODING: {type: text}
REQ_SKIP_TLS_VERIFY: {type: boolean}
REQUESTS_CA_BUNDLE: {type: text}
CURL_CA_BUNDLE: {type: text}
REQ_URL: {type: textOrSecret}
REQ_SERVER_NAME: {type: text}
REQ_METHOD: {type: text}
REQ_PAYLOAD: {type: textOrSecret}
REQ_SKIP_INIT: {type: boolean}
SCRIPT: {type: text}
SCRIPT_ENV: {type: words, words: [clean, all]}
SCRIPT_TIMEOUT: {type: integer}
SCRIPT_RETRIES: {type: integer}
SIGNAL_PROCESS: {type: text}
SIGNAL_PIDFILE: {type: text}
SIGNAL: {type: text}
EXEC_LABELS: {type: text}
EXEC_NAMESPACE: {type: text}
EXEC_CONTAINER: {type: text}
EXEC_COMMAND: {type: text}
EXEC_TIMEOUT: {type: integer}
EXEC_RETRIES: {type: integer}
EXEC_ONLY_READY: {type: boolean}
EXEC_CONCURRENCY: {type: integer}
EXEC_ON: {type: words, words: [files, none]}
EXEC_ON_START: {type: boolean}
EXEC_DELAY: {type: number}
WATCH_PODS_LABELS: {type: text}
WATCH_SECRET_TYPE: {type: text}
WATCH_SECRET_LABELS: {type: text}
EXEC_SECRET_DELAY: {type: number}
CHILD_START: {type: words, words: [ready, now]}
RELOAD_SIGNAL: {type: text}
RELOAD_RESTART: {type: boolean}
KILL_SIGNAL: {type: text}
KILL_TIMEOUT: {type: number}
CHILD_RESTART: {type: words, words: [never, always]}
REACT_OUTPUT: {type: words, words: [guarded, always]}
ON_RELOAD_FAILURE: {type: words, words: [report, unready, unhealthy]}
REACT_WINDOW: {type: number}
REQ_ONCE_PER_BATCH: {type: boolean}
REACT_ON_START: {type: boolean}
REACT_JITTER: {type: number}
WATCH_SERVER_TIMEOUT: {type: integer}
WATCH_CLIENT_TIMEOUT: {type: integer}
SKIP_TLS_VERIFY: {type: boolean}
DISABLE_X509_STRICT_VERIFICATION: {type: boolean}
ERROR_THROTTLE_SLEEP: {type: text}
LIVENESS: {type: boolean}
HEALTH_PORT: {type: integer}
HEALTHCHECK_PORT: {type: integer}
HEALTH_HOST: {type: text}
HEALTH_STALE_AFTER: {type: integer}
STATUS_ADDR: {type: text}
METRICS: {type: boolean}
FINALIZERS: {type: boolean}
FINALIZER_NAME: {type: text}
FINALIZER_FORMER: {type: text}
EVENT_LOGGING: {type: boolean}
DRY_RUN: {type: boolean}
LOG_LEVEL: {type: text}
LOG_FORMAT: {type: text}
LOG_TZ: {type: text}
LOG_CONFIG: {type: text}
VERBOSE: {type: boolean}
DEBUG: {type: boolean}
{{- end -}}
