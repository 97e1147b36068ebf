# What a host is like, a fact a line as NAME=VALUE. Changes nothing but a file of 4 KiB for a moment.
set -u
fact() { printf '%s=%s\n' "$1" "$2"; }

fact os "$(. /etc/os-release 2>/dev/null; printf '%s %s' "${ID-}" "${VERSION_ID-}")"
fact arch "$(uname -m)"
fact kernel "$(uname -r)"
fact cpus "$(nproc)"
fact memory_mib "$(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024))"
fact disk_mib "$(df -Pm /var/lib | awk 'NR == 2 { print $4 }')"
fact clock "$(date +%s)"
fact hostname "$(cat /proc/sys/kernel/hostname)"
fact machine_id "$(cat /etc/machine-id 2>/dev/null)"
for address in /sys/class/net/*/address; do
    # Only those of real interfaces: a bridge's may be anybody's.
    [ ! -e "${address%/*}/bridge" ] && [ "$(cat "${address%/*}/type")" = 1 ] && fact mac "$(cat "$address")"
done
[ -d /run/systemd/system ] && fact systemd yes
for program in python3 ip iptables ss; do
    command -v "$program" >/dev/null || fact missing "$program"
done
for program in haproxy keepalived; do
    command -v "$program" >/dev/null || fact no_endpoint_program "$program"
done
for filesystem in overlay; do
    grep -qw "$filesystem" /proc/filesystems || modprobe -n "$filesystem" 2>/dev/null || fact missing_module "$filesystem"
done
if command -v ss >/dev/null; then
    ss -Hltnp 'sport = :6443 or sport = :2379 or sport = :2380 or sport = :10250' 2>/dev/null |
        sed -n 's/^[^ ]* *[^ ]* *[^ ]* *[^ ]*:\([0-9]*\) .*users:((\"\([^\"]*\)\",pid=\([0-9]*\).*/port=\1 \2 \3/p'
fi
pgrep -x kubelet >/dev/null 2>&1 && fact runs kubelet
pgrep -x etcd >/dev/null 2>&1 && fact runs etcd
for directory in /var/lib/etcd /etc/kubernetes /var/lib/kubelet; do
    [ -n "$(ls -A "$directory" 2>/dev/null | grep -vx 'lost+found\|kubelet.conf.d')" ] && fact used "$directory"
done
if [ -e /etc/hakube/lease.json ]; then fact lease "$(tr -d '\n' </etc/hakube/lease.json)"; fi
exit 0
