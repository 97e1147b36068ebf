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

# The processes of a unit. A machine of the local cloud has no systemctl: each has the log's name in its environment.
processes() {
  if [ -z "${MACHINE_LOG:-}" ]; then
    systemctl show --property=MainPID --value "$1.service" | grep -vx 0 || :
    return
  fi
  log="${MACHINE_LOG%/*}/$1.service.log"
  for file in $(grep -lzxF "MACHINE_LOG=$log" /proc/[0-9]*/environ 2>/dev/null); do
    file=${file%/environ}
    echo "${file#/proc/}"
  done
}

# Ends these processes. Units have TimeoutStopSec=20s.
end() {
  for process; do
    kill "$process" 2>/dev/null || continue
    await_end "$process"
  done
}

await_end() {
  tenths=0
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.1
    tenths=$((tenths + 1))
    [ "$tenths" -ne 200 ] || kill -KILL "$1" 2>/dev/null || :
  done
}

# Restarts a unit, if it runs. A unit whose process ends is restarted without being asked.
restart() {
  if [ "$1" = etcd ]; then
    # An API server works only with its own etcd. Once told to stop, it fails /readyz for 5 s and still serves. etcd
    # restarts when load balancers have noticed that, and before the API server has returned.
    leaving=$(processes kube-apiserver)
    for process in $leaving; do
      kill "$process" 2>/dev/null || :
    done
    [ -z "$leaving" ] || sleep 3
  elif [ "$1" = kube-apiserver ] && [ -n "$leaving" ]; then
    return
  fi
  if [ -z "${MACHINE_LOG:-}" ]; then
    case $1 in
      # haproxy's clients aren't affected by the change: they stay connected.
      endpoint-*) systemctl try-reload-or-restart "$1.service" ;;
      # etcd's gate may keep it from starting. systemd tries again, and hakube waits for it.
      etcd) systemctl try-restart "$1.service" || : ;;
      *) systemctl try-restart "$1.service" ;;
    esac
  else
    # shellcheck disable=SC2046 # they are several
    end $(processes "$1")
  fi
  if [ "$1" = etcd ]; then
    for process in $leaving; do
      await_end "$process"
    done
  fi
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
  leaving=
  for unit in ${units:-$*}; do
    [ "$unit" = none ] || restart "$unit"
  done
  printf '%s\n' "$wanted" >"$target.new"
  mv -f -- "$target.new" "$target.in-force"
done
