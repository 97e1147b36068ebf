#!/bin/sh
# Prepares this machine for pods at each boot: kernel modules, kernel settings, and the host-dependent configuration
# of the container runtime and the kubelet. Changes nothing that is already right.
#
#   prepare.sh TEMPLATE CONFIG
#
# TEMPLATE is containerd's configuration with the placeholder @SYSTEMD_CGROUP@; CONFIG is the file that containerd
# reads.
set -eu

# Some kernels have them built in, and modprobe finds none.
for module in overlay br_netfilter nf_conntrack; do
    modprobe "$module" 2>/dev/null || true
done

# Earlier values are saved, to restore them when the host is given back.
before=/var/lib/hakube/sysctl.before
mkdir -p "${before%/*}"
[ -e "$before" ] || : >"$before"

setting() { # NAME VALUE: skipped if the kernel doesn't have it
    file=/proc/sys/$(printf '%s' "$1" | tr . /)
    [ -e "$file" ] || return 0
    now=$(cat "$file")
    [ "$now" != "$2" ] || return 0
    grep -q "^$1=" "$before" || printf '%s=%s\n' "$1" "$now" >>"$before"
    printf '%s' "$2" >"$file" 2>/dev/null || echo "could not set $1: it stays $now" >&2
}

at_least() { # NAME VALUE
    file=/proc/sys/$(printf '%s' "$1" | tr . /)
    [ -e "$file" ] || return 0
    if [ "$(cat "$file")" -lt "$2" ]; then setting "$1" "$2"; fi
}

# Pods' packets are forwarded, and Services' rules apply to those that cross a bridge.
setting net.ipv4.ip_forward 1
setting net.bridge.bridge-nf-call-iptables 1
setting net.bridge.bridge-nf-call-ip6tables 1
# Each pod watches files: https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files
at_least fs.inotify.max_user_instances 8192
at_least fs.inotify.max_user_watches 524288
# kube-proxy's defaults. They are set here because kube-proxy exits if it can't set them.
at_least net.netfilter.nf_conntrack_max 131072
setting net.netfilter.nf_conntrack_tcp_timeout_established 86400
setting net.netfilter.nf_conntrack_tcp_timeout_close_wait 3600

# systemd-resolved listens on a loopback address, which pods can't reach.
mkdir -p /run/hakube
if [ -e /run/systemd/resolve/resolv.conf ] && grep -q '^nameserver 127\.0\.0\.53' /etc/resolv.conf 2>/dev/null; then
    ln -sf /run/systemd/resolve/resolv.conf /run/hakube/resolv.conf
elif [ -e /etc/resolv.conf ]; then
    ln -sf /etc/resolv.conf /run/hakube/resolv.conf
else
    : >/run/hakube/resolv.conf
fi

# With the unified hierarchy systemd manages cgroups; with cgroup v1 the runtime does. The kubelet
# queries the runtime.
if [ "$(stat --file-system --format=%T /sys/fs/cgroup)" = cgroup2fs ]; then systemd=true; else systemd=false; fi
mkdir -p "${2%/*}"
sed "s/@SYSTEMD_CGROUP@/$systemd/" "$1" >"$2.new"
mv -f "$2.new" "$2"
