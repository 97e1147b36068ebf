#!/bin/sh
# Where a cluster leaves something on a host. What stands before every other script here.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/hakube
lease=/etc/hakube/lease.json
# Only a cluster has something in these: whatever is new in them is hakube's.
own="/etc/hakube /etc/etcd /etc/kubernetes /etc/containerd /etc/cni /opt/cni /opt/containerd /usr/local/lib/hakube
    /usr/libexec/kubernetes /var/lib/etcd /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/lib/calico
    /var/log/pods /var/log/containers /run/containerd /run/flannel /run/hakube /run/kubernetes /etc/nri /opt/nri /run/nri"
# Others have something in these too: of what is new in them, only what hakube put there by name is hakube's.
shared="/etc/systemd/system /usr/local /usr/libexec /opt"
: "$state $lease $own $shared"
