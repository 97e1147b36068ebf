# Takes the host for a cluster. The lease is on standard input.
#
# Before it is taken, everything that a cluster may change is listed, so that the host can be given back as it was.
# A lease that is there already is printed, and the status is 45.
set -eu
umask 077
state=/var/lib/hakube
lease=/etc/hakube/lease.json

if [ -e "$lease" ]; then
    cat "$lease"
    exit 45
fi

# What this script itself makes is no part of how the host was.
mkdir -p "$state"
for directory in $DIRECTORIES; do
    [ ! -d "$directory" ] || find "$directory" -xdev
done | grep -v "^$state\(/\|\$\)" | sort >"$state/before.files"
ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort >"$state/before.links"
if command -v nft >/dev/null; then nft list tables | sort; fi >"$state/before.tables"
mkdir -p "$state/before"
sync

mkdir -p /etc/hakube
new=$lease.$$
cat >"$new"
sync "$new"
# Of two clusters that take it at once, one fails here.
if ! ln "$new" "$lease" 2>/dev/null; then
    rm -f "$new"
    cat "$lease"
    exit 45
fi
rm -f "$new"
