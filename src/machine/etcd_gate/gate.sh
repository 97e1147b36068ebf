# Decides whether etcd may start. etcd that finds no data obeys its join file and comes up empty: as a new
# cluster, or as a voter that has forgotten its votes. So a join file is good for one start without data. That
# is used up, on disk, before the member can acknowledge anything: here if it forms a new etcd, by hakube before
# it gives a learner its vote. From then on there is no start without the data.
#
# Arguments: etcd's data directory, and the directory of the join file, which should be on another disk.
set -eu
umask 077
PATH=${PATH:-}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
data=$1 own=$2
member=$HAKUBE_MEMBER
# The member that the data is of, beside the data; and the member that has had its start, apart from it.
stamp=$data/hakube-member
started=$own/started
# What keeps etcd from running. hakube reads it.
condition=$own/condition
damaged=$own/damaged-starts
mark='hakube: etcd may start'

# Writes a file whole or not at all. It is on disk when this returns.
write() {
  printf '%s\n' "$2" >"$1.new"
  sync "$1.new"
  mv -f -- "$1.new" "$1"
  sync "${1%/*}"
}

content() { if [ -f "$1" ]; then cat -- "$1"; fi; }

tell() {
  told="$1
$member
$2"
  [ "$(content "$condition")" = "$told" ] || write "$condition" "$told"
}

refuse() {
  tell "$1" "$2"
  echo "hakube: etcd doesn't start: $2" >&2
  exit 1
}

start() {
  echo "$mark"
  exit 0
}

# As etcd sees it: a member whose write-ahead log is gone starts as if it were new, whatever else is left.
has_data() {
  for log in "$data"/member/wal/*.wal; do
    if [ -s "$log" ]; then return 0; fi
  done
  return 1
}

# What etcd said since its last start. A machine of the local cloud has no journal.
last_words() {
  if [ -n "${MACHINE_LOG:-}" ]; then
    tail -n 4000 -- "$MACHINE_LOG" 2>/dev/null || :
  else
    journalctl --boot --unit=etcd.service --output=cat --lines=4000 --no-pager 2>/dev/null || :
  fi | awk -v mark="$mark" '$0 == mark { said = ""; next } { said = said $0 "\n" } END { printf "%s", said }'
}

# Only what etcd says as it dies: a slow request is logged with its key, which may be any text.
damage() {
  last_words | grep -v '"level":"\(debug\|info\|warn\)"' | grep -m 1 -E \
    -e 'crc mismatch|cannot use none as id|raft log corrupted, truncated, or lost' \
    -e '"error":"(proto|wal|walpb|snap): |failed to recover v3 backend from snapshot' \
    -e '"error":"(invalid database|checksum error|version mismatch)"|freepages: failed' \
    -e 'Page expected to be|invalid page type|SIGBUS: bus error' \
    -e 'found data inconsistency with peers' |
    sed -e 's/.*"error":"\([^"]*\)".*/\1/' -e 's/^panic: //' | cut -c 1-200 || :
}

if has_data && [ "$(content "$stamp")" = "$member" ]; then
  [ "$(content "$started")" = "$member" ] || write "$started" "$member"
  why=$(damage)
  if [ -z "$why" ]; then
    rm -f -- "$condition" "$damaged"
    start
  fi
  # Once may be the power cut that did it, and etcd mends a torn end by itself.
  times=$(($(content "$damaged") + 1))
  echo "$times" >"$damaged"
  if [ "$times" -ge 3 ]; then
    case $why in
      *inconsistency*) tell inconsistent "etcd's data in $data differs from that of other members" ;;
      *) tell damaged "etcd can't read its data in $data: $why" ;;
    esac
  fi
  start
fi

if [ "$(content "$started")" = "$member" ]; then
  if has_data; then
    refuse foreign "the data in $data isn't this member's (is another disk mounted there?)"
  fi
  refuse gone "this member's data is gone from $data (is its disk mounted?)"
fi

# A start without data.
if [ "$ETCD_INITIAL_CLUSTER_STATE" != existing ]; then
  if has_data; then
    refuse foreign "there is data in $data already, and a new etcd would start from it"
  fi
  if [ "$(content "$stamp")" = "$member" ]; then
    refuse gone "this member's data is gone from $data"
  fi
fi
mkdir -p -m 700 -- "$data"
if [ -e "$data/member" ]; then
  former=$(content "$stamp")
  if [ "${former%/*}" = "${member%/*}" ]; then
    # The member that it was of has been removed from this cluster.
    rm -rf -- "$data/member"
  else
    number=1
    while [ -e "$data/set-aside.$number" ]; do number=$((number + 1)); done
    mv -- "$data/member" "$data/set-aside.$number"
    echo "hakube: the data in $data isn't this cluster's; it is now in $data/set-aside.$number"
  fi
fi
rm -f -- "$condition" "$damaged"
# A learner has no vote and acknowledges nothing, and its first start may fail because of others. So it may
# try again, until hakube gives it its vote: that uses its start up first, by writing the same file.
[ "$ETCD_INITIAL_CLUSTER_STATE" = existing ] || write "$started" "$member"
write "$stamp" "$member"
start
