//! The scripts that run on hosts: POSIX shell, each with `places.sh` prepended.

macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("scripts/places.sh"),
            include_str!(concat!("scripts/", $name))
        )
    };
}

/// Leases the host.
pub(crate) const LEASE: &str = script!("lease.sh");
/// Writes files on it.
pub(crate) const PUT: &str = script!("put.sh");
/// Gives it back.
pub(crate) const GIVE_BACK: &str = script!("give-back.sh");
/// Prints facts about it.
pub(crate) const FACTS: &str = script!("facts.sh");
/// Checks that it can reach other hosts.
pub(crate) const PROBE: &str = script!("probe.sh");
/// Checks that the pod network's packets pass between hosts.
pub(crate) const VXLAN: &str = script!("vxlan.sh");
/// Checks that downloads are available.
pub(crate) const DOWNLOADS: &str = script!("downloads.sh");

/// Prints the lease on one line, and on the next one the digest of the document that was applied
/// completely. Prints nothing without a lease.
pub(crate) const LOOK: &str = concat!(
    include_str!("scripts/places.sh"),
    "[ -e \"$lease\" ] || exit 0; tr -d '\\n' <\"$lease\"; echo; ! [ -e \"$state/carried-out\" ] || cat \"$state/carried-out\"\n"
);
/// Replaces the lease with another one of the same cluster.
pub(crate) const RELABEL: &str = concat!(
    include_str!("scripts/places.sh"),
    "set -eu; umask 077; cat >\"$state/lease\"; sync \"$state/lease\"; mv \"$state/lease\" \"$lease\"\n"
);
/// Records that a document was applied completely.
pub(crate) const CARRIED_OUT: &str = concat!(
    include_str!("scripts/places.sh"),
    "set -eu; printf '%s\\n' \"$1\" >\"$state/carried-out.new\"; sync \"$state/carried-out.new\"; \
     mv \"$state/carried-out.new\" \"$state/carried-out\"\n"
);
pub(crate) const RUN: &str = "exec \"$@\"";

/// Exit statuses: the host is leased, something is left on it, another cluster has used it.
pub(crate) const LEASED: u32 = 45;
/// See [`LEASED`].
pub(crate) const LEFT: u32 = 46;
/// See [`LEASED`].
pub(crate) const USED: u32 = 47;
