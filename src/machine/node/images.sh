#!/bin/sh
# Imports image archives into containerd, once each. They are pinned: the kubelet's garbage collection must not remove
# what no registry can bring back.
#
#   images.sh LIST DIRECTORY
#
# LIST has a line for each: the archive's name in DIRECTORY, and the image's.
set -eu

images() { ctr --namespace k8s.io images "$@"; }

while read -r archive image; do
    if images ls --quiet "name==$image" 2>/dev/null | grep -qxF "$image"; then continue; fi
    images import "$2/$archive" >/dev/null
    images label "$image" io.cri-containerd.pinned=pinned >/dev/null
    echo "imported $image"
done <"$1"
