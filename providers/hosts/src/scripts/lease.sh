# Leases the host for a cluster. Standard input: the lease on one line, then the script that gives
# the host back.
#
# First records the host's state, so it can be restored. If a lease exists, prints it and exits with
# 45. If another cluster has used the host, prints the reason and exits with 47.
set -eu
umask 077

# One at a time, even if two clusters take the host at once. /etc always exists, and the lock leaves no file.
exec 9</etc
flock -w 10 9
if [ -e "$lease" ]; then
    cat "$lease"
    exit 45
fi
for directory in /var/lib/etcd /etc/kubernetes; do
    if [ -n "$(find "$directory" -mindepth 1 ! -name lost+found -print -quit 2>/dev/null)" ]; then
        echo "$directory isn't empty"
        exit 47
    fi
done

# Without a lease, any state is from an unfinished attempt.
rm -rf "$state"
mkdir -p "$state/before"
{
    # shellcheck disable=SC2086
    for directory in $own $shared; do
        [ ! -d "$directory" ] || find "$directory" -xdev
    done
    find /etc /var/lib /var/log /run /usr -xdev -maxdepth 1
} | grep -v "^$state\(/\|\$\)" | sort -u >"$state/before/files"
ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort >"$state/before/links"
ip -o address show | sed 's/^[0-9]*: *[^ ]* *inet6* \([^ /]*\).*/\1/' | sort >"$state/before/addresses"
cut -d ' ' -f 2 /proc/mounts | sort >"$state/before/mounts"
if command -v nft >/dev/null; then nft list tables | sort; fi >"$state/before/tables"
: >"$state/manifest"

mkdir -p /etc/hakube
chmod 755 /etc/hakube
# Not head: it reads ahead.
IFS= read -r line
printf '%s\n' "$line" >"$state/lease"
cat >"$state/give-back"
[ -s "$state/give-back" ] || { echo "the input ended early" >&2; exit 1; }
# After a power failure, a lease without the recorded state would be useless.
sync
mv "$state/lease" "$lease"
sync
