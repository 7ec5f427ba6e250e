#!/bin/sh
# Installs the Debian packages that building, testing and trying Forebay need; does nothing when all are there.
#   tests/setup.sh           everything: build, demo, tests
#   tests/setup.sh demo      only what building and the demo need
#   tests/setup.sh --check   only say what is missing; exit 1 if something is
# Debian 12 has SQLCipher 3; version 4.6 comes from its backports, and its three packages alone.
set -eu

build='gcc make pkg-config libc6-dev libsystemd-dev libmodbus-dev libyaml-dev libjansson-dev libcbor-dev libzstd-dev zlib1g-dev
 libssl-dev libqpid-proton11-dev libc-ares-dev libsqlcipher-dev sqlcipher libseccomp-dev'
run='nginx-light openssl ca-certificates'
# clang 19 is in both releases: the same formatting, warnings and fuzzer everywhere.
test='libcmocka-dev clang-19 libclang-rt-19-dev clang-format-19 clang-tidy-19 cppcheck tidy man-db
 python3 python3-pytest python3-cbor2 python3-zstandard python3-qpid-proton python3-selenium python3-cryptography chromium chromium-driver
 nodejs npm mbpoll tshark python3-pymodbus python3-serial python3-serial-asyncio collectd-core mmdebstrap debian-archive-keyring util-linux uidmap
 iproute2 e2fsprogs softhsm2 dnsmasq-base'
# What brings OpenSSL to PKCS#11 tokens differs.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $codename in bookworm) test="$test libengine-pkcs11-openssl" ;; *) test="$test pkcs11-provider" ;; esac

# The demo's instruments are simulated in Python.
purpose='building and testing Forebay'
case $#${1:-} in
0 | 1--check) ;;
1demo) purpose='building and trying Forebay' test=python3 ;;
*) echo 'usage: tests/setup.sh [demo | --check]' >&2 && exit 2 ;;
esac

installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

sqlcipher_is_4() {
    dpkg --compare-versions "$(dpkg-query -W -f '${Version}' libsqlcipher-dev 2>/dev/null || echo 0)" ge 4.6
}

missing() {
    for package in $build $run $test; do
        case $package in
        npm) command -v npm >/dev/null || echo npm ;; # also comes with Node from elsewhere, which refuses Debian's beside it
        *sqlcipher*) sqlcipher_is_4 && installed "$package" || echo "$package" ;;
        *) installed "$package" || echo "$package" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        echo "setup: this user may not install packages and there is no sudo; missing: $list" >&2
        exit 1
    fi
}

# The mirror is the one apt already uses; only the suite's name differs.
add_backports() {
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk '$2 == "bookworm" { print $1; exit }')
    [ -n "$mirror" ] || { echo 'setup: apt knows no bookworm mirror, so SQLCipher 4.6 cannot be had' >&2; exit 1; }
    work=$(mktemp -d)
    printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: %s\n' "$mirror" \
        /usr/share/keyrings/debian-archive-keyring.gpg >"$work/sources"
    printf 'Package: %s\nPin: release n=bookworm-backports\nPin-Priority: %s\n\n' \
        '*' -10 'sqlcipher libsqlcipher-dev libsqlcipher1' 990 >"$work/preferences"
    as_root install -m 644 "$work/sources" /etc/apt/sources.list.d/forebay-backports.sources
    as_root install -m 644 "$work/preferences" /etc/apt/preferences.d/forebay-backports
    rm -r "$work"
}

command -v apt-get >/dev/null || { echo 'setup: Forebay builds on Debian 12 and 13; there is no apt-get here' >&2; exit 1; }
list=$(missing | tr '\n' ' ')
[ -n "${list% }" ] || exit 0
if [ "${1:-}" = --check ]; then
    echo "setup: missing Debian packages: $list" >&2
    exit 1
fi
echo "setup: $purpose needs these Debian packages, which apt-get installs now: $list"
as_root apt-get update -q || { echo "setup: apt-get update failed; see its message above. Missing: $list" >&2; exit 1; }
if [ "$codename" = bookworm ] && ! sqlcipher_is_4; then
    echo 'setup: SQLCipher 4.6 comes from bookworm-backports (sqlcipher, libsqlcipher-dev, libsqlcipher1, nothing else)'
    add_backports
    as_root apt-get update -q || { echo 'setup: bookworm-backports cannot be reached' >&2; exit 1; }
fi
# RUNLEVEL: nginx and collectd are started by Forebay's own scripts, not as services of this machine.
# shellcheck disable=SC2086  # a list of words by intent
as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $list ||
    { echo "setup: could not install: $list" >&2; exit 1; }
left=$(missing | tr '\n' ' ')
[ -z "${left% }" ] || { echo "setup: still missing after the installation: $left" >&2; exit 1; }
