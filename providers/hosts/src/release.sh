# Gives the host back: everything that a cluster brought goes, what was there before stays, and a check proves it.
# What is left is printed, one thing a line, and the status is 46; then the lease stays too.
set -u
umask 077
state=/var/lib/hakube
lease=/etc/hakube/lease.json
[ -e "$lease" ] || exit 0

extra_files() {
    for directory in $DIRECTORIES; do
        [ ! -d "$directory" ] || find "$directory" -xdev
    done | grep -v "^$state\(/\|\$\)" | grep -vx "/etc/hakube\|$lease" | sort | comm -23 - "$state/before.files"
}
extra_links() {
    ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | comm -23 - "$state/before.links"
}
extra_tables() {
    if command -v nft >/dev/null; then nft list tables | sort | comm -23 - "$state/before.tables"; fi
}
# Programs that a cluster brought, and what runs in its containers.
extra_processes() {
    for process in /proc/[0-9]*; do
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        case "${program% (deleted)}" in
        /usr/local/bin/*) grep -qxF "${program% (deleted)}" "$state/before.files" || printf '%s\n' "${process#/proc/}" ;;
        *) grep -q kubepods "$process/cgroup" 2>/dev/null && printf '%s\n' "${process#/proc/}" ;;
        esac
    done
}

# Units first, the kubelet before what runs its pods. Drop-ins and links are files like others.
units=$(extra_files | sed -n 's#^/etc/systemd/system/\([^/]*\.\(service\|path\|target\|mount\|timer\)\)$#\1#p')
for unit in kubelet.service kube-proxy.service; do
    case " $(echo $units) " in *" $unit "*) systemctl stop "$unit" ;; esac
done
if [ -S /run/containerd/containerd.sock ] && [ -x /usr/local/bin/ctr ]; then
    for task in $(timeout 20 /usr/local/bin/ctr --namespace k8s.io tasks ls --quiet 2>/dev/null); do
        timeout 10 /usr/local/bin/ctr --namespace k8s.io tasks kill --signal KILL "$task" >/dev/null 2>&1
    done
fi
for unit in $units; do
    systemctl disable --now "$unit" >/dev/null 2>&1
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    processes=$(extra_processes)
    [ -n "$processes" ] || break
    kill -KILL $processes 2>/dev/null
    sleep 0.3
done

# What is mounted for pods, the innermost first.
for _ in 1 2 3; do
    awk '{ print $2 }' /proc/mounts | sort -r |
        grep -E '^(/run/containerd|/run/netns/cni-|/var/run/netns/cni-|/var/lib/kubelet/|/var/lib/containerd/|/var/lib/etcd/)' |
        while IFS= read -r mount; do umount "$mount" 2>/dev/null || umount --lazy "$mount"; done
done
for namespace in /run/netns/cni-*; do
    [ ! -e "$namespace" ] || rm -f "$namespace"
done
for link in $(extra_links); do
    ip link delete "$link" 2>/dev/null
done

# Rules. A table that wasn't there goes as a whole; from others go the chains that a cluster makes.
for version in iptables ip6tables; do
    command -v $version-save >/dev/null || continue
    if $version-save 2>/dev/null | grep -q 'KUBE-\|CNI-\|FLANNEL'; then
        $version-save | grep -v 'KUBE-\|CNI-\|FLANNEL' | $version-restore
    fi
done
extra_tables | while read -r word family name; do
    [ "$word" = table ] && nft delete table "$family" "$name" 2>/dev/null
done

# Kernel settings as they were.
if [ -e "$state/sysctl.before" ]; then
    while IFS='=' read -r name value; do
        printf '%s' "$value" >"/proc/sys/$(printf '%s' "$name" | tr . /)" 2>/dev/null
    done <"$state/sysctl.before"
fi

# Files: the deepest first.
extra_files | sort -r | while IFS= read -r path; do
    if [ -d "$path" ] && [ ! -L "$path" ]; then rmdir "$path" 2>/dev/null; else rm -f "$path"; fi
done
if [ -d "$state/before" ]; then
    (cd "$state/before" && find . -type f -o -type l) | while IFS= read -r path; do
        cp -a "$state/before/$path" "/${path#./}"
    done
fi
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ ! -d "$hierarchy/kubepods" ] && [ ! -d "$hierarchy/kubepods.slice" ] && continue
    find "$hierarchy"/kubepods "$hierarchy"/kubepods.slice -depth -type d -exec rmdir {} + 2>/dev/null
done
systemctl daemon-reload
systemctl reset-failed

left=$(
    extra_files | sed 's/^/file /'
    extra_links | sed 's/^/interface /'
    extra_tables
    for process in $(extra_processes); do
        printf 'process %s (%s)\n' "$process" "$(tr '\0' ' ' <"/proc/$process/cmdline" | cut -c 1-80)"
    done
)
if [ -n "$left" ]; then
    printf '%s\n' "$left"
    exit 46
fi
had_directory=$(grep -cx /etc/hakube "$state/before.files")
rm -rf "$state"
rm -f "$lease"
[ "$had_directory" -gt 0 ] || rmdir /etc/hakube
sync
