# Takes the host for a cluster. Standard input: the lease, one line, and then the script that gives the host back.
#
# First it is written down what there is, so that the host can be given back as it was. A lease that is there already is
# printed, and the status is 45. A host that another cluster has used is refused with 47 and the reason.
set -eu
umask 077

# One at a time, of two clusters that take it at once too. There is always a /etc, and nothing is left of the lock.
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

# Without a lease, what is here is left of a lease that was never taken.
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
# Not head, which reads more than it prints.
IFS= read -r line
printf '%s\n' "$line" >"$state/lease"
cat >"$state/give-back"
[ -s "$state/give-back" ] || { echo "the input ended early" >&2; exit 1; }
# After a power cut, a lease without what was written down before it would be worth nothing.
sync
mv "$state/lease" "$lease"
sync
