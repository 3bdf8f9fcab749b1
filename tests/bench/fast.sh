#!/bin/bash
# The fast road: a server with a TUN and an address of its own, beside userspace WireGuard with the kernel's NAT. Sourced
# by tests/bench/run.
#
#   client 203.0.113.2 ── 203.0.113.1 server 198.51.100.1 ── 198.51.100.2 world
#
# The server's processes and the receive work of its interfaces are on core 1, everything else on core 0. A veth's receive
# work falls to the core that sent, so packet steering takes it to the core that it belongs to.

read -ra FAST_SERVERS <<<"${BENCH_PEERS:-culvert go boringtun gotatun}"
EXTERNAL=198.51.100.1
LOAD_PORT=5202
# a download that every server carries with its core half idle or nearly so
PACED=1G
declare -A fast_broken

lay_fast_network() {
    lay_network || return 1
    local pair name interface mask
    for pair in $CLIENT:c0:1 $WORLD:w0:1 $SERVER:s0:2 $SERVER:s1:2; do
        IFS=: read -r name interface mask <<<"$pair"
        # sysfs shows the interfaces of the namespace that mounted it; `ip netns exec` mounts its own
        ip netns exec "$name" bash -c "echo $mask >/sys/class/net/$interface/queues/rx-0/rps_cpus" || return 1
    done
    # the endpoint is the external address, which lies in the network that goes through the tunnel
    ip -n $CLIENT route add $EXTERNAL/32 via 203.0.113.1
}

# The peers from crates.io, built once; what cannot be had is skipped.
install_peers() { # TARGET
    local crate program
    peers="$1/peers"
    for crate in boringtun-cli:boringtun-cli gotatun-cli:gotatun; do
        program=${crate#*:}
        [ -x "$peers/bin/$program" ] && continue
        echo "bench: building ${crate%:*} (some minutes, once)" >&2
        cargo install --quiet --locked --root "$peers" --target-dir "$peers/build" "${crate%:*}" >&2 && continue
        echo "bench: SKIPPING ${crate%:*}: it cannot be built here" >&2
    done
    [ -x "$peers/bin/boringtun-cli" ] || fast_broken[boringtun]=yes
    [ -x "$peers/bin/gotatun" ] || fast_broken[gotatun]=yes
    return 0
}

on_server() { ip netns exec $SERVER taskset -c 1 "$@"; }

# A server of the chain's keys with the kernel's forwarding and NAT: the interface is there once the program runs.
start_kernel_nat() { # NAME PROGRAM…
    local log="$work/fast-$1.log"
    shift
    start_session "$log" ip netns exec $SERVER taskset -c 1 "$@" cvbs
    server=("$session")
    wait_for 10 on_server wg show cvbs || return 1
    on_server wg setconf cvbs "$work/chain/wg.conf" || return 1
    ip -n $SERVER addr add 10.0.0.1/24 dev cvbs
    ip -n $SERVER link set cvbs mtu 1420 up
    ip netns exec $SERVER bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    ip netns exec $SERVER iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o s1 -j SNAT --to-source $EXTERNAL || return 1
    sed "s/^Endpoint = .*/Endpoint = $EXTERNAL:$WG_PORT/" "$work/chain.conf" >"$work/client.conf"
}

start_fast_go() { start_kernel_nat go env LOG_LEVEL=error wireguard-go -f; }
start_fast_boringtun() { start_kernel_nat boringtun "$peers/bin/boringtun-cli" -f --disable-drop-privileges; }
start_fast_gotatun() { start_kernel_nat gotatun "$peers/bin/gotatun" -f --disable-drop-privileges; }

# Culvert with its own NAT: no netfilter has a rule here. The first start makes server, account and keys.
start_fast_culvert() {
    local culvert=("$work/culvert" --data "$work/fast-culvert")
    start_session "$work/fast-culvert.log" ip netns exec $SERVER taskset -c 1 env CULVERT_UPLINK=tun \
        "${culvert[@]}" serve --listen 127.0.0.1:8098 --external-ip $EXTERNAL
    server=("$session")
    wait_for 10 on_server "${culvert[@]}" account config peer_1 || return 1
    on_server "${culvert[@]}" account config peer_1 >"$work/client.conf"
}

# Prints what the server's core has done since boot, in ticks: user, nice, system, irq, softirq.
core_busy() { awk '$1 == "cpu1" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; }

resident() { # prints MiB of all the server's processes
    local id sum=0 process
    for id in "${server[@]}"; do
        for process in $(processes_of "$id" | cut -d' ' -f1); do
            sum=$((sum + $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$process/status" 2>/dev/null || echo 0)))
        done
    done
    awk -v kib=$sum 'BEGIN { printf "%.1f", kib / 1024 }'
}

sample() { # PEER FIGURE VALUE
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/fast-samples"
}

measure_fast() {
    local round name
    : >"$work/fast-samples"
    make_keys && install_peers "$(cd "$root" && cargo metadata --format-version 1 --no-deps | jq -r .target_directory)"
    for round in $(seq "$ROUNDS"); do
        for name in "${FAST_SERVERS[@]}"; do
            [ -n "${fast_broken[$name]:-}" ] && continue
            measure_fast_server "$name" || {
                fast_broken[$name]=yes
                echo "bench: $name does not carry traffic; its last words:" >&2
                tail -n 5 "$work/fast-$name.log" >&2
            }
        done
    done
    clear_network
}

measure_fast_server() { # NAME
    local result=0 load iperf
    echo "bench: the fast road with $1" >&2
    server=() client=
    lay_fast_network || return 1
    start_session "$work/iperf.log" ip netns exec $WORLD taskset -c 0 iperf3 -s -B $WORLD_ADDRESS
    iperf=$session idle_ticks=
    if start_fast_"$1" && start_client batching; then
        sample "$1" "memory idle" "$(resident)"
        ping_through "$1" "idle"
        for load in "up 1" "up 4" "down 1" "down 4"; do measure_core "$1" $load; done
        ping_under_download "$1" loaded
        ping_under_download "$1" paced -b $PACED
        sample "$1" "memory after" "$(resident)"
        search_rate "$1" up 64
        search_rate "$1" up 1392
        search_rate "$1" down 1392
    else
        result=1
    fi
    [ -n "$client" ] && stop_client
    stop_server
    end_session "$iperf"
    clear_network
    return $result
}

# What the core does of itself, in ticks a second, while tunnel and client are up and nothing is sent. The least of all
# looks at this server: what else the machine does for a moment must not be taken off what the server costs.
measure_idle() {
    local before ticks
    before=$(core_busy)
    sleep 1
    ticks=$(($(core_busy) - before))
    [ -n "$idle_ticks" ] && [ "$idle_ticks" -le $ticks ] || idle_ticks=$ticks
}

measure_core() { # NAME DIRECTION STREAMS
    local before after begun ended reverse=
    [ "$2" = down ] && reverse=-R
    measure_idle
    before=$(core_busy) begun=${EPOCHREALTIME/./}
    timeout $((SECONDS_EACH + 15)) ip netns exec $CLIENT taskset -c 0 \
        iperf3 -c $WORLD_ADDRESS -t "$SECONDS_EACH" -P "$3" $reverse -J >"$work/iperf.json" 2>&1
    after=$(core_busy) ended=${EPOCHREALTIME/./}
    jq -r --argjson ticks $((after - before)) --argjson microseconds $((ended - begun)) --argjson idle "$idle_ticks" \
        --argjson hertz "$(getconf CLK_TCK)" --argjson least $LEAST_BYTES \
        '(.end.sum_received.bytes // 0) as $bytes | select($bytes >= $least) |
            [.end.sum_received.bits_per_second / 1e9,
             ($ticks - $idle * $microseconds / 1e6) / $hertz / $bytes * 1e9] | @tsv' "$work/iperf.json" >"$work/figures"
    [ -s "$work/figures" ] || return
    sample "$1" "$2 $3 rate" "$(cut -f1 "$work/figures")"
    sample "$1" "$2 $3 cost" "$(cut -f2 "$work/figures")"
}

# Pings the world through the tunnel, a hundred a second; keeps p50 and p99.
ping_through() { # NAME WHEN
    local times
    times=$(ip netns exec $CLIENT taskset -c 0 ping -n -i 0.01 -c $((SECONDS_EACH * 80)) -W 1 $WORLD_ADDRESS |
        sed -n 's/.* time=\([0-9.]*\) ms/\1/p' | sort -g)
    [ -n "$times" ] || return
    sample "$1" "rtt $2 p50" "$(percentile 50 <<<"$times")"
    sample "$1" "rtt $2 p99" "$(percentile 99 <<<"$times")"
}

percentile() { # P; reads sorted numbers, a line each
    awk -v p="$1" '{ value[NR] = $1 } END { at = int((NR * p + 99) / 100); print value[at < 1 ? 1 : at] }'
}

ping_under_download() { # NAME WHEN [IPERF3_OPTION…]
    local load name=$1 when=$2
    shift 2
    ip netns exec $CLIENT taskset -c 0 iperf3 -c $WORLD_ADDRESS -t $((SECONDS_EACH + 6)) -R "$@" >/dev/null 2>&1 &
    load=$!
    sleep 1
    ping_through "$name" "$when"
    kill $load
    wait $load 2>/dev/null
}

# One trial: prints how many datagrams a second were sent and what share of them was lost, in tenths of a percent.
try_rate() { # DIRECTION LENGTH RATE
    local from=$CLIENT to=$WORLD from_side=connect to_side=bind behind
    [ "$1" = down ] && from=$WORLD to=$CLIENT from_side=bind to_side=connect
    local sender=(ip netns exec $from taskset -c 0 "$work/bench-load" udp source $from_side $WORLD_ADDRESS:$LOAD_PORT "$2" "$3" 1)
    local counter=(ip netns exec $to taskset -c 0 "$work/bench-load" udp sink $to_side $WORLD_ADDRESS:$LOAD_PORT)
    if [ "$1" = up ]; then
        "${counter[@]}" >"$work/received" 2>"$work/sink.log" &
        behind=$!
        wait_for 2 bound_in_world
        "${sender[@]}" >"$work/sent" 2>"$work/source.log"
        wait $behind
    else
        "${sender[@]}" >"$work/sent" 2>"$work/source.log" &
        behind=$!
        wait_for 2 bound_in_world
        "${counter[@]}" >"$work/received" 2>"$work/sink.log"
        wait $behind
    fi
    awk -v received="$(cat "$work/received")" '{ printf "%.0f %.0f\n", $1 / $2, $1 ? 1000 * ($1 - received) / $1 : 1000 }' "$work/sent"
}

bound_in_world() { ip netns exec $WORLD ss -Hlun "sport = $LOAD_PORT" | grep -q .; }

# The most datagrams a second of which less than 1 % is lost: doubles from a low rate, then halves the gap.
search_rate() { # NAME DIRECTION LENGTH
    local low=0 high=0 rate=20000 step=0 came lost
    while [ $((step += 1)) -le 10 ]; do
        read -r came lost < <(try_rate "$2" "$3" $rate) || return
        # a little too much is tried once more: it may have been the machine
        [ "${lost:-1000}" -lt 10 ] || [ "${lost:-1000}" -ge 50 ] || read -r came lost < <(try_rate "$2" "$3" $rate) || return
        if [ "${lost:-1000}" -lt 10 ]; then
            [ "$came" -gt "$low" ] && low=$came
            if [ "$came" -lt $((rate * 9 / 10)) ]; then
                echo "bench: the load itself is at its end: $1, $2, $3 bytes, $came a second" >&2
                break
            fi
        else
            high=$rate
        fi
        if [ $high = 0 ]; then rate=$((rate * 2)); else rate=$(((low + high) / 2)); fi
        [ $high = 0 ] || [ $((high - low)) -gt $((high / 20)) ] || break
    done
    [ $low = 0 ] || sample "$1" "udp $2 $3" "$(awk -v rate=$low 'BEGIN { print rate / 1000 }')"
}

# Prints the rows of the table: medians, and Culvert's share of gotatun's.
fast_rows() {
    awk -F'\t' "$AWK_FIGURES"'
    function middle(peer, figure, key, i, list) {
        key = peer "\t" figure
        for (i = 1; i <= n[key]; i++) list[i] = value[key, i]
        return n[key] ? median(list, n[key]) : -1
    }
    function row(label, figure, bar, lower, ours, theirs, share) {
        ours = middle("culvert", figure); theirs = middle("gotatun", figure)
        share = ours < 0 || theirs <= 0 ? -1 : ours / theirs
        printf "fast-road\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", label, shown(ours), shown(middle("go", figure)),
            shown(middle("boringtun", figure)), shown(theirs), shown(share),
            bar ? (lower ? "≤ " : "≥ ") bar " ×" : "", bar ? verdict(share, bar, lower) : ""
    }
    { key = $1 "\t" $2; value[key, ++n[key]] = $3 }
    END {
        split("up down", ways, " "); split("1 4", streams, " ")
        for (w = 1; w <= 2; w++) for (s = 1; s <= 2; s++) {
            load = ways[w] " " streams[s]; label = "TCP " ways[w] ", " streams[s] " stream" (s > 1 ? "s" : "")
            row(label ": core s/GB", load " cost", s > 1 ? 0 : w == 1 ? 0.2 : 0.15, 1)
            row(label ": Gbit/s", load " rate", 0)
        }
        row("UDP up, 64 B: thousand packets/s", "udp up 64", 2)
        row("UDP up, 1392 B: thousand packets/s", "udp up 1392", 2)
        row("UDP down, 1392 B: thousand packets/s", "udp down 1392", 2)
        row("round trip, idle: p50, ms", "rtt idle p50", 0)
        row("round trip, idle: p99, ms", "rtt idle p99", 0)
        row("round trip under a download: p50, ms", "rtt loaded p50", 0.5, 1)
        row("round trip under a download: p99, ms", "rtt loaded p99", 0)
        row("round trip under a download of 1 Gbit/s: p50, ms", "rtt paced p50", 0)
        row("round trip under a download of 1 Gbit/s: p99, ms", "rtt paced p99", 0)
        row("resident memory, idle: MiB", "memory idle", 0)
        row("resident memory after TCP: MiB", "memory after", 0)
    }' "$work/fast-samples"
}
