#!/bin/sh
# The places where a cluster leaves files on a host. Prepended to every other script here.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=/var/lib/hakube
lease=/etc/hakube/lease.json
# Only clusters use these: anything new in them is hakube's.
own="/etc/hakube /etc/etcd /etc/kubernetes /etc/containerd /etc/cni /opt/cni /opt/containerd /usr/local/lib/hakube
    /usr/libexec/kubernetes /var/lib/etcd /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/lib/calico
    /var/log/pods /var/log/containers /run/containerd /run/flannel /run/hakube /run/kubernetes /etc/nri /opt/nri /run/nri"
# Others use these too: only files that hakube recorded are hakube's.
shared="/etc/systemd/system /usr/local /usr/libexec /opt"
: "$state $lease $own $shared"
