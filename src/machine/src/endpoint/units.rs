//! The scripts and units for the endpoint's address in a replica's document. They apply the
//! channel's files once these exist, and whenever they change.

use super::{ALIVE, ARRANGEMENT, CHECK, HAPROXY, IN_FORCE, INTERFACE, KEEPALIVED, RENDERED};
use crate::cloud_config::File;

/// The units that are enabled.
pub(crate) const ENABLED: [&str; 3] = [
    "endpoint-programs.service",
    "endpoint.service",
    "endpoint.path",
];

const PROGRAMS: &str = "/usr/local/lib/hakube/endpoint-programs";
const APPLY: &str = "/usr/local/lib/hakube/endpoint-apply";
const DROP: &str = "/usr/local/lib/hakube/endpoint-drop";
/// When a program stops, the in-force file is removed; once it runs again, this recreates it.
const SAYS_SO: &str = "/bin/systemctl start --no-block endpoint.service";

/// Scripts and units.
pub(crate) fn files() -> Vec<File> {
    let script = |path, content: String| File::text(path, 0o755, content);
    let unit =
        |name, content: String| File::text(format!("/etc/systemd/system/{name}"), 0o644, content);
    vec![
        script(CHECK, check()),
        script(PROGRAMS, programs()),
        script(APPLY, apply()),
        script(DROP, drop()),
        unit("endpoint-programs.service", programs_unit()),
        unit("endpoint-haproxy.service", haproxy_unit()),
        unit("endpoint-keepalived.service", keepalived_unit()),
        unit("endpoint.service", apply_unit()),
        unit("endpoint.path", path_unit()),
    ]
}

/// keepalived runs it as user nobody, so it and its directories must belong to root. haproxy
/// already checks every API server over TLS, so that a busy machine isn't checked twice.
fn check() -> String {
    format!(
        "#!/bin/sh\n\
         # Whether this machine may hold the endpoint's address: haproxy runs, and its own API server is ready.\n\
         exec curl --silent --fail --output /dev/null --max-time 2 --unix-socket {ALIVE} http://haproxy/\n"
    )
}

/// Not cloud-init's `packages`, which needs the network even if they are installed. It retries
/// forever: units that require a failed unit aren't started again when that succeeds later.
fn programs() -> String {
    "#!/bin/sh\n\
     # keepalived, haproxy and curl, if the image doesn't have them.\n\
     set -u\n\
     export DEBIAN_FRONTEND=noninteractive\n\
     while :; do\n    \
     missing=\n    \
     for program in keepalived haproxy curl; do\n        \
     command -v \"$program\" >/dev/null || missing=\"$missing $program\"\n    \
     done\n    \
     [ -n \"$missing\" ] || exit 0\n    \
     apt-get -q -o DPkg::Lock::Timeout=60 update &&\n        \
     apt-get -q -o DPkg::Lock::Timeout=60 install -y --no-install-recommends $missing ||\n        \
     sleep 5\n\
     done\n"
        .to_owned()
}

/// A file that changes while this runs doesn't start it again, so it checks again before it exits.
fn apply() -> String {
    format!(
        "#!/bin/sh\n\
         # Applies the endpoint's files. {IN_FORCE} reports what was applied.\n\
         set -eu\n\
         rm -f {IN_FORCE}\n\
         until cmp -s {ARRANGEMENT} {IN_FORCE}; do\n    \
         cp {ARRANGEMENT} {IN_FORCE}.next\n    \
         if [ -s {KEEPALIVED} ]; then\n        \
         own=$(sed -n 's/^ *unicast_src_ip //p' {KEEPALIVED})\n        \
         card=$(ip -o address show to \"$own\" 2>/dev/null | sed 's/^[0-9]*: *\\([^ ]*\\) .*/\\1/;q')\n        \
         sed \"s/{INTERFACE}/${{card:-eth0}}/\" {KEEPALIVED} >{RENDERED}.next\n        \
         mv -f {RENDERED}.next {RENDERED}\n        \
         systemctl reload-or-restart endpoint-haproxy.service\n        \
         systemctl reload-or-restart endpoint-keepalived.service\n    \
         else\n        \
         systemctl stop endpoint-keepalived.service\n        \
         systemctl stop endpoint-haproxy.service\n    \
         fi\n    \
         mv -f {IN_FORCE}.next {IN_FORCE}\n\
         done\n"
    )
}

/// A killed keepalived leaves the address behind, and two machines would have it.
fn drop() -> String {
    format!(
        "#!/bin/sh\n\
         # Removes the endpoint's address, if keepalived left it behind.\n\
         address=$(sed -n 's/^{{\"address\":\"\\([^\"]*\\)\".*/\\1/p' {ARRANGEMENT})\n\
         ip -o address show to \"$address\" | while read -r _ card _; do\n    \
         ip address delete \"$address\" dev \"$card\" 2>/dev/null\n\
         done\n\
         exit 0\n"
    )
}

fn programs_unit() -> String {
    format!(
        "[Unit]\nDescription=keepalived and haproxy\n\
         Wants=network-online.target\nAfter=network-online.target\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={PROGRAMS}\n\
         Restart=on-failure\nRestartSec=5s\nTimeoutStartSec=infinity\nStandardOutput=journal+console\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

fn haproxy_unit() -> String {
    format!(
        "[Unit]\nDescription=haproxy, in front of every API server\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=notify\nRuntimeDirectory=hakube\nRuntimeDirectoryPreserve=yes\n\
         ExecStart=/usr/sbin/haproxy -Ws -f {HAPROXY} -p /run/hakube/haproxy.pid\n\
         ExecReload=/usr/sbin/haproxy -c -q -f {HAPROXY}\nExecReload=/bin/kill -USR2 $MAINPID\n\
         ExecStartPost={SAYS_SO}\nExecStopPost=/bin/rm -f {IN_FORCE}\n\
         KillMode=mixed\nSuccessExitStatus=143\nTimeoutStopSec=10s\nRestart=always\nRestartSec=500ms\n"
    )
}

fn keepalived_unit() -> String {
    format!(
        "[Unit]\nDescription=keepalived, which holds the endpoint's address\n\
         Wants=network-online.target\nAfter=network-online.target endpoint-haproxy.service\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=notify\nRuntimeDirectory=hakube\nRuntimeDirectoryPreserve=yes\n\
         ExecStart=/usr/sbin/keepalived --dont-fork --log-console --vrrp -f {RENDERED} \
         -p /run/hakube/keepalived.pid -r /run/hakube/vrrp.pid\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         ExecStartPost={SAYS_SO}\nExecStopPost={DROP}\nExecStopPost=/bin/rm -f {IN_FORCE}\n\
         TimeoutStopSec=10s\nRestart=always\nRestartSec=500ms\n"
    )
}

fn apply_unit() -> String {
    format!(
        "[Unit]\nDescription=Apply the endpoint's configuration\n\
         Requires=endpoint-programs.service\nAfter=endpoint-programs.service\n\
         ConditionPathExists={ARRANGEMENT}\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=oneshot\nRuntimeDirectory=hakube\nRuntimeDirectoryPreserve=yes\n\
         ExecStart={APPLY}\nRestart=on-failure\nRestartSec=2s\nStandardOutput=journal+console\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

fn path_unit() -> String {
    format!(
        "[Unit]\nDescription=Wait for the endpoint's configuration\n\n\
         [Path]\nPathChanged={ARRANGEMENT}\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}
