#!/bin/bash
# The table. Sourced by tests/bench/run. A row: section, figure, measured, bar, verdict; tabs between. Rows of the sections
# with peers have their columns in place of the measured one.

# What the programs that make rows of samples share; -1 stands for what was not measured.
AWK_FIGURES='
    function median(list, count, i, j, t) {
        for (i = 2; i <= count; i++)
            for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
        return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
    }
    function shown(value) { return value < 0 ? "–" : sprintf("%.2f", value) }
    function verdict(value, bar, lower) {
        if (value < 0) return "not measured"
        if (lower ? value <= bar : value >= bar) return "met"
        return lower ? sprintf("%.2f × the bar", value / bar) : sprintf("%.0f %% of the bar", 100 * value / bar)
    }
'

print_table() { # ROWS
    awk -F'\t' '
    BEGIN {
        title["tcp"] = "TCP through the tunnel, without privilege"
        title["engine"] = "In process"
        title["process"] = "The running process"
        title["accounts"] = "Accounts over the API"
        title["fast-road"] = "The fast road"
        title["shaper"] = "The shaper"
        title["ikev2-logins"] = "IKEv2: logins"
        title["ikev2"] = "IKEv2: TCP through ESP"
        head["tcp"] = "Culvert | wireguard-go + slirp4netns | wireguard-go + pasta | Culvert to slirp4netns chain | bar"
        head["fast-road"] = "Culvert (tun) | wireguard-go | boringtun-cli | gotatun-cli | Culvert to gotatun | bar"
        head["ikev2"] = "Culvert (tun) | strongSwan + kernel-libipsec | Culvert to strongSwan | bar"
        head["shaper"] = "Culvert (tun) | wireguard-go + tc | bar"
    }
    $1 != section {
        section = $1
        printf "\n## %s\n\n", title[section]
        columns = section in head ? head[section] : "measured | bar"
        print "| | " columns " | |"
        line = "|---|---|"
        for (i = gsub(/\|/, "|", columns); i >= 0; i--) line = line "---|"
        print line
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
- **Accounts over the API**: the same, over TLS and kept-alive connections, with 10,000 accounts of 100 servers. An account
  is live when `account_add` answers: its tunnel takes a handshake, and it is on disk. Clients and process share the cores.
- **TCP**: client, server and world are network namespaces. Client and load share core 0, all processes of the server share
  core 1. Culvert stands beside what an unprivileged user has today: Debian's wireguard-go in a user namespace whose uplink is
  slirp4netns (or pasta). CPU seconds are those of all the server's processes for a gigabyte of payload; medians of three
  runs in turn. A dash: too little came through to say. Debian's wireguard-go as the client saturates its own core near
  0.9 Gbit/s of download, whatever the server could do; the batching client is the bench's own and does not.
- **The fast road**: the same three namespaces; the servers have a TUN and the right to administer their network. The peers
  forward and translate with the kernel (iptables SNAT), Culvert by itself. The server's processes and its interfaces'
  receive work are on core 1. *Core s/GB* is what that whole core was busy for a gigabyte of TCP payload, less what it
  does when nothing is sent. Datagrams are sent in bursts at a rate that is searched; a figure is the highest of which less
  than 1 % was lost. The client is the batching one.
- **The shaper**: TCP streams at a rate that is set for the account (the peer: at the tunnel's and the uplink's interface),
  counted for five seconds, two seconds after they began. Added latency is the median ping beside such a stream, less that
  without it.
- **IKEv2: logins**: `culvert serve` of the release build, in a network of its own, and 1,000 clients who log in by
  EAP-MSCHAPv2, eight at a time, on the same cores. A modern client asks for AES-256-GCM, P-384 and a signature over SHA-256;
  an old one for AES-256-CBC, SHA-1 and 1024 bits, as Windows does by itself. Memory is what the process has more when
  all are connected.
- **IKEv2: TCP through ESP**: the network of the fast road. strongSwan's server has kernel-libipsec, OpenSSL's ciphers and
  the kernel's NAT. *CPU s/GB* is the processor time of the server's process for a gigabyte of payload. strongSwan's client
  takes a system call a packet and loses much of a fast download, so the bench's own client stands beside it.
TEXT
        echo
        echo "Machine: $(machine)."
        print_table "$1"
    } >"$2"
}
