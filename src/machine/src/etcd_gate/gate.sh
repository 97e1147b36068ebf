# Decides whether etcd may start. An etcd without data follows its join file and starts empty: as a new cluster, or
# as a voter that forgot its votes. So a join file is valid for only one start without data. That start is recorded
# as used, on disk, before the member can acknowledge anything: here if it forms a new etcd, or by hakube before it
# promotes a learner. From then on, etcd doesn't start without its data.
#
# Arguments: etcd's data directory, and the directory of the join file, which should be on another
# disk.
set -eu
umask 077
PATH=${PATH:-}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
data=$1 own=$2
member=$HAKUBE_MEMBER
# The data's member, recorded next to the data; and the member that has used its start, recorded
# elsewhere.
stamp=$data/hakube-member
started=$own/started
# The reason that etcd can't run. hakube reads it.
condition=$own/condition
damaged=$own/damaged-starts
mark='hakube: etcd may start'

# Writes a file atomically. It is on disk when this returns.
write() {
  printf '%s\n' "$2" >"$1.new"
  sync "$1.new"
  mv -f -- "$1.new" "$1"
  sync "${1%/*}"
}

content() { if [ -f "$1" ]; then cat -- "$1"; fi; }

report() {
  reported="$1
$member
$2"
  [ "$(content "$condition")" = "$reported" ] || write "$condition" "$reported"
}

refuse() {
  report "$1" "$2"
  echo "hakube: etcd doesn't start: $2" >&2
  exit 1
}

start() {
  echo "$mark"
  exit 0
}

# Like etcd: a member whose write-ahead log is missing starts as a new one, whatever else exists.
has_data() {
  for log in "$data"/member/wal/*.wal; do
    if [ -s "$log" ]; then return 0; fi
  done
  return 1
}

# etcd's log since its last start. A machine of the local cloud has no journal.
last_words() {
  if [ -n "${MACHINE_LOG:-}" ]; then
    tail -n 4000 -- "$MACHINE_LOG" 2>/dev/null || :
  else
    journalctl --boot --unit=etcd.service --output=cat --lines=4000 --no-pager 2>/dev/null || :
  fi | awk -v mark="$mark" '$0 == mark { said = ""; next } { said = said $0 "\n" } END { printf "%s", said }'
}

# Only etcd's fatal messages: the log of a slow request includes its key, which may be any text.
damage() {
  last_words | grep -v '"level":"\(debug\|info\|warn\)"' | grep -m 1 -E \
    -e 'crc mismatch|cannot use none as id|raft log corrupted, truncated, or lost' \
    -e '"error":"(proto|wal|walpb|snap): |failed to recover v3 backend from snapshot' \
    -e '"error":"(invalid database|checksum error|version mismatch)"|freepages: failed' \
    -e 'Page expected to be|invalid page type|SIGBUS: bus error' \
    -e 'found data inconsistency with peers' |
    sed -e 's/.*"error":"\([^"]*\)".*/\1/' -e 's/^panic: //' | cut -c 1-200 || :
}

# Moves data that isn't this member's out of the way.
set_aside() {
  number=1
  while [ -e "$data/set-aside.$number" ]; do number=$((number + 1)); done
  mv -- "$data/member" "$data/set-aside.$number"
  echo "hakube: $1; it is now in $data/set-aside.$number"
}

# Makes this member's data from the snapshot that hakube delivered in parts.
restore() {
  parts=$own/snapshot-$HAKUBE_SNAPSHOT
  snapshot=$data/restoring.db
  restored=$data/restored
  mkdir -p -m 700 -- "$data"
  rm -rf -- "$snapshot" "$restored"
  cat -- "$parts"/* | base64 -d >"$snapshot" || refuse unrestored "the snapshot in $parts can't be read"
  sum=$(sha256sum <"$snapshot")
  [ "${sum%% *}" = "$HAKUBE_SNAPSHOT" ] || refuse unrestored "the snapshot in $parts is incomplete"
  tool=$(command -v etcdutl || command -v etcdctl) ||
    refuse unrestored "there is neither etcdutl nor etcdctl to restore the snapshot with"
  export ETCDCTL_API=3
  set -- --data-dir "$restored" --name "$REPLICA" --initial-cluster "$ETCD_INITIAL_CLUSTER" \
    --initial-advertise-peer-urls "${ETCD_INITIAL_CLUSTER#*=}" --initial-cluster-token "$ETCD_INITIAL_CLUSTER_TOKEN"
  # Clients that saw later revisions than the snapshot's would wait for ever. So this etcd continues with a revision
  # that no etcd before it had, even one that was restored itself: 10,000 for each second since 1970.
  if "$tool" snapshot restore --help 2>&1 | grep -q bump-revision; then
    bump=$(($(date +%s) * 10000 - ${HAKUBE_REVISION:-0}))
    [ "$bump" -ge 1000000000 ] || bump=1000000000
    set -- "$@" --bump-revision "$bump" --mark-compacted
  fi
  "$tool" snapshot restore "$snapshot" "$@" || refuse unrestored "$tool could not restore the snapshot"
  if [ -e "$data/member" ]; then set_aside "the data in $data is from before the restore"; fi
  mv -T -- "$restored/member" "$data/member"
  sync "$data"
  rm -f -- "$condition" "$damaged"
  write "$stamp" "$member"
  write "$started" "$member"
  rm -rf -- "$snapshot" "$restored" "$own"/snapshot-*
}

if [ "$ETCD_INITIAL_CLUSTER_STATE" = held ]; then
  refuse held "it waits to join the etcd that is being restored"
fi

if has_data && [ "$(content "$stamp")" = "$member" ]; then
  [ "$(content "$started")" = "$member" ] || write "$started" "$member"
  # What an interrupted restore left. It has all Secrets.
  rm -rf -- "$own"/snapshot-*
  why=$(damage)
  if [ -z "$why" ]; then
    rm -f -- "$condition" "$damaged"
    start
  fi
  # The first time may be due to a power cut, and etcd repairs a torn end automatically.
  times=$(($(content "$damaged") + 1))
  echo "$times" >"$damaged"
  if [ "$times" -ge 3 ]; then
    case $why in
      *inconsistency*) report inconsistent "etcd's data in $data differs from that of other members" ;;
      *) report damaged "etcd can't read its data in $data: $why" ;;
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
if [ -n "${HAKUBE_SNAPSHOT:-}" ]; then
  restore
  start
fi
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
    # The data's member has been removed from this cluster.
    rm -rf -- "$data/member"
  else
    set_aside "the data in $data isn't this cluster's"
  fi
fi
rm -f -- "$condition" "$damaged"
# A learner has no vote and acknowledges nothing, and its first start may fail because of other members. It may
# retry until hakube promotes it. Before that, hakube records the start as used by writing the same file.
[ "$ETCD_INITIAL_CLUSTER_STATE" = existing ] || write "$started" "$member"
write "$stamp" "$member"
start
