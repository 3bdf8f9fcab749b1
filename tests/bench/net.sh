#!/bin/bash
# The bench's network, and the processes in it. Sourced by tests/bench/run.
#
#   client 203.0.113.2 ── 203.0.113.1 server 198.51.100.1 ── 198.51.100.2 world
#
# The addresses look public because Culvert refuses private destinations. Client and load run on core 0, the server's
# processes on core 1.

CLIENT=cvb-client SERVER=cvb-server WORLD=cvb-world
WORLD_ADDRESS=198.51.100.2
sessions=()

lay_network() {
    clear_network
    ip netns add $CLIENT && ip netns add $SERVER && ip netns add $WORLD
    ip -n $CLIENT link add c0 type veth peer name s0 netns $SERVER
    ip -n $SERVER link add s1 type veth peer name w0 netns $WORLD
    ip -n $CLIENT addr add 203.0.113.2/24 dev c0
    ip -n $SERVER addr add 203.0.113.1/24 dev s0
    ip -n $SERVER addr add 198.51.100.1/24 dev s1
    ip -n $WORLD addr add $WORLD_ADDRESS/24 dev w0
    local pair
    for pair in $CLIENT:c0 $SERVER:s0 $SERVER:s1 $WORLD:w0; do
        ip -n "${pair%:*}" link set "${pair#*:}" up
        ip -n "${pair%:*}" link set lo up
    done
    # pasta copies the interface that has the default route
    ip -n $SERVER route add default via $WORLD_ADDRESS
}

clear_network() {
    local name
    for name in $CLIENT $SERVER $WORLD; do
        [ -e /run/netns/$name ] || continue
        ip netns pids $name | xargs -r kill -KILL 2>/dev/null
        ip netns del $name
    done
    return 0
}

# Starts a program in a session of its own; its id goes to $session.
start_session() { # LOG COMMAND…
    local log=$1
    shift
    setsid "$@" >"$log" 2>&1 </dev/null &
    session=$!
    sessions+=("$session")
}

# Prints "id utime+stime" (in ticks) of every process of a session.
processes_of() { # SESSION
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$1" '
        { id = $1; sub(/^.*\) /, ""); if ($4 == session) print id, $12 + $13 }'
}

ticks_of() { # SESSION
    processes_of "$1" | awk '{ sum += $2 } END { print sum + 0 }'
}

end_session() { # SESSION
    local id
    for id in $(processes_of "$1" | cut -d' ' -f1); do kill -KILL "$id" 2>/dev/null; done
    wait "$1" 2>/dev/null
    return 0
}

end_all_sessions() {
    local id
    for id in "${sessions[@]}"; do end_session "$id"; done
}

# Runs a command until it succeeds, for at most SECONDS.
wait_for() { # SECONDS COMMAND…
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# The words before a command that make it run as nobody, with an empty capability set, on the server's core, in the
# server's namespace. An unprivileged user's /dev/net/tun is usually open to everyone; where the host's is not, one that
# is stands in for it here.
as_nobody() {
    nobody=(ip netns exec $SERVER bash -c '
        mount --bind "$0" /dev/net/tun
        exec taskset -c 1 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all \
            --no-new-privs "$@"' "$work/tun")
}
