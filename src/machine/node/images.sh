#!/bin/sh
# Imports the image archives of a directory into containerd, once each. They are pinned: the kubelet's garbage
# collection must not remove what no registry can bring back.
#
#   images.sh DIRECTORY
set -eu

for archive in "$1"/*.tar; do
    [ -e "$archive" ] || continue
    mark=$archive.imported
    if [ -e "$mark" ] && ctr --namespace k8s.io images ls --quiet | grep -qxF "$(cat "$mark")"; then continue; fi
    names=$(ctr --namespace k8s.io images import "$archive" | sed -n 's/^\(unpacking \)\{0,1\}\([^[:space:]]*\).*/\2/p' | head -n 1)
    for name in $names; do
        ctr --namespace k8s.io images label "$name" io.cri-containerd.pinned=pinned >/dev/null
        printf '%s\n' "$name" >"$mark"
    done
done
