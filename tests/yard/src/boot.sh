# This host's values are above. Join the yard's cgroups and network, then a new mount namespace: its
# mounts disappear with the host's last process, however it ends, and are invisible outside.
if [ "${1:-}" != apart ]; then
    for door in $DOORS; do
        echo $$ >"$door"
    done
    exec nsenter --net="$NETWORK" unshare --mount --propagation private sh -eu "$0" apart
fi

# For the directories created below.
umask 022
# systemd-nspawn keeps its state here, under names that other yards' hosts use too.
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
# The disk. Its inode tables are holes in the file; background initialization would fill them.
mount -o loop,discard,noinit_itable "$DISK" "$DATA/mounted"
mkdir -p "$DATA/mounted/root" "$DATA/mounted/work"
mount -t overlay -o "lowerdir=$LOWER,upperdir=$DATA/mounted/root,workdir=$DATA/mounted/work" host "$DATA/root"
# containerd creates overlays below /var/lib, and an overlay can't be on another overlay.
if [ ! -d "$DATA/mounted/lib" ]; then
    rm -rf "$DATA/mounted/making"
    cp -a "$DATA/root/var/lib" "$DATA/mounted/making"
    mv "$DATA/mounted/making" "$DATA/mounted/lib"
fi

# The further disks, if the host may have some. This shell's children keep their loop devices open: the kernel removes
# each with its last user. The host has no udev, so the entries of udev's database come from here: systemd then knows the
# devices.
set --
holders=
trap 'for holder in $holders; do kill "$holder" 2>/dev/null || true; done' EXIT
if [ -e "$DEVICES" ]; then
    udev=$DATA/udev
    rm -rf "$udev"
    mkdir -p "$udev/data" "$udev/tags/systemd"
    set -- --bind="$udev:/run/udev"
    while IFS='	' read -r file name; do
        loop=$(losetup --find --show "$file")
        # Open before it is marked, so not only in the child.
        exec 9<>"$loop"
        sleep infinity <&9 &
        holders="$holders $!"
        # It is still in use, so this only marks it for removal.
        losetup --detach "$loop"
        exec 9<&-
        number=$(cat "/sys/block/${loop##*/}/dev")
        printf 'S:disk/by-id/%s\nI:1\nG:systemd\nQ:systemd\nV:1\n' "$name" >"$udev/data/b$number"
        : >"$udev/tags/systemd/b$number"
        set -- "$@" --bind="$loop" --bind="$loop:/dev/disk/by-id/$name"
    done <"$DEVICES"
fi

while true; do
    status=0
    # --keep-unit: in the cgroups joined above, not in new ones at the top.
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=1 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$UNIFIED SYSTEMD_NSPAWN_TMPFS_TMP=0 \
        systemd-nspawn --quiet --directory="$DATA/root" --machine="$MACHINE" --hostname="$HOSTNAME" --boot \
        --register=no --keep-unit --settings=no --link-journal=no --resolv-conf=off --timezone=off \
        --network-bridge=br0 --capability=all --system-call-filter='@keyring bpf perf_event_open' \
        --bind=/dev/kmsg --bind="$DATA/mounted/lib:/var/lib" "$@" || status=$?
    # systemd-nspawn's status for a reboot.
    [ "$status" = 133 ] || exit "$status"
    # The host's processes are gone. Its cgroups must be too, for the next boot.
    for door in $DOORS; do
        find "${door%/*}" -mindepth 1 -depth -type d -exec rmdir {} + || true
    done
done
