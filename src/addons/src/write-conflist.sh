# flanneld writes this machine's pod subnet to subnet.env. This converts it to the container
# runtime's configuration, whenever it changes. It does so atomically, since the runtime may read it
# at any time.
subnet_env=${SUBNET_ENV:-/run/flannel/subnet.env}
conflist=${CONFLIST:-/etc/cni/net.d/10-flannel.conflist}
trap 'exit 0' TERM INT

# The subnet of an address with a prefix: 10.64.1.1/24 is in 10.64.1.0/24.
network() {
    bits=${1#*/}
    case $1 in
    *:*) echo "${1%%::*}::/$bits" ;;
    *)
        address=${1%/*}
        a=${address%%.*} rest=${address#*.}
        b=${rest%%.*} rest=${rest#*.}
        c=${rest%%.*} d=${rest#*.}
        n=$(((a << 24 | b << 16 | c << 8 | d) & (0xffffffff << (32 - bits)) & 0xffffffff))
        echo "$((n >> 24)).$((n >> 16 & 255)).$((n >> 8 & 255)).$((n & 255))/$bits"
        ;;
    esac
}

write() {
    FLANNEL_SUBNET='' FLANNEL_IPV6_SUBNET='' FLANNEL_MTU=''
    . "$subnet_env"
    subnet=${FLANNEL_SUBNET:-$FLANNEL_IPV6_SUBNET}
    [ -n "$subnet" ] && [ -n "$FLANNEL_MTU" ] || return
    case $subnet in *:*) anywhere=::/0 ;; *) anywhere=0.0.0.0/0 ;; esac
    wanted=$(cat <<END
{
  "name": "cbr0",
  "cniVersion": "1.0.0",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "mtu": $FLANNEL_MTU,
      "isGateway": true,
      "hairpinMode": true,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "$(network "$subnet")"}]],
        "routes": [{"dst": "$anywhere"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
END
)
    [ "$wanted" = "$(cat "$conflist" 2>/dev/null)" ] && return
    printf '%s\n' "$wanted" >"$conflist.new" && mv "$conflist.new" "$conflist" && echo "wrote $conflist for $subnet"
}

while :; do
    [ -s "$subnet_env" ] && write
    [ -n "$ONCE" ] && exit 0
    sleep 2 &
    wait $!
done
