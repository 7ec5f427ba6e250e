#!/bin/sh
# Makes a throw-away certificate authority and certificates for tests and the demo. Never for a real plant.
#   tests/pki.sh DIR                             the authority and: server, receiver, page (servers on this machine),
#                                                gateway, consumer (clients); each NAME.pem and NAME.key, and ca.pem
#   tests/pki.sh DIR NAME USAGE SUBJECT [SAN]    one more, from the authority in DIR; USAGE: server or client;
#                                                SUBJECT is its common name; SAN such as DNS:a.example,IP:127.0.0.1
set -eu

here=DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

make_authority() {
    mkdir -p "$folder"
    new_key "$folder/ca.key"
    openssl req -x509 -new -key "$folder/ca.key" -days 400 -subj '/CN=Forebay throw-away authority' \
        -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -out "$folder/ca.pem"
}

issue() {
    name=$1 use=$2 subject=$3 san=${4:-}
    {
        printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n'
        printf 'extendedKeyUsage=%sAuth\n' "$use"
        printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
        [ -z "$san" ] || printf 'subjectAltName=%s\n' "$san"
    } >"$folder/$name.extensions"
    new_key "$folder/$name.key"
    openssl req -new -key "$folder/$name.key" -subj "/CN=$subject" -out "$folder/$name.request"
    openssl x509 -req -in "$folder/$name.request" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -days 400 \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$folder/$name.extensions" -out "$folder/$name.pem" 2>/dev/null
    rm "$folder/$name.request" "$folder/$name.extensions"
}

umask 077
[ $# -ge 1 ] || usage
folder=$1
case $# in
1)
    make_authority
    for name in server receiver page; do issue $name server localhost $here; done
    for name in gateway consumer; do issue $name client $name; done
    ;;
4 | 5)
    case $3 in server | client) ;; *) usage ;; esac
    issue "$2" "$3" "$4" "${5:-}"
    ;;
*) usage ;;
esac
