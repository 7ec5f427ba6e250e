#!/bin/sh
# Installs, once, programs from npm that the tests use as peers, and prints the folder that they are in.
#   tests/peers.sh tests/peers            Modbus servers that are not ours, as instruments (5 MB): make check
#   tests/peers.sh tests/bench/node-red   Node-RED with contrib-modbus, to measure ourselves against (120 MB): make bench
# Debian has none of them. Versions and hashes are those of the folder's package-lock.json; nothing of what is installed
# runs during the installation. It is kept in ${XDG_CACHE_HOME:-$HOME/.cache}/forebay/npm; remove that to install anew.
set -eu

fail() {
    echo "peers: $*" >&2
    exit 1
}

[ -r "${1:-}/package-lock.json" ] || fail "usage: tests/peers.sh FOLDER, with package.json and package-lock.json in it"
from=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/forebay/npm
place=$cache/$(basename "$from")-$(sha256sum <"$from/package-lock.json" | cut -c 1-12)

install_once() {
    command -v npm >/dev/null || fail "npm is missing: run tests/setup.sh"
    echo "peers: installing $(basename "$from") into $place once" >&2
    new=$(mktemp -d "$cache/new-XXXXXX")
    trap 'rm -rf "$new"' EXIT
    cp "$from/package.json" "$from/package-lock.json" "$new"
    npm ci --prefix "$new" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
        fail "npm could not install what $from/package-lock.json names, see above"
    chmod 755 "$new"
    mv "$new" "$place"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
[ -d "$place/node_modules" ] || install_once
echo "$place"
