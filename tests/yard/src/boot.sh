# Above are this host's values. First in the yard's cgroups and its network, then in mounts of its own: these go
# with the last process of the host, however it ends, and none is seen outside.
if [ "${1:-}" != apart ]; then
    for door in $DOORS; do
        echo $$ >"$door"
    done
    exec nsenter --net="$NETWORK" unshare --mount --propagation private sh -eu "$0" apart
fi

# The host's directories come from this.
umask 022
# systemd-nspawn keeps notes here, under names that another yard's hosts have too.
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
# The disk. Its inode tables are holes in the file; writing them in the background would fill it.
mount -o loop,discard,noinit_itable "$DATA/disk" "$DATA/mounted"
mkdir -p "$DATA/mounted/root" "$DATA/mounted/work"
mount -t overlay -o "lowerdir=$LOWER,upperdir=$DATA/mounted/root,workdir=$DATA/mounted/work" host "$DATA/root"
# containerd makes overlays below /var/lib, and there is no overlay on an overlay.
if [ ! -d "$DATA/mounted/lib" ]; then
    rm -rf "$DATA/mounted/making"
    cp -a "$DATA/root/var/lib" "$DATA/mounted/making"
    mv "$DATA/mounted/making" "$DATA/mounted/lib"
fi

while true; do
    status=0
    # --keep-unit: in the cgroups that were joined above, not in new ones at the top.
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$UNIFIED SYSTEMD_NSPAWN_TMPFS_TMP=0 \
        systemd-nspawn --quiet --directory="$DATA/root" --machine="$MACHINE" --hostname="$HOSTNAME" --boot \
        --register=no --keep-unit --settings=no --link-journal=no --resolv-conf=off --timezone=off \
        --network-bridge=br0 --capability=all --system-call-filter='@keyring bpf perf_event_open' \
        --bind=/dev/kmsg --bind="$DATA/mounted/lib:/var/lib" || status=$?
    # It says so when the host wants to boot again.
    [ "$status" = 133 ] || exit "$status"
    # What ran in the host is gone. So are its cgroups, on a machine that boots.
    for door in $DOORS; do
        find "${door%/*}" -mindepth 1 -depth -type d -exec rmdir {} + || true
    done
done
