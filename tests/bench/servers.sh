#!/bin/bash
# The servers that are compared. Sourced by tests/bench/run. Each start_… leaves the ids of its sessions in $server and
# the client's file in $work/client.conf.

WG_PORT=51821

make_keys() {
    local private public client_private client_public
    private=$(wg genkey) public=$(wg pubkey <<<"$private")
    client_private=$(wg genkey) client_public=$(wg pubkey <<<"$client_private")
    cat >"$work/chain/wg.conf" <<CONF
[Interface]
PrivateKey = $private
ListenPort = $WG_PORT
[Peer]
PublicKey = $client_public
AllowedIPs = 10.0.0.2/32
CONF
    cat >"$work/chain.conf" <<CONF
[Interface]
PrivateKey = $client_private
Address = 10.0.0.2/32
[Peer]
PublicKey = $public
Endpoint = 203.0.113.1:$WG_PORT
AllowedIPs = 0.0.0.0/0
PersistentKeepalive = 25
CONF
    chmod 644 "$work/chain/wg.conf"
}

# wireguard-go behind slirp4netns, with the MTU that rootless container engines give it.
start_slirp() {
    local inside
    rm -f "$work"/chain/{inside,api}
    cp "$work/chain.conf" "$work/client.conf"
    start_session "$work/slirp-inside.log" "${nobody[@]}" unshare -Urnm bash "$work/inside.sh" "$work/chain" tap0
    server=("$session")
    wait_for 10 test -s "$work/chain/inside" || return 1
    inside=$(cat "$work/chain/inside")
    start_session "$work/slirp.log" "${nobody[@]}" slirp4netns -c -m 65520 --disable-host-loopback \
        -a "$work/chain/api" "$inside" tap0
    server+=("$session")
    wait_for 10 test -S "$work/chain/api" || return 1
    wait_for 10 forward_port
}

forward_port() {
    echo '{"execute":"add_hostfwd","arguments":{"proto":"udp","host_addr":"203.0.113.1","host_port":'$WG_PORT',
        "guest_addr":"10.0.2.100","guest_port":'$WG_PORT'}}' | tr -d '\n' |
        socat -t 2 - "UNIX-CONNECT:$work/chain/api" | grep -q return
}

# wireguard-go inside pasta, which makes the user and network namespaces itself.
start_pasta() {
    cp "$work/chain.conf" "$work/client.conf"
    start_session "$work/pasta.log" "${nobody[@]}" pasta -f --config-net --no-map-gw -t none -T none -U none -u $WG_PORT \
        -- unshare -m bash "$work/inside.sh" "$work/chain" s1
    server=("$session")
}

# Culvert, as it is built. The first start makes server, account and keys; later ones find them.
start_culvert() {
    local culvert=("$work/culvert" --data "$work/chain/culvert")
    start_session "$work/culvert.log" "${nobody[@]}" "${culvert[@]}" serve \
        --listen 127.0.0.1:18098 --uplink sockets --external-ip 203.0.113.1
    server=("$session")
    wait_for 10 "${nobody[@]}" "${culvert[@]}" account config peer_1 || return 1
    "${nobody[@]}" "${culvert[@]}" account config peer_1 >"$work/client.conf"
}

stop_server() {
    local id
    for id in "${server[@]}"; do end_session "$id"; done
}

# The ticks that all processes of the server have used.
server_ticks() {
    local id sum=0
    for id in "${server[@]}"; do sum=$((sum + $(ticks_of "$id"))); done
    echo $sum
}

start_client() { # go|batching
    local address
    case $1 in
    go)
        start_session "$work/client.log" ip netns exec $CLIENT taskset -c 0 env LOG_LEVEL=error wireguard-go -f cvbwg
        wait_for 10 ip netns exec $CLIENT wg show cvbwg || return 1
        grep -vE '^[[:space:]]*(Address|DNS|MTU) *=' "$work/client.conf" >"$work/client-wg.conf"
        ip netns exec $CLIENT wg setconf cvbwg "$work/client-wg.conf" || return 1
        ;;
    batching)
        start_session "$work/client.log" ip netns exec $CLIENT taskset -c 0 "$work/bench-client" cvbwg "$work/client.conf"
        wait_for 10 ip -n $CLIENT link show cvbwg || return 1
        ;;
    esac
    client=$session
    address=$(sed -n 's/^[[:space:]]*Address *= *\([0-9.]*\).*/\1/p' "$work/client.conf")
    ip -n $CLIENT addr add "$address/32" dev cvbwg
    ip -n $CLIENT link set cvbwg mtu 1420 up
    ip -n $CLIENT route replace 198.51.100.0/24 dev cvbwg
    ip -n $CLIENT route replace 10.0.0.0/24 dev cvbwg
    wait_for 10 ip netns exec $CLIENT ping -c 1 -W 1 10.0.0.1
}

stop_client() {
    end_session "$client"
    ip -n $CLIENT link del cvbwg 2>/dev/null
    return 0
}
