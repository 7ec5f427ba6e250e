#!/bin/sh
# Makes, once, the small Debian 13 root with RabbitMQ 4 that the end-to-end tests use as their broker; prints its path.
# It is kept in ${XDG_CACHE_HOME:-$HOME/.cache}/forebay/rabbitmq-root (250 MB); remove that folder to make it anew.
# Debian 12's own RabbitMQ 3.10 loses messages it has accepted, so it is no peer to test against.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/forebay
root=$cache/rabbitmq-root
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "rabbitmq: $*" >&2
    exit 1
}

# The mirror is the one apt already uses.
mirror() { apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 == "trixie" || $2 == "bookworm" { print $1; exit }'; }

make_root() {
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: run tests/setup.sh"
    [ -r $keyring ] || fail "$keyring is missing: run tests/setup.sh"
    from=$(mirror)
    [ -n "$from" ] || fail "apt lists no Debian mirror to take RabbitMQ 4 from"
    # Not root: mmdebstrap needs subordinate ids in a user namespace; where there are none (a chroot, a strict kernel), sudo.
    # Whoever unpacks owns the files, and devices come from the host.
    become=
    if [ "$(id -u)" != 0 ] && ! { command -v newuidmap && unshare --user --map-auto true; } >/dev/null 2>&1; then
        become=sudo
        command -v sudo >/dev/null ||
            fail "be root, or have sudo, or install the package uidmap and give this user a line in /etc/subuid and /etc/subgid"
    fi
    echo "rabbitmq: making $root once (a small Debian 13 with RabbitMQ 4, about 250 MB)" >&2
    new=$(mktemp -d "$cache/new-XXXXXX")
    trap 'rm -rf "$new"' EXIT
    mkdir "$new/root"
    $become mmdebstrap --quiet --variant=minbase --include=rabbitmq-server,ca-certificates,procps,iproute2 trixie \
        "$new/root.tar" "deb [signed-by=$keyring] $from trixie main" >&2 || fail "mmdebstrap failed, see above"
    tar -x --no-same-owner --exclude './dev/*' -C "$new/root" -f "$new/root.tar"
    chmod 755 "$new/root"
    mv "$new/root" "$root"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
[ -x "$root/usr/lib/rabbitmq/bin/rabbitmq-server" ] || make_root
echo "$root"
