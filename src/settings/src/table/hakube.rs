//! hakube's own files and timeouts.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { THIS_MACHINE: "This machine", "hakube's own files and timeouts.";
    HOME = Setting::new("HAKUBE_HOME", Kind::Path,
        Derived("from XDG_STATE_HOME, or `~/.local/state/hakube`"),
        "hakube's directory, for state, the local cloud and logs.");
    STATE = Setting::new("HAKUBE_STATE", Kind::StateUrl,
        Derived("from HAKUBE_HOME: `file://<home>/state`"),
        "The store of clusters' intents, keys, locks and journals. A team shares a bucket: s3:// takes its endpoint \
         and credentials from `AWS_*`, gs:// from `GOOGLE_APPLICATION_CREDENTIALS` and the like. State in \
         memory:// is lost when the command exits.")
        .flag("--state");
    BACKUPS = Setting::new("HAKUBE_BACKUPS", Kind::StateUrl,
        Derived("from HAKUBE_HOME: `file://<home>/backups`"),
        "Where `hakube backup` saves and `hakube restore` reads. Encrypted if keys are.")
        .flag("--backups");
    COMPUTE_TOKEN_FILE = Setting::new("HAKUBE_COMPUTE_TOKEN_FILE", Kind::Path,
        Unset("application default credentials"),
        "A file with the bearer token for the Compute Engine API, readable only by you. It is read for each request.");
    STATE_RECIPIENTS = Setting::new("HAKUBE_STATE_RECIPIENTS", Kind::Recipients, Unset("keys are stored unencrypted"),
        "The age public keys that a new cluster's keys are encrypted to in the state store. An existing cluster's keys \
         are encrypted by `hakube state encrypt`.")
        .flag("--state-recipient");
    STATE_IDENTITY = Setting::new("HAKUBE_STATE_IDENTITY", Kind::Paths, Unset("none"),
        "The files of age private keys that decrypt them, mode 0600. Required with recipients, since hakube reads \
         the keys back.")
        .flag("--state-identity");
    STATE_PASSPHRASE = Setting::new("HAKUBE_STATE_PASSPHRASE_FILE", Kind::Path, Unset("none"),
        "A file, mode 0600, with the passphrase to encrypt keys with instead, on its first line. Further \
         lines are earlier passphrases, for decryption only.");
    WAIT = Setting::new("HAKUBE_WAIT", Kind::Duration, Unset("don't wait"),
        "How long a command that changes a cluster waits for another one to finish.")
        .flag("--wait");
    KUBECONFIG = Setting::new("KUBECONFIG", Kind::Paths, Value("~/.kube/config"),
        "The kubeconfig to write the cluster's context to. The variable may list several, with kubectl's rules; \
         the flag takes one.")
        .flag("--kubeconfig");
    KUBE_CONTEXT = Setting::new("KUBE_CONTEXT", Kind::Word, Derived("from CLUSTER_NAME"),
        "The name of the context, user and cluster in the kubeconfig: `hakube-<cluster>`.")
        .flag("--context");
    GOOGLE_CREDENTIALS = Setting::new("GOOGLE_APPLICATION_CREDENTIALS", Kind::Path,
        Unset("gcloud's login, or the metadata server"),
        "A file with Google Cloud credentials: a service account key, a workload identity, or a user's login.");
    GOOGLE_IMPERSONATE = Setting::new("HAKUBE_IMPERSONATE_SERVICE_ACCOUNT", Kind::Word, Unset("none"),
        "The email address of a service account to impersonate, with the credentials that \
         are found.")
        .aliases(&["CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"]);
    CHECK_PERMISSIONS = Setting::new("HAKUBE_CHECK_PERMISSIONS", Kind::Bool, Value("true"),
        "Whether to check for missing permissions in the project with Cloud Resource Manager before creating anything. \
         Set `false` if permissions are granted under conditions, which this check doesn't see.");
    TIMEOUT = Setting::new("HAKUBE_TIMEOUT", Kind::Duration, Derived("from KUBE_CLUSTER_INITIALIZATION_TIMEOUT"),
        "How long a step waits, for example for a replica to become ready, and how long provider calls may take, including \
         retries. See docs/reliability.md.")
        .flag("--timeout");
    INITIALIZATION_TIMEOUT = Setting::new("KUBE_CLUSTER_INITIALIZATION_TIMEOUT", Kind::Integer(1, 86400),
        Value("300"),
        "The same in seconds, as in kube-up.");
    NODES_TIMEOUT = Setting::new("MIG_WAIT_UNTIL_STABLE_TIMEOUT", Kind::Integer(1, 86400), Value("1800"),
        "How many seconds to wait for all nodes to become ready.");
    DRAIN_TIMEOUT = Setting::new("HAKUBE_DRAIN_TIMEOUT", Kind::Duration, Value("5m"),
        "How long to wait for a node to drain before its machine is removed. PodDisruptionBudgets are respected; \
         `--force` deletes the pods that they protect.")
        .flag("--drain-timeout");
    TIME_SCALE = Setting::new("HAKUBE_TIME_SCALE", Kind::Factor, Value("0"),
        "A multiplier for the duration of the local cloud's operations: 0 is instant, 1 is like Compute Engine.");
}
