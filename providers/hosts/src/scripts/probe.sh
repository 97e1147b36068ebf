# Whether others are reached from here. Arguments: addresses; before them, how many of them are hosts. Of those that aren't
# reached, one a line: ADDRESS PORT. Of an address that isn't a host's and that somebody has: taken ADDRESS; of
# one that this host has itself: own ADDRESS.
set -u
hosts=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
for address; do
    number=$((number + 1))
    if [ "$number" -gt "$hosts" ]; then
        if ip -o address show | grep -qF " $address/"; then
            echo "own $address" >>"$work/out"
            continue
        fi
        # Nobody listens on that port: it makes the kernel ask for the address's card.
        timeout 1 bash -c "echo >/dev/udp/$address/9" 2>/dev/null
        sleep 0.5
        # In another network, or where cards aren't asked for, it may answer all the same.
        if ip neigh show to "$address" | grep -q lladdr || ping -c 1 -W 1 "$address" >/dev/null 2>&1; then
            echo "taken $address" >>"$work/out"
        fi &
        continue
    fi
    for port in 2379 2380 6443 10250; do
        (
            # Refused is reached: nobody listens yet.
            said=$(LC_ALL=C timeout 3 bash -c "exec 3<>/dev/tcp/$address/$port" 2>&1) ||
                case "$said" in *refused*) ;; *) echo "$address $port" >>"$work/out" ;; esac
        ) &
    done
done
wait
[ ! -e "$work/out" ] || sort "$work/out"
