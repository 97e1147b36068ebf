//! What keeps pods from a node's metadata, which has its bootstrap token.

use super::cloud_config::File;
use crate::cluster::ClusterSpec;
use crate::settings::ProviderKind;

/// The unit that a kubelet needs.
pub(super) const UNIT: &str = "metadata-guard.service";

const SCRIPT: &str = "/etc/hakube/metadata-guard.sh";

/// Traffic of pods is forwarded, the host's own (and that of pods in its network) isn't. Port 53 stays open: the
/// same address is the resolver that cluster DNS asks. Where there is no nftables, iptables' mangle table comes
/// before whatever accepts in its filter table.
///
/// https://cloud.google.com/compute/docs/metadata/querying-metadata has both addresses.
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
for protocol in udp tcp; do
  rule=\"FORWARD -d 169.254.169.254 -p $protocol ! --dport 53 -j DROP\"
  iptables -w -t mangle -C $rule 2>/dev/null || iptables -w -t mangle -A $rule
done
";

/// Whether nodes have metadata of Compute Engine's. Processes of the operator's host have not.
pub(super) fn is_needed(spec: &ClusterSpec) -> bool {
    spec.provider == ProviderKind::Gce && !spec.is_on_this_host()
}

/// The rules, and the unit that puts them in force.
pub(super) fn files() -> [File; 2] {
    let unit = format!(
        "[Unit]\nDescription=Pods can't read the node's metadata\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh {SCRIPT}\n"
    );
    [
        File::text(SCRIPT, 0o644, RULES),
        File::text(format!("/etc/systemd/system/{UNIT}"), 0o644, unit),
    ]
}
