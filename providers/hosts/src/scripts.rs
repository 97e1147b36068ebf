//! What runs on hosts: POSIX shell, each script after the one that says where a cluster leaves something.

macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("scripts/places.sh"),
            include_str!(concat!("scripts/", $name))
        )
    };
}

/// Takes the host.
pub(crate) const LEASE: &str = script!("lease.sh");
/// Puts files on it.
pub(crate) const PUT: &str = script!("put.sh");
/// Gives it back.
pub(crate) const GIVE_BACK: &str = script!("give-back.sh");
/// What it is like.
pub(crate) const FACTS: &str = script!("facts.sh");
/// Whether others are reached from it.
pub(crate) const PROBE: &str = script!("probe.sh");
/// Whether the pod network's packets pass between hosts.
pub(crate) const VXLAN: &str = script!("vxlan.sh");
/// Whether downloads can be had.
pub(crate) const DOWNLOADS: &str = script!("downloads.sh");

/// Prints the lease on one line, and on the next one what was carried out to its end. Nothing where there is none.
pub(crate) const LOOK: &str = concat!(
    include_str!("scripts/places.sh"),
    "[ -e \"$lease\" ] || exit 0; tr -d '\\n' <\"$lease\"; echo; ! [ -e \"$state/carried-out\" ] || cat \"$state/carried-out\"\n"
);
/// Puts another lease of the same cluster in the place of this one.
pub(crate) const RELABEL: &str = concat!(
    include_str!("scripts/places.sh"),
    "set -eu; umask 077; cat >\"$state/lease\"; sync \"$state/lease\"; mv \"$state/lease\" \"$lease\"\n"
);
/// Says that a document was carried out to its end.
pub(crate) const CARRIED_OUT: &str = concat!(
    include_str!("scripts/places.sh"),
    "set -eu; printf '%s\\n' \"$1\" >\"$state/carried-out.new\"; sync \"$state/carried-out.new\"; \
     mv \"$state/carried-out.new\" \"$state/carried-out\"\n"
);
/// Runs a command.
pub(crate) const RUN: &str = "exec \"$@\"";

/// The statuses by which they say that a host is leased, that something is left on it, and that another cluster has
/// used it.
pub(crate) const LEASED: u32 = 45;
/// See [`LEASED`].
pub(crate) const LEFT: u32 = 46;
/// See [`LEASED`].
pub(crate) const USED: u32 = 47;
