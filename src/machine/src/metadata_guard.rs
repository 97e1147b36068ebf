//! Blocks pods from reading a node's metadata, which contains its bootstrap token.

use super::cloud_config::File;
use hakube_model::ClusterSpec;
use hakube_model::ProviderKind;

/// The unit that a kubelet requires.
pub(super) const UNIT: &str = "metadata-guard.service";

const SCRIPT: &str = "/etc/hakube/metadata-guard.sh";

/// The distribution's unit, if it exists. Each of its starts and reloads begins with `flush
/// ruleset`, which removes our rules. A drop-in restores them; `PartOf=` would miss reloads, and
/// stop the kubelet along with the guard.
const NFTABLES_DROP_IN: &str = "/etc/systemd/system/nftables.service.d/hakube.conf";

/// Pods' traffic is forwarded; the host's own, and that of pods in its network, isn't. Port 53
/// stays open: the same address is the resolver for cluster DNS. Without nftables, iptables' mangle
/// table runs before any rule of its filter table that accepts. A kernel without IPv6 doesn't
/// forward it, and has no table for the rule.
///
/// Source of both addresses: <https://cloud.google.com/compute/docs/metadata/querying-metadata>.
const RULES: &str = "set -eu
if command -v nft >/dev/null; then
  exec nft -f - <<'END'
table inet hakube_metadata
delete table inet hakube_metadata
table inet hakube_metadata {
  chain forward {
    type filter hook forward priority -150; policy accept;
    udp dport 53 accept
    tcp dport 53 accept
    ip daddr 169.254.169.254 drop
    ip6 daddr fd20:ce::254 drop
  }
}
END
fi
close() {
  for protocol in udp tcp; do
    rule=\"FORWARD -d $2 -p $protocol ! --dport 53 -j DROP\"
    $1 -w -t mangle -C $rule 2>/dev/null || $1 -w -t mangle -A $rule
  done
}
close iptables 169.254.169.254
if [ -e /proc/net/if_inet6 ]; then
  close ip6tables fd20:ce::254
fi
";

/// Whether nodes have Compute Engine's metadata. Processes of the operator's host don't.
pub(super) fn is_needed(spec: &ClusterSpec) -> bool {
    spec.provider == ProviderKind::Gce && !spec.is_on_this_host()
}

/// The rules, the unit that applies them, and the drop-in that restores them.
pub(super) fn files() -> [File; 3] {
    let unit = format!(
        "[Unit]\nDescription=Block pods from the node's metadata\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh {SCRIPT}\n"
    );
    let drop_in =
        format!("[Service]\nExecStartPost=/bin/sh {SCRIPT}\nExecReload=/bin/sh {SCRIPT}\n");
    [
        File::text(SCRIPT, 0o644, RULES),
        File::text(format!("/etc/systemd/system/{UNIT}"), 0o644, unit),
        File::text(NFTABLES_DROP_IN, 0o644, drop_in),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    /// PATH has only a directory with these commands, so nftables isn't found.
    #[test]
    fn without_nftables_iptables_blocks_both_families() {
        let commands = tempfile::tempdir().unwrap();
        let log = commands.path().join("log");
        for name in ["iptables", "ip6tables"] {
            // The rule doesn't exist yet.
            let stub = format!(
                "#!/bin/sh\necho {name} \"$@\" >>'{}'\ncase \"$*\" in *' -C '*) exit 1;; esac\n",
                log.display()
            );
            let path = commands.path().join(name);
            std::fs::write(&path, stub).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut run = Command::new("/bin/sh");
        let run = run.args(["-c", RULES]).env("PATH", commands.path());
        assert!(run.status().unwrap().success());

        let mut families = vec![("iptables", "169.254.169.254")];
        if Path::new("/proc/net/if_inet6").exists() {
            families.push(("ip6tables", "fd20:ce::254"));
        }
        let rules = families.into_iter().flat_map(|(command, address)| {
            ["udp", "tcp"].map(|protocol| {
                format!("{command} -w -t mangle -A FORWARD -d {address} -p {protocol} ! --dport 53 -j DROP")
            })
        });
        let log = std::fs::read_to_string(&log).unwrap();
        let added: Vec<&str> = log.lines().filter(|line| line.contains(" -A ")).collect();
        assert_eq!(added, rules.collect::<Vec<_>>());
    }
}
