# Checks that this host can reach others. Arguments: the number of hosts, their addresses, and
# optionally another address. Prints ADDRESS PORT for each unreachable port of a host. For the other
# address, if in use, prints what responded: "taken ADDRESS arp MAC", "taken ADDRESS tcp PORT" or
# "taken ADDRESS ping"; or "own ADDRESS" if this host has it.
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
        (
            # The kernel's entry may be stale.
            ip neigh flush to "$address" 2>/dev/null
            # These make the kernel send ARP requests, 1 s apart. In another network, or where ARP isn't used, the
            # address may still respond to them.
            (
                said=$(LC_ALL=C timeout 2 bash -c "exec 3<>/dev/tcp/$address/6443" 2>&1) ||
                    case "$said" in *refused*) true ;; *) false ;; esac && : >"$work/tcp"
            ) &
            (ping -c 1 -W 2 "$address" >/dev/null 2>&1 && : >"$work/ping") &
            for attempt in 1 2 3 4 5 6 7 8 9 10; do
                card=$(ip neigh show to "$address" | sed -n 's/.* lladdr \([^ ]*\).*/\1/p' | head -n 1)
                [ -z "$card" ] || break
                sleep 0.2
            done
            if [ -n "$card" ]; then
                echo "taken $address arp $card"
            else
                wait
                if [ -e "$work/tcp" ]; then
                    echo "taken $address tcp 6443"
                elif [ -e "$work/ping" ]; then
                    echo "taken $address ping"
                fi
            fi >>"$work/out"
        ) &
        continue
    fi
    for port in 2379 2380 6443 10250; do
        (
            # A refused connection means reachable: nothing listens yet.
            said=$(LC_ALL=C timeout 3 bash -c "exec 3<>/dev/tcp/$address/$port" 2>&1) ||
                case "$said" in *refused*) ;; *) echo "$address $port" >>"$work/out" ;; esac
        ) &
    done
done
wait
[ ! -e "$work/out" ] || sort "$work/out"
