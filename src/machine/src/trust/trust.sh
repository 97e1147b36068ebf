# Restarts programs once their CAs, their signing keys or they themselves have changed. Then records what is in force.
#
# Arguments: the file with what should be in force, files to remove before the restart, `--`, units
# in order. A file next to the first one, with the suffix .units, lists the units instead, or none.
# INSTALL, if it is set, is a command that installs the programs first.
set -eu
umask 077
PATH=${PATH:-}:/usr/sbin:/usr/bin:/sbin:/bin
target=$1
shift
forgotten=
while [ "$1" != -- ]; do
  forgotten="$forgotten $1"
  shift
done
shift

content() { if [ -f "$1" ]; then cat -- "$1"; fi; }

# A machine of the local cloud has no systemctl. Each process of a unit has the unit's log name in its environment,
# and a unit that exits is restarted. Units have TimeoutStopSec=20s.
restart() {
  if [ -z "${MACHINE_LOG:-}" ]; then
    case $1 in
      # haproxy's clients aren't affected by the change: they stay connected.
      endpoint-*) systemctl try-reload-or-restart "$1.service" ;;
      # etcd's gate may keep it from starting. systemd tries again, and hakube waits for it.
      etcd) systemctl try-restart "$1.service" || : ;;
      *) systemctl try-restart "$1.service" ;;
    esac
    return
  fi
  log="${MACHINE_LOG%/*}/$1.service.log"
  for file in $(grep -lzxF "MACHINE_LOG=$log" /proc/[0-9]*/environ 2>/dev/null); do
    process=${file#/proc/}
    process=${process%/environ}
    kill "$process" 2>/dev/null || continue
    tenths=0
    while kill -0 "$process" 2>/dev/null; do
      sleep 0.1
      tenths=$((tenths + 1))
      [ "$tenths" -ne 200 ] || kill -KILL "$process" 2>/dev/null || :
    done
  done
}

# Fails if something else is wanted in the meantime: a download that doesn't succeed is retried for ever.
install() {
  $INSTALL &
  while kill -0 $! 2>/dev/null; do
    if [ "$(content "$target")" != "$wanted" ]; then
      kill $! 2>/dev/null || :
      wait $! || :
      return 1
    fi
    sleep 0.2
  done
  wait $!
}

# Checks again for changes made in the meantime.
while [ -f "$target" ]; do
  wanted=$(content "$target")
  [ "$wanted" != "$(content "$target.in-force")" ] || exit 0
  if [ -n "${INSTALL:-}" ] && ! install; then
    [ "$(content "$target")" = "$wanted" ] || continue
    exit 1
  fi
  # shellcheck disable=SC2086 # they are several
  [ -z "$forgotten" ] || rm -f -- $forgotten
  [ -n "${MACHINE_LOG:-}" ] || systemctl daemon-reload
  units=$(content "$target.units")
  for unit in ${units:-$*}; do
    [ "$unit" = none ] || restart "$unit"
  done
  printf '%s\n' "$wanted" >"$target.new"
  mv -f -- "$target.new" "$target.in-force"
done
