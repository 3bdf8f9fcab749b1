#!/bin/bash
# The table. Sourced by tests/bench/run. A row: section, figure, measured, bar, verdict; tabs between. Rows of the section
# tcp have the peers between: section, figure, Culvert, slirp4netns chain, pasta chain, ratio, bar, verdict.

print_table() { # ROWS
    awk -F'\t' '
    BEGIN {
        title["tcp"] = "TCP through the tunnel, without privilege"
        title["engine"] = "In process"
        title["process"] = "The running process"
    }
    $1 != section {
        section = $1
        printf "\n## %s\n\n", title[section]
        if (section == "tcp") {
            print "| | Culvert | wireguard-go + slirp4netns | wireguard-go + pasta | Culvert to slirp4netns chain | bar | |"
            print "|---|---|---|---|---|---|---|"
        } else {
            print "| | measured | bar | |"
            print "|---|---|---|---|"
        }
    }
    {
        line = "|"
        for (i = 2; i <= NF; i++) line = line " " $i " |"
        print line
    }' "$1"
}

machine() {
    echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r)," \
        "$(date -u +%Y-%m-%d)"
}

write_readme() { # ROWS FILE
    {
        cat <<'TEXT'
# Benchmarks

`tests/run bench` measures what follows and writes this file. Absolute figures belong to the machine; the ratios are of
one run and are what the bars speak of.

- **In process**: the engine alone on one core, fed and emptied by the bench. *One of them busy* is what the bar on open flows
  speaks of; *busy in turn* adds what it costs to find each flow's state cold in the caches.
- **The running process**: `culvert serve` of the release build, in a network of its own.
- **TCP**: client, server and world are network namespaces. Client and load share core 0, all processes of the server share
  core 1. Culvert stands beside what an unprivileged user has today: Debian's wireguard-go in a user namespace whose uplink is
  slirp4netns (or pasta). CPU seconds are those of all the server's processes for a gigabyte of payload; medians of three
  runs in turn. A dash: too little came through to say. Debian's wireguard-go as the client saturates its own core near
  0.9 Gbit/s of download, whatever the server could do; the batching client is the bench's own and does not.
TEXT
        echo
        echo "Machine: $(machine)."
        print_table "$1"
    } >"$2"
}
