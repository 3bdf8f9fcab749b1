#!/bin/bash
# The shaper: goodput against the configured rate, latency that it adds, fairness; Culvert beside the kernel's htb with
# fq_codel behind wireguard-go. Sourced by tests/bench/run, after fast.sh.

SHAPED_SERVERS=(culvert go)
RATES=(1 10 100 1000)
# flows share the line at these
FAIR_RATES=(10 100)
declare -A shaper_broken

measure_shaper() {
    local round name
    : >"$work/shaper-samples"
    make_keys
    for round in $(seq "$ROUNDS"); do
        for name in "${SHAPED_SERVERS[@]}"; do
            [ -n "${shaper_broken[$name]:-}" ] && continue
            measure_shaped_server "$name" || {
                shaper_broken[$name]=yes
                echo "bench: $name does not shape; its last words:" >&2
                tail -n 5 "$work/fast-$name.log" >&2
            }
        done
    done
    clear_network
}

shaped() { # PEER FIGURE VALUE
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/shaper-samples"
}

measure_shaped_server() { # NAME
    local result=0 rate direction idle
    echo "bench: the shaper of $1" >&2
    server=() client=
    lay_fast_network || return 1
    if start_fast_"$1" && start_client batching && shape_"$1" 0; then
        idle=$(ping_p50 100)
        for rate in "${RATES[@]}"; do
            shape_"$1" "$rate" || result=1
            for direction in up down; do measure_rate "$1" $direction "$rate" "$idle"; done
        done
        for rate in "${FAIR_RATES[@]}"; do
            shape_"$1" "$rate" && for direction in up down; do measure_fairness "$1" $direction "$rate"; done
        done
    else
        result=1
    fi
    [ -n "$client" ] && stop_client
    stop_server
    clear_network
    return $result
}

shape_culvert() { # MBIT, 0 for no limit
    on_server "$work/culvert" --data "$work/fast-culvert" account edit peer_1 --download "$1" --upload "$1" >/dev/null
}

# Towards the client at the tunnel, from it at the uplink, as such servers are set up.
shape_go() { # MBIT, 0 for no limit
    local interface
    for interface in cvbs s1; do
        on_server tc qdisc del dev $interface root 2>/dev/null
        [ "$1" = 0 ] && continue
        on_server tc qdisc add dev $interface root handle 1: htb default 10 || return 1
        on_server tc class add dev $interface parent 1: classid 1:10 htb rate "$1mbit" || return 1
        if on_server tc qdisc add dev $interface parent 1:10 fq_codel 2>/dev/null; then
            peer_qdisc="htb + fq_codel"
        else
            [ -n "${peer_qdisc:-}" ] || echo "bench: this kernel has no fq_codel: the peer is htb alone, with its plain queue" >&2
            peer_qdisc="htb alone (no fq_codel in this kernel)"
        fi
    done
    return 0
}

ping_p50() { # COUNT
    ip netns exec $CLIENT taskset -c 0 ping -n -i 0.02 -c "$1" -W 2 $WORLD_ADDRESS |
        sed -n 's/.* time=\([0-9.]*\) ms/\1/p' | sort -g | percentile 50
}

# Runs TCP streams; the file $work/window has the window's seconds and each stream's bytes once it is over, and the
# streams go on for TAIL seconds.
run_streams() { # DIRECTION STREAMS TAIL
    local from=$CLIENT to=$WORLD from_side=connect to_side=bind
    [ "$1" = down ] && from=$WORLD to=$CLIENT from_side=bind to_side=connect
    : >"$work/window"
    ip netns exec $to taskset -c 0 "$work/bench-load" tcp sink $to_side $WORLD_ADDRESS:$LOAD_PORT "$2" 2 5 "$3" \
        >"$work/window" 2>"$work/sink.log" &
    sink=$!
    ip netns exec $from taskset -c 0 "$work/bench-load" tcp source $from_side $WORLD_ADDRESS:$LOAD_PORT "$2" \
        >"$work/source.log" 2>&1 &
    source=$!
}

end_streams() {
    wait $sink
    kill $source 2>/dev/null
    wait $source 2>/dev/null
    return 0
}

measure_rate() { # NAME DIRECTION MBIT IDLE
    local loaded
    run_streams "$2" 1 4
    wait_for 20 test -s "$work/window" && loaded=$(ping_p50 100)
    end_streams
    # full segments: 1,420 bytes of IP hold 1,368 of payload
    awk -v rate="$3" 'NF > 1 { printf "%.2f\n", $2 * 1420 / 1368 * 8 / $1 / rate / 1e4 }' "$work/window" >"$work/figures"
    [ -s "$work/figures" ] && shaped "$1" "$2 $3 share" "$(cat "$work/figures")"
    [ -z "${loaded:-}" ] || shaped "$1" "$2 $3 added" "$(awk -v a="$loaded" -v b="$4" 'BEGIN { print a - b }')"
}

measure_fairness() { # NAME DIRECTION MBIT
    run_streams "$2" 4 0
    end_streams
    awk 'NF > 2 { for (i = 2; i <= NF; i++) { sum += $i; squares += $i * $i } print sum * sum / (NF - 1) / squares }' \
        "$work/window" >"$work/figures"
    [ -s "$work/figures" ] && shaped "$1" "$2 $3 fairness" "$(cat "$work/figures")"
}

shaper_rows() {
    awk -F'\t' -v rates="${RATES[*]}" -v fair="${FAIR_RATES[*]}" -v qdisc="${peer_qdisc:-–}" "$AWK_FIGURES"'
    function known(peer, figure) { return n[peer "\t" figure] > 0 }
    function middle(peer, figure, key, i, list) {
        key = peer "\t" figure
        for (i = 1; i <= n[key]; i++) list[i] = value[key, i]
        return median(list, n[key])
    }
    function told(peer, figure) { return known(peer, figure) ? sprintf("%.2f", middle(peer, figure)) : "–" }
    function row(label, figure, bar, least, most, ours, judged) {
        if (bar != "") {
            ours = known("culvert", figure) ? middle("culvert", figure) : 0
            judged = !known("culvert", figure) ? "not measured" : ours < least ? sprintf("%.2f below", least - ours) : \
                ours > most ? sprintf("%.2f above", ours - most) : "met"
        }
        printf "shaper\t%s\t%s\t%s\t%s\t%s\n", label, told("culvert", figure), told("go", figure), bar, judged
    }
    { key = $1 "\t" $2; value[key, ++n[key]] = $3 }
    END {
        split("up down", ways, " ")
        printf "shaper\tdiscipline\tits own\t%s\t\t\n", qdisc
        for (r = 1; r <= split(rates, rate, " "); r++) for (w = 1; w <= 2; w++) {
            # the edges of the window may be a few milliseconds apart from the packets: two thousandths
            label = ways[w] ", " rate[r] " Mbit/s"; load = ways[w] " " rate[r]
            row(label ": IP bytes of the rate, %", load " share", "98 to 100", 98, 100.2)
            row(label ": added latency under load, ms", load " added", rate[r] >= 10 ? "≤ 15" : "", -1e9, 15)
        }
        for (r = 1; r <= split(fair, rate, " "); r++) for (w = 1; w <= 2; w++)
            row(ways[w] ", " rate[r] " Mbit/s: fairness of four flows (Jain)", ways[w] " " rate[r] " fairness", "≥ 0.95", 0.95, 1e9)
    }' "$work/shaper-samples"
}
