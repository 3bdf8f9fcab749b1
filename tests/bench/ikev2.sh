#!/bin/bash
# ESP: TCP each way through Culvert and through strongSwan with kernel-libipsec, by strongSwan's client and by the bench's
# own. Sourced by tests/bench/run, after fast.sh: the network and what is counted are those of the fast road.
#
# Both servers have the right to administer their network. strongSwan forwards and translates with the kernel (iptables
# SNAT), Culvert by itself. What is judged is the processor time of the server's process for a gigabyte of payload.

ESP_SERVERS=(culvert strongswan)
ESP_CLIENTS=(strongswan batching)
ESP_CIPHERS=(aes256gcm16 chacha20poly1305 aes256-sha256)
CHARON=/usr/lib/ipsec/charon
# where clients find the server: the address before the tunnel, so that what is behind it may go through
IKE_SERVER=203.0.113.1
IKE_NAME=vpn.example.test
IKE_PROPOSAL=aes256gcm16-prfsha384-ecp384
# what is left of 1,500 bytes by every cipher, and what strongSwan's devices have
ESP_MTU=1400
declare -A esp_broken

measure_esp() {
    local round name
    : >"$work/esp-samples"
    [ -x $CHARON ] || { echo "bench: SKIPPING esp: no $CHARON" >&2; return 1; }
    make_certificates || return 1
    for round in $(seq "$ROUNDS"); do
        for name in "${ESP_SERVERS[@]}"; do
            [ -n "${esp_broken[$name]:-}" ] && continue
            measure_esp_server "$name" || {
                esp_broken[$name]=yes
                echo "bench: $name does not carry ESP; its last words:" >&2
                tail -n 5 "$work/esp-$name.log" "$work/esp-client.log" >&2
            }
        done
    done
    clear_network
}

# An authority and a certificate for strongSwan; Culvert makes its own.
make_certificates() {
    local folder="$work/esp-strongswan"
    mkdir -p "$folder"/{x509,private} "$work/esp-client/x509ca"
    openssl ecparam -name prime256v1 -genkey -noout -out "$folder/ca.key" &&
        openssl req -x509 -new -key "$folder/ca.key" -subj "/CN=bench" -days 2 -out "$folder/ca.pem" &&
        openssl ecparam -name prime256v1 -genkey -noout -out "$folder/private/server.pem" &&
        openssl req -new -key "$folder/private/server.pem" -subj "/CN=$IKE_NAME" -out "$folder/server.csr" &&
        openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
            -extfile <(echo "subjectAltName=DNS:$IKE_NAME") -out "$folder/x509/server.pem" 2>/dev/null || return 1
    cp "$folder/ca.pem" "$work/esp-client/x509ca/strongswan.pem"
}

# Starts a daemon in a namespace on a core; its folder has swanctl.conf, certificates and keys. OpenSSL is asked first: its
# ciphers are the fastest that the daemon can have.
start_charon() { # NAMESPACE CORE FOLDER LOG
    cat >"$3/strongswan.conf" <<CONF
charon {
    load = random nonce openssl aes sha1 sha2 md5 hmac kdf gcm chapoly curve25519 x509 revocation constraints pubkey pkcs1 \
pkcs8 pem gmp kernel-libipsec kernel-netlink socket-default eap-identity eap-mschapv2 vici
    plugins {
        kernel-libipsec {
            load = yes
            allow_peer_ts = yes
        }
        openssl {
            load_legacy = yes
        }
        vici {
            socket = unix://$3/vici
        }
    }
}
CONF
    # its pid file lies in a place that all daemons share
    start_session "$4" ip netns exec "$1" env STRONGSWAN_CONF="$3/strongswan.conf" bash -c \
        "mount -t tmpfs none /run && exec taskset -c $2 $CHARON"
    wait_for 10 test -S "$3/vici" && wait_for 10 to_charon "$3" --load-all --noprompt
}

to_charon() { # FOLDER WORD…
    local folder=$1
    shift
    SWANCTL_DIR="$folder" STRONGSWAN_CONF="$folder/strongswan.conf" swanctl "$@" --uri "unix://$folder/vici"
}

# What strongSwan is told of the account, as server and as client.
esp_secrets() {
    cat <<CONF
secrets {
    eap-a {
        id = $esp_user
        secret = "$esp_password"
    }
}
CONF
}

start_esp_strongswan() {
    local folder="$work/esp-strongswan"
    esp_user=bench esp_password=bench-password
    cat >"$folder/swanctl.conf" <<CONF
connections {
    c {
        version = 2
        pools = p
        proposals = $IKE_PROPOSAL
        send_certreq = no
        local {
            auth = pubkey
            certs = server.pem
            id = $IKE_NAME
        }
        remote {
            auth = eap-mschapv2
            eap_id = %any
        }
        children {
            k {
                local_ts = 0.0.0.0/0
                esp_proposals = $(IFS=,; echo "${ESP_CIPHERS[*]}")
            }
        }
    }
}
pools {
    p {
        addrs = 10.0.0.2-10.0.0.250
    }
}
$(esp_secrets)
CONF
    rm -f "$folder/vici"
    start_charon $SERVER 1 "$folder" "$work/esp-strongswan.log" || return 1
    server=("$session")
    ip netns exec $SERVER bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    ip netns exec $SERVER iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o s1 -j SNAT --to-source $EXTERNAL
}

# The first start makes server, account and certificates; later ones find them.
start_esp_culvert() {
    local culvert=("$work/culvert" --data "$work/esp-culvert") account subject
    start_session "$work/esp-culvert.log" ip netns exec $SERVER taskset -c 1 env CULVERT_UPLINK=tun \
        "${culvert[@]}" serve --listen 127.0.0.1:8098 --external-ip $EXTERNAL
    server=("$session")
    wait_for 10 on_server "${culvert[@]}" account config peer_1 || return 1
    if [ ! -e "$work/esp-client/x509ca/culvert.pem" ]; then
        subject=(--common-name bench --organization bench --unit bench --locality bench --state bench --country PL)
        on_server "${culvert[@]}" ikev2 generate-ca "${subject[@]}" --key-type ecdsa256 &&
            on_server "${culvert[@]}" ikev2 generate-server --domain $IKE_NAME --ip $IKE_SERVER --ipv6 2001:db8::1 \
                "${subject[@]}" --key-type ecdsa256 &&
            on_server "${culvert[@]}" server edit Default_1 --ikev2 true && on_server "${culvert[@]}" ikev2 enable || return 1
        on_server "${culvert[@]}" --json ikev2 show | jq -er .ca_cert >"$work/esp-client/x509ca/culvert.pem" || return 1
    fi
    account=$(on_server "${culvert[@]}" --json account show peer_1) || return 1
    esp_user=$(jq -r .username <<<"$account") esp_password=$(jq -r .password <<<"$account")
} >>"$work/esp-setup.log" 2>&1

measure_esp_server() { # NAME
    local kind cipher iperf direction result=0
    echo "bench: ESP with $1" >&2
    server=() client=
    lay_fast_network || return 1
    start_session "$work/iperf.log" ip netns exec $WORLD taskset -c 0 iperf3 -s -B $WORLD_ADDRESS
    iperf=$session
    if start_esp_"$1"; then
        for kind in "${ESP_CLIENTS[@]}"; do
            for cipher in "${ESP_CIPHERS[@]}"; do
                if start_esp_client_"$kind" "$cipher"; then
                    for direction in up down; do measure_esp_load "$1" "$kind" "$cipher" $direction; done
                else
                    result=1
                fi
                stop_esp_client
            done
        done
    else
        result=1
    fi
    stop_server
    end_session "$iperf"
    clear_network
    return $result
}

start_esp_client_strongswan() { # CIPHER
    local folder="$work/esp-client"
    cat >"$folder/swanctl.conf" <<CONF
connections {
    c {
        version = 2
        remote_addrs = $IKE_SERVER
        vips = 0.0.0.0
        proposals = $IKE_PROPOSAL
        local {
            auth = eap-mschapv2
            id = $esp_user
            eap_id = $esp_user
        }
        remote {
            auth = pubkey
            id = $IKE_NAME
        }
        children {
            k {
                remote_ts = 198.51.100.0/24
                esp_proposals = $1
            }
        }
    }
}
$(esp_secrets)
CONF
    rm -f "$folder/vici"
    start_charon $CLIENT 0 "$folder" "$work/esp-client.log" || return 1
    client=$session
    to_charon "$folder" --initiate --child k --timeout 20 >>"$work/esp-client.log" 2>&1 || return 1
    wait_for 10 ip netns exec $CLIENT ping -c 1 -W 1 $WORLD_ADDRESS
}

start_esp_client_batching() { # CIPHER
    start_session "$work/esp-client.log" ip netns exec $CLIENT taskset -c 0 \
        "$work/bench-client" cvbesp ikev2 $IKE_SERVER "$esp_user" "$esp_password" "$1"
    client=$session
    wait_for 10 ip -n $CLIENT link show cvbesp || return 1
    ip -n $CLIENT addr add "$(head -n 1 "$work/esp-client.log")/32" dev cvbesp
    ip -n $CLIENT link set cvbesp mtu $ESP_MTU up
    ip -n $CLIENT route replace 198.51.100.0/24 dev cvbesp
    wait_for 10 ip netns exec $CLIENT ping -c 1 -W 1 $WORLD_ADDRESS
}

stop_esp_client() {
    [ -n "$client" ] && end_session "$client"
    client=
    ip -n $CLIENT link del cvbesp 2>/dev/null
    ip -n $CLIENT rule del table 220 2>/dev/null
    ip -n $CLIENT route flush table 220 2>/dev/null
    ip -n $CLIENT addr show dev c0 | sed -n 's,.*inet \(10\.0\.0\.[0-9/]*\).*,\1,p' |
        xargs -r -I{} ip -n $CLIENT addr del {} dev c0
    return 0
}

measure_esp_load() { # SERVER CLIENT CIPHER DIRECTION
    local ticks reverse=
    [ "$4" = down ] && reverse=-R
    ticks=$(server_ticks)
    timeout $((SECONDS_EACH + 15)) ip netns exec $CLIENT taskset -c 0 \
        iperf3 -c $WORLD_ADDRESS -t "$SECONDS_EACH" $reverse -J >"$work/iperf.json" 2>&1
    ticks=$(($(server_ticks) - ticks))
    jq -r --arg key "$1 $2 $3 $4" --argjson ticks $ticks --argjson hertz "$(getconf CLK_TCK)" --argjson least $LEAST_BYTES \
        '(.end.sum_received.bytes // 0) as $bytes | select($bytes >= $least) |
            ["\($key) rate", .end.sum_received.bits_per_second / 1e9],
            ["\($key) cost", $ticks / $hertz / $bytes * 1e9] | @tsv' "$work/iperf.json" >>"$work/esp-samples"
}

# Prints the rows of the table: medians, and Culvert's share of strongSwan's.
esp_rows() {
    awk -F'\t' "$AWK_FIGURES"'
    function middle(key, i, list) {
        for (i = 1; i <= n[key]; i++) list[i] = value[key, i]
        return n[key] ? median(list, n[key]) : -1
    }
    function row(label, load, bar, ours, theirs, share) {
        ours = middle("culvert " load); theirs = middle("strongswan " load)
        share = ours < 0 || theirs <= 0 ? -1 : ours / theirs
        printf "ikev2\t%s\t%s\t%s\t%s\t%s\t%s\n", label, shown(ours), shown(theirs), shown(share),
            bar ? "≤ " bar " ×" : "", bar ? verdict(share, bar, 1) : ""
    }
    { value[$1, ++n[$1]] = $2 }
    END {
        split("strongswan batching", clients, " "); split("up down", ways, " ")
        split("aes256gcm16 chacha20poly1305 aes256-sha256", ciphers, " ")
        split("AES-256-GCM,ChaCha20-Poly1305,AES-256-CBC with SHA-256", names, ",")
        for (i = 1; i <= 3; i++) for (c = 1; c <= 2; c++) for (w = 1; w <= 2; w++) {
            load = clients[c] " " ciphers[i] " " ways[w]
            label = names[i] ", " ways[w] ", " (c == 1 ? "strongSwan client" : "batching client")
            row(label ": CPU s/GB", load " cost", i == 1 ? 0.25 : 0)
            row(label ": Gbit/s", load " rate")
        }
    }' "$work/esp-samples"
}
