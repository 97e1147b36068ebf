//! The state of a host: everything that a cluster could leave on it.

use hakube_yard::Host;
use std::collections::BTreeSet;

/// The host's files, units, interfaces, rules, mounts and running programs.
#[derive(Debug, PartialEq, Eq)]
pub struct State(BTreeSet<String>);

/// Files with size and mode, except those that systemd recreates at each boot or that the system writes all
/// the time, and the home of the ssh sessions.
const LOOK: &str = r#"
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log/journal \
    -o -path /var/lib/systemd -o -path /var/cache -o -path /var/log/btmp -o -path /var/log/wtmp \
    -o -path /var/log/lastlog -o -name 'systemd-private-*' -o -path /root -o -path /home \) -prune -o \
    \( -type f -printf 'file %p %s %m\n' -o -type l -printf 'link %p %l\n' -o -printf 'directory %p %m\n' \)
find /run -maxdepth 1 -printf 'run %p\n' | grep -v 'sshd\|systemd\|utmp\|dbus\|lock\|user\|log\|initctl\|mount\|host\|motd'
systemctl list-unit-files --no-legend --no-pager | awk '{ print "unit", $1, $2 }'
ip -o link | awk '{ sub(/@.*/, "", $2); sub(/:$/, "", $2); print "interface", $2 }'
ip -o address | awk '{ print "address", $2, $4 }' | grep -v fe80
ip route | sed 's/^/route /'
nft list ruleset | sed 's/^/nft /'
awk '{ print "mount", $2, $3 }' /proc/mounts
for process in /proc/[0-9]*; do
    program=$(readlink "$process/exe") && printf 'process %s\n' "$program"
done | grep -v 'systemd\|sshd\|/sh$\|dash$\|bash$\|awk$\|find$\|sort$\|grep$\|sed$\|readlink$\|agetty\|sudo\|dbus' | sort -u
"#;

impl State {
    pub fn of(host: &Host) -> Self {
        let ran = host.run(&["sh", "-c", LOOK]).unwrap();
        Self(ran.stdout.lines().map(str::to_owned).collect())
    }

    /// Asserts that nothing was changed or left on the host.
    #[track_caller]
    pub fn assert_same_as(&self, before: &Self) {
        let left: Vec<&String> = self.0.difference(&before.0).collect();
        let missing: Vec<&String> = before.0.difference(&self.0).collect();
        assert!(
            left.is_empty() && missing.is_empty(),
            "left on the host: {left:#?}\nmissing on it: {missing:#?}"
        );
    }
}
