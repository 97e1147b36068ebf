#!/bin/sh
# Imports image archives into containerd, each once. They are pinned, so that the kubelet's garbage collection
# doesn't remove images that no registry can serve.
#
#   images.sh LIST DIRECTORY
#
# LIST has one line per archive: its file name in DIRECTORY, and the image's name.
set -eu

images() { ctr --namespace k8s.io images "$@"; }

while read -r archive image; do
    if images ls --quiet "name==$image" 2>/dev/null | grep -qxF "$image"; then continue; fi
    images import "$2/$archive" >/dev/null
    images label "$image" io.cri-containerd.pinned=pinned >/dev/null
    echo "imported $image"
done <"$1"
