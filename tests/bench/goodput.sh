#!/bin/bash
# TCP through the tunnel: every server, every client, every load, three times over in turn. Sourced by tests/bench/run.

SECONDS_EACH=${BENCH_SECONDS:-4}
ROUNDS=${BENCH_ROUNDS:-3}
LOADS=("up 1" "up 8" "down 1" "down 8")
# with fewer bytes than this a figure a gigabyte says nothing
LEAST_BYTES=20000000
# a server that does not start in one round is not asked again
declare -A broken

measure_goodput() {
    local round client_kind name
    as_nobody && lay_network && make_keys || return 1
    start_session "$work/iperf.log" ip netns exec $WORLD taskset -c 0 iperf3 -s -B $WORLD_ADDRESS
    for round in $(seq "$ROUNDS"); do
        for client_kind in go batching; do
            for name in "${SERVERS[@]}"; do
                [ -n "${broken[$name]:-}" ] && continue
                measure_server "$name" "$client_kind" || {
                    broken[$name]=yes
                    echo "bench: $name does not carry traffic; its logs:" >&2
                    tail -n 5 "$work/$name"*.log >&2
                }
            done
        done
    done
    clear_network
}

measure_server() { # NAME CLIENT
    local load result=0
    echo "bench: TCP through $1, client $2" >&2
    server=() client=
    if start_"$1" && start_client "$2"; then
        for load in "${LOADS[@]}"; do measure_load "$1" "$2" $load; done
    else
        result=1
    fi
    [ -n "$client" ] && stop_client
    stop_server
    return $result
}

measure_load() { # NAME CLIENT DIRECTION STREAMS
    local before after reverse=
    [ "$3" = down ] && reverse=-R
    before=$(server_ticks)
    timeout $((SECONDS_EACH + 15)) ip netns exec $CLIENT taskset -c 0 \
        iperf3 -c $WORLD_ADDRESS -t "$SECONDS_EACH" -P "$4" $reverse -J >"$work/iperf.json" 2>&1
    after=$(server_ticks)
    jq -r --arg key "$1 $2 $3 $4" --argjson ticks $((after - before)) --argjson hertz "$(getconf CLK_TCK)" \
        '[$key, .end.sum_received.bytes // 0, .end.sum_received.bits_per_second // 0, $ticks / $hertz] | @tsv' \
        "$work/iperf.json" >>"$work/samples" || printf '%s\t0\t0\t0\n' "$1 $2 $3 $4" >>"$work/samples"
}

# Prints the rows of the table: medians, and Culvert's share of the chain's.
goodput_rows() {
    awk -F'\t' -v least=$LEAST_BYTES "$AWK_FIGURES"'
    function goodput(key, i, list) {
        for (i = 1; i <= n[key]; i++) list[i] = rate[key, i] / 1e9
        return n[key] ? median(list, n[key]) : -1
    }
    # seconds a gigabyte; -1 where too little came through
    function cost(key, i, list, count) {
        for (i = 1; i <= n[key]; i++) if (bytes[key, i] >= least) list[++count] = seconds[key, i] / bytes[key, i] * 1e9
        return count ? median(list, count) : -1
    }
    function row(label, ours, theirs, other, share, bar, judged) {
        printf "tcp\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", label, shown(ours), shown(theirs), shown(other), shown(share), bar, judged
    }
    { n[$1]++; bytes[$1, n[$1]] = $2; rate[$1, n[$1]] = $3; seconds[$1, n[$1]] = $4 }
    END {
        split("go batching", clients, " "); split("up down", ways, " "); split("1 8", streams, " ")
        for (c = 1; c <= 2; c++) for (w = 1; w <= 2; w++) for (s = 1; s <= 2; s++) {
            load = clients[c] " " ways[w] " " streams[s]
            label = sprintf("%s, %s stream%s, %s client", ways[w], streams[s], streams[s] > 1 ? "s" : "",
                clients[c] == "go" ? "wireguard-go" : "batching")
            ours = cost("culvert " load); theirs = cost("slirp " load)
            share = ours < 0 || theirs < 0 ? -1 : ours / theirs
            row(label ": CPU s/GB", ours, theirs, cost("pasta " load), share, "≤ 0.3 ×", verdict(share, 0.3, 1))
            ours = goodput("culvert " load); theirs = goodput("slirp " load)
            share = ours < 0 || theirs <= 0 ? -1 : ours / theirs
            row(label ": Gbit/s", ours, theirs, goodput("pasta " load), share, "≥ 2 ×", verdict(share, 2, 0))
        }
    }' "$work/samples"
}
