//! Where hakube itself keeps things, and how patient it is.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { THIS_MACHINE: "This machine", "Where hakube keeps things, and how patient it is.";
    HOME = Setting::new("HAKUBE_HOME", Kind::Path,
        Derived("from XDG_STATE_HOME, or `~/.local/state/hakube`"),
        "Everything that hakube keeps is in this directory: state, local cloud, logs.");
    STATE = Setting::new("HAKUBE_STATE", Kind::StateUrl,
        Derived("from HAKUBE_HOME: `file://<home>/state`"),
        "Where clusters' intents, keys, locks and journals are kept. A team shares a bucket: s3:// takes endpoint \
         and credentials from `AWS_*`, gs:// from `GOOGLE_APPLICATION_CREDENTIALS` and its like. What is in \
         memory:// is forgotten when the command ends.")
        .flag("--state");
    COMPUTE_TOKEN_FILE = Setting::new("HAKUBE_COMPUTE_TOKEN_FILE", Kind::Path,
        Unset("application default credentials"),
        "A file with the bearer token for Compute Engine's API, that nobody else may read. It is read for each call.");
    STATE_RECIPIENTS = Setting::new("HAKUBE_STATE_RECIPIENTS", Kind::Recipients, Unset("keys are kept in the clear"),
        "The age public keys that a new cluster's keys are encrypted to where they are kept. An existing cluster's \
         are encrypted by `hakube state encrypt`.")
        .flag("--state-recipient");
    STATE_IDENTITY = Setting::new("HAKUBE_STATE_IDENTITY", Kind::Paths, Unset("none"),
        "The files of age private keys that open them: mode 0600. Needed beside the recipients, since hakube reads \
         what it wrote.")
        .flag("--state-identity");
    STATE_PASSPHRASE = Setting::new("HAKUBE_STATE_PASSPHRASE_FILE", Kind::Path, Unset("none"),
        "A file, mode 0600, with the passphrase that the keys are encrypted to instead, in its first line. Further \
         lines are earlier ones, which still open what was encrypted to them.");
    WAIT = Setting::new("HAKUBE_WAIT", Kind::Duration, Unset("not at all"),
        "How long a command that changes a cluster waits for another one to be done with it.")
        .flag("--wait");
    KUBECONFIG = Setting::new("KUBECONFIG", Kind::Paths, Value("~/.kube/config"),
        "The kubeconfig that the cluster's context is written to. Several in the variable: kubectl's rules. \
         The flag takes one.")
        .flag("--kubeconfig");
    KUBE_CONTEXT = Setting::new("KUBE_CONTEXT", Kind::Word, Derived("from CLUSTER_NAME"),
        "The name of the context, user and cluster in the kubeconfig: `hakube-<cluster>`.")
        .flag("--context");
    GOOGLE_CREDENTIALS = Setting::new("GOOGLE_APPLICATION_CREDENTIALS", Kind::Path,
        Unset("gcloud's login, else the metadata server"),
        "A file with Google's credentials: a service account's key, a workload identity, a user's login.");
    GOOGLE_IMPERSONATE = Setting::new("HAKUBE_IMPERSONATE_SERVICE_ACCOUNT", Kind::Word, Unset("nobody"),
        "The service account, by its email address, that Google Cloud is asked as, with the credentials that \
         are found.")
        .aliases(&["CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"]);
    CHECK_PERMISSIONS = Setting::new("HAKUBE_CHECK_PERMISSIONS", Kind::Bool, Value("true"),
        "Whether Cloud Resource Manager is asked, before anything is made, which permissions lack in the project. \
         `false` where they are given under conditions, which it doesn't see.");
    TIMEOUT = Setting::new("HAKUBE_TIMEOUT", Kind::Duration, Derived("from KUBE_CLUSTER_INITIALIZATION_TIMEOUT"),
        "How long a command waits for the control plane to become ready.")
        .flag("--timeout");
    INITIALIZATION_TIMEOUT = Setting::new("KUBE_CLUSTER_INITIALIZATION_TIMEOUT", Kind::Integer(1, 86400),
        Value("300"),
        "The same in seconds, as kube-up has it.");
    NODES_TIMEOUT = Setting::new("MIG_WAIT_UNTIL_STABLE_TIMEOUT", Kind::Integer(1, 86400), Value("1800"),
        "How many seconds a command waits for all nodes to become ready.");
    DRAIN_TIMEOUT = Setting::new("HAKUBE_DRAIN_TIMEOUT", Kind::Duration, Value("5m"),
        "How long pods may take to leave a node before its machine is removed. PodDisruptionBudgets are respected; \
         `--force` deletes what they keep.")
        .flag("--drain-timeout");
    TIME_SCALE = Setting::new("HAKUBE_TIME_SCALE", Kind::Factor, Value("0"),
        "How long the local cloud's operations take: 0 is no time at all, 1 as long as Compute Engine's.");
}
