# Gives the host back: removes everything that the cluster added, keeps what was there before, then
# verifies that. Prints leftovers, one per line; then the lease stays and the status is 46. Running
# it again continues. $1, optional: the address that replicas share.
set -u
umask 077
[ -e "$lease" ] || exit 0
endpoint=${1-}
for list in before/files before/links before/addresses before/mounts before/tables manifest; do
    if [ ! -e "$state/$list" ]; then
        echo "$state/$list is missing: the host's prior state is unknown, so nothing is removed"
        exit 46
    fi
done

was_there() { grep -qxF -- "$1" "$state/before/files"; }
# The original files that hakube replaced.
kept() { [ ! -d "$state/kept" ] || (cd "$state/kept" && find . ! -type d ! -name '*.part' | sed 's/^\.//'); }
kept | sort -u - "$state/before/files" >"$state/before/all"

# Programs from hakube's installer: next to each download is a list of its files and their digests.
installed() {
    for seal in /usr/local/bin/.*.sha256; do
        if [ ! -f "$seal" ] || was_there "$seal"; then continue; fi
        printf '%s\n' "$seal"
        sed -n 's#^[0-9a-f]\{64\}  \([^/]*\)$#/usr/local/bin/\1#p' "$seal"
    done
}
# Files that hakube wrote and that didn't exist before.
named() {
    { cat "$state/manifest"; installed; sed 's/$/.hakube-new/' "$state/manifest"; } | sort -u |
        comm -23 - "$state/before/all"
}
units() {
    named | sed -n 's#^/etc/systemd/system/\([^/]*\.\(service\|path\|target\|mount\|timer\|socket\|slice\)\)$#\1#p'
}
# Links that enable units, and their drop-ins.
enabled() {
    for unit in $(units); do
        find /etc/systemd/system -xdev -mindepth 2 -name "$unit"
    done | sort -u | comm -23 - "$state/before/files"
}
# hakube's files outside its own directories.
files() {
    { named; enabled; } | while IFS= read -r path; do
        if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\n' "$path"; fi
    done
}
# New files in the directories that only a cluster uses.
in_own() {
    # shellcheck disable=SC2154
    for directory in $own; do
        [ ! -d "$directory" ] || find "$directory" -xdev
    done | grep -vx "$lease\|/etc/hakube" | sort -u | comm -23 - "$state/before/files"
}
links() {
    ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | comm -23 - "$state/before/links" |
        grep -E '^(cni[0-9]+|flannel.*|kube-ipvs0|kube-bridge|dummy-hakube|nodelocaldns|veth.*)$'
}
mounts() {
    cut -d ' ' -f 2 /proc/mounts | sort | comm -23 - "$state/before/mounts" |
        grep -E '^(/var)?/run/(containerd|netns/cni-|flannel)|^/var/lib/(kubelet|containerd|cni|etcd)(/|$)' | sort -r
}
tables() {
    command -v nft >/dev/null || return 0
    nft list tables 2>/dev/null | sort | comm -23 - "$state/before/tables"
}
our_tables() { tables | grep -E '^table [a-z0-9]+ (kube-proxy|flannel-ipv[46]|cni_.*|hakube.*)$'; }
chains() {
    for version in iptables ip6tables; do
        command -v "$version-save" >/dev/null || continue
        "$version-save" 2>/dev/null | sed -n "s/^:\(KUBE-[^ ]*\|CNI-[^ ]*\|FLANNEL-[^ ]*\) .*/$version \1/p"
    done
}
# Containers, their shims, and programs that hakube installed.
processes() {
    programs=$(named; echo /usr/local/bin/containerd-shim-runc-v2)
    for process in /proc/[0-9]*; do
        program=$(readlink "$process/exe" 2>/dev/null) || continue
        program=${program% (deleted)}
        case "$program" in
        /usr/local/* | /opt/cni/*) printf '%s\n' "$programs" | grep -qxF -- "$program" && ! was_there "$program" ;;
        *) grep -q '[/-]kubepods\|/k8s\.io/' "$process/cgroup" 2>/dev/null ;;
        esac && printf '%s\n' "${process#/proc/}"
    done
}

# Units: the kubelet first, so it can't restart what is being stopped; then containers, while the
# runtime still runs.
all=$(units)
for unit in kubelet.service kube-proxy.service; do
    case " $(printf '%s' "$all" | tr '\n' ' ') " in *" $unit "*) timeout 60 systemctl stop "$unit" ;; esac
done
ctr=/usr/local/bin/ctr
if [ -S /run/containerd/containerd.sock ] && [ -x $ctr ] && ! was_there $ctr; then
    for task in $(timeout 20 $ctr --namespace k8s.io tasks ls --quiet 2>/dev/null); do
        timeout 10 $ctr --namespace k8s.io tasks kill --signal KILL --all "$task" >/dev/null 2>&1
    done
fi
if [ -n "$all" ]; then
    # Path, timer and socket units first, so they can't restart what is being stopped.
    # shellcheck disable=SC2086
    set -- $all
    for unit; do
        case "$unit" in *.path | *.timer | *.socket) timeout 60 systemctl stop "$unit" ;; esac
    done
    timeout 120 systemctl stop "$@" 2>/dev/null
    systemctl disable --quiet "$@" 2>/dev/null
fi
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    found=$(processes)
    [ -n "$found" ] || break
    # shellcheck disable=SC2086
    kill -KILL $found 2>/dev/null
    sleep "0.$attempt"
done

for attempt in 1 2 3; do
    mounts | while IFS= read -r mount; do
        # /proc/mounts has spaces and the like in octal.
        mount=$(printf '%b' "$(printf '%s' "$mount" | sed 's/\\\([0-7]\)/\\0\1/g')")
        umount "$mount" 2>/dev/null || [ "$attempt" -lt 3 ] || umount --lazy "$mount"
    done
done
for namespace in /run/netns/cni-*; do
    [ ! -e "$namespace" ] || rm -f "$namespace"
done
was_there /run/netns || rmdir /run/netns 2>/dev/null
for link in $(links); do
    ip link delete "$link" 2>/dev/null
done
if [ -n "$endpoint" ] && ! grep -qxF -- "$endpoint" "$state/before/addresses"; then
    ip -o address show | sed -n "s#^[0-9]*: *\([^ ]*\) *inet6* \($endpoint/[0-9]*\) .*#\1 \2#p" |
        while read -r link address; do ip address delete "$address" dev "$link"; done
fi

# Rules. In tables that others use too, delete only the cluster's chains and the jumps to them.
for version in iptables ip6tables; do
    chains | grep -q "^$version " || continue
    "$version-save" 2>/dev/null | grep -v 'KUBE-\|CNI-\|FLANNEL-' | "$version-restore"
done
our_tables | while read -r _ family name; do nft delete table "$family" "$name"; done
# iptables creates tables when it first needs them.
tables | while read -r _ family name; do
    case "$family" in ip) version=iptables ;; ip6) version=ip6tables ;; *) continue ;; esac
    case "$name" in filter | nat | mangle | raw | security) ;; *) continue ;; esac
    "$version-save" -t "$name" 2>/dev/null | grep -q '^-A\|^:[^ ]* - ' || nft delete table "$family" "$name"
done

if [ -e "$state/sysctl.before" ]; then
    while IFS='=' read -r name value; do
        file=/proc/sys/$(printf '%s' "$name" | tr . /)
        [ ! -e "$file" ] || printf '%s' "$value" >"$file" 2>/dev/null
    done <"$state/sysctl.before"
fi

# Files, and their directories if those are new and now empty.
files | while IFS= read -r path; do
    rm -f -- "$path"
    path=${path%/*}
    while [ -n "$path" ] && ! was_there "$path" && rmdir -- "$path" 2>/dev/null; do path=${path%/*}; done
done
for directory in $own; do
    [ "$directory" != /etc/hakube ] || continue
    was_there "$directory" || rm -rf --one-file-system -- "$directory"
done
in_own | sort -r | while IFS= read -r path; do
    if [ -d "$path" ] && [ ! -L "$path" ]; then rmdir -- "$path" 2>/dev/null; else rm -f -- "$path"; fi
done
kept | while IFS= read -r path; do
    mkdir -p "${path%/*}"
    rm -f "$path"
    cp -a "$state/kept$path" "$path"
done
for directory in /usr/local/lib /usr/local/bin /usr/libexec /opt; do
    was_there "$directory" || rmdir "$directory" 2>/dev/null
done
# Created by iptables and the pod network.
was_there /run/xtables.lock || rm -f /run/xtables.lock
systemctl daemon-reload
if [ -n "$all" ]; then
    # shellcheck disable=SC2086
    systemctl reset-failed $all 2>/dev/null
fi
systemctl stop kubepods.slice 2>/dev/null
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    for group in "$hierarchy/kubepods" "$hierarchy/kubepods.slice" "$hierarchy/k8s.io"; do
        [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    done
done

left=$(
    { files; in_own; } | sort -u | sed 's/^/file /' | head -n 20
    kept | while IFS= read -r path; do
        [ -L "$path" ] || cmp -s "$state/kept$path" "$path" || printf 'file %s, which differs from its original\n' "$path"
    done
    mounts | sed 's/^/mount /'
    links | sed 's/^/interface /'
    our_tables
    chains | sed 's/^/chain /'
    for unit in $all; do
        ! systemctl is-active --quiet "$unit" || printf 'unit %s\n' "$unit"
    done
    for process in $(processes); do
        printf 'process %s (%s)\n' "$process" "$(tr '\0' ' ' <"/proc/$process/cmdline" | cut -c 1-80)"
    done
)
if [ -n "$left" ]; then
    printf '%s\n' "$left"
    exit 46
fi
had_directory=0
was_there /etc/hakube && had_directory=1
# Delete the lease before the recorded state: a lease without that state couldn't be given back.
rm -f "$lease"
[ "$had_directory" = 1 ] || rmdir /etc/hakube
rm -rf "$state"
sync
