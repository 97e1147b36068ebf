# Prints facts about the host, one NAME=VALUE per line. Changes nothing, apart from a temporary file
# of a few KiB. Arguments: the ports that a cluster uses.
set -u
fact() { printf '%s=%s\n' "$1" "$2"; }

fact os "$(sed -n 's/^ID=//p; s/^ID_LIKE=/ /p' /etc/os-release 2>/dev/null | tr -d '"\n')"
fact arch "$(uname -m)"
fact cpus "$(nproc)"
fact memory_mib "$(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024))"
fact disk_mib "$(df -Pm /var/lib | awk 'NR == 2 { print $4 }')"
fact clock "$(date +%s.%N)"
fact hostname "$(cat /proc/sys/kernel/hostname)"
fact machine_id "$(cat /etc/machine-id 2>/dev/null)"
for device in /sys/class/net/*; do
    # Only real interfaces: bridges on different hosts may share a MAC address.
    if [ ! -e "$device/bridge" ] && [ "$(cat "$device/type")" = 1 ]; then fact mac "$(cat "$device/address")"; fi
done
[ ! -d /run/systemd/system ] || fact systemd yes
for program in python3 ip iptables ss flock cmp; do
    command -v "$program" >/dev/null || fact missing "$program"
done
for program in haproxy keepalived curl; do
    command -v "$program" >/dev/null || fact no_endpoint_program "$program"
done
release=$(uname -r)
for module in overlay br_netfilter; do
    [ ! -e "/sys/module/$module" ] || continue
    ! grep -qw "$module" /proc/filesystems || continue
    ! grep -q "/$module\.ko" "/lib/modules/$release/modules.builtin" 2>/dev/null || continue
    # A built-in br_netfilter isn't listed as a module; its sysctls show it.
    if [ "$module" = br_netfilter ] && [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then continue; fi
    modprobe --dry-run --quiet "$module" 2>/dev/null || fact missing_module "$module"
done
if [ "$(stat --file-system --format=%T /sys/fs/cgroup)" = cgroup2fs ]; then
    groups=$(cat /sys/fs/cgroup/cgroup.controllers)
else
    groups=$(cut -f 1 /proc/cgroups)
fi
for controller in cpu memory pids; do
    printf '%s\n' "$groups" | grep -qw "$controller" || fact missing_controller "$controller"
done
for port; do
    ss -Hltnp "sport = :$port" 2>/dev/null | head -n 1 | while read -r line; do
        who=$(printf '%s' "$line" | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p')
        fact port "$port ${who:-a_program ?}"
    done
done
for program in kubelet etcd kube-apiserver containerd dockerd crio; do
    if pid=$(pidof -s "$program"); then fact runs "$program $pid"; fi
done
for program in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy containerd \
    containerd-shim-runc-v2 ctr runc; do
    [ ! -e "/usr/local/bin/$program" ] || fact has "/usr/local/bin/$program"
done
for directory in /var/lib/etcd /etc/kubernetes /var/lib/kubelet /var/lib/containerd /etc/cni/net.d /opt/cni/bin; do
    [ -z "$(find "$directory" -mindepth 1 ! -name lost+found -print -quit 2>/dev/null)" ] || fact used "$directory"
done
# The sync latency of etcd's disk: the median of nine writes, in microseconds.
probe=/var/lib/.hakube-probe.$$
for _ in 1 2 3 4 5 6 7 8 9; do
    begin=$(date +%s%N)
    dd if=/dev/zero of="$probe" bs=4k count=1 oflag=dsync conv=notrunc 2>/dev/null || break
    echo "$((($(date +%s%N) - begin) / 1000))"
done | sort -n | sed -n 's/^/fsync_us=/; 5p'
rm -f "$probe"
if [ -e "$lease" ]; then fact lease "$(tr -d '\n' <"$lease")"; fi
exit 0
