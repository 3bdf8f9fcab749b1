#!/bin/bash
# Debian's wireguard-go inside a user namespace, forwarding and translating to the user-mode uplink. Run by
# tests/bench/servers.sh as the namespace's root, which outside is nobody. Arguments: the folder with wg.conf, the
# uplink's interface.
set -eu
folder=$1 uplink=$2
echo $$ >"$folder/inside"
mount -t tmpfs tmpfs /run
end=$((SECONDS + 10))
until ip -4 addr show dev "$uplink" 2>/dev/null | grep -q inet; do
    [ $SECONDS -lt $end ] || { echo "no $uplink" >&2; exit 1; }
    sleep 0.05
done
LOG_LEVEL=error wireguard-go -f wg0 &
until wg show wg0 >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "no wg0" >&2; exit 1; }
    sleep 0.05
done
wg setconf wg0 "$folder/wg.conf"
ip addr add 10.0.0.1/24 dev wg0
ip link set wg0 mtu 1420 up
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<RULES
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "$uplink" masquerade
    }
}
RULES
wait
