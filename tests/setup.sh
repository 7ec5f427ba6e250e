#!/bin/sh
# Installs the Debian packages that building, testing and trying Forebay needs; does nothing when all are there.
#   tests/setup.sh            everything: build, tests, demo
#   tests/setup.sh --check    only say what is missing; exit 1 if something is
# Debian 12 has SQLCipher 3; version 4.6 comes from its backports, and those three packages alone.
set -eu

build='gcc make pkg-config libsystemd-dev libmodbus-dev libyaml-dev libjansson-dev libcbor-dev libzstd-dev libssl-dev
 libqpid-proton11-dev libc-ares-dev libsqlcipher-dev sqlcipher libseccomp-dev'
run='nginx-light openssl socat'
test='libcmocka-dev clang clang-format clang-tidy cppcheck tidy man-db python3 python3-pytest python3-cbor2 python3-zstandard
 python3-qpid-proton python3-pymodbus python3-serial python3-selenium chromium chromium-driver
 collectd-core mmdebstrap debian-archive-keyring procps iproute2 util-linux'

installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

sqlcipher_is_4() {
    installed libsqlcipher-dev && dpkg --compare-versions "$(dpkg-query -W -f '${Version}' libsqlcipher-dev)" ge 4.6
}

missing() {
    for package in $build $run $test; do
        case $package in
        *sqlcipher*) sqlcipher_is_4 && installed "$package" || echo "$package" ;;
        *) installed "$package" || echo "$package" ;;
        esac
    done
    # The sanitizers' and the fuzzer's run-time library carries clang's version in its name.
    major=$(clang_major)
    [ -z "$major" ] || installed "libclang-rt-$major-dev" || echo "libclang-rt-$major-dev"
}

clang_major() {
    dpkg-query -W -f '${Version}' clang 2>/dev/null | sed -n 's/^[0-9]*:\([0-9]*\)\..*/\1/p' && return
    apt-cache show clang 2>/dev/null | sed -n 's/^Version: [0-9]*:\([0-9]*\)\..*/\1/p' | head -n 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        echo "setup: these Debian packages are missing and this user may not install them: $list" >&2
        exit 1
    fi
}

release() { . /etc/os-release && echo "${VERSION_CODENAME:-unknown}"; }

# The mirror is the one apt already uses; only the suite's name differs.
add_backports() {
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk '$2 == "bookworm" { print $1; exit }')
    [ -n "$mirror" ] || { echo "setup: apt lists no bookworm mirror, so bookworm-backports cannot be found" >&2; exit 1; }
    work=$(mktemp -d)
    printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: %s\n' "$mirror" \
        /usr/share/keyrings/debian-archive-keyring.gpg >"$work/sources"
    printf 'Package: *\nPin: release n=bookworm-backports\nPin-Priority: -10\n\nPackage: sqlcipher libsqlcipher-dev libsqlcipher1\nPin: release n=bookworm-backports\nPin-Priority: 990\n' \
        >"$work/preferences"
    as_root install -m 644 "$work/sources" /etc/apt/sources.list.d/forebay-backports.sources
    as_root install -m 644 "$work/preferences" /etc/apt/preferences.d/forebay-backports
    rm -r "$work"
}

list=$(missing | tr '\n' ' ')
[ -n "${list% }" ] || exit 0
if [ "${1:-}" = --check ]; then
    echo "setup: missing Debian packages: $list" >&2
    exit 1
fi
echo "setup: Forebay's build and tests need these Debian packages, which apt-get will now install: $list"
if [ "$(release)" = bookworm ] && ! sqlcipher_is_4; then
    echo "setup: SQLCipher 4.6 comes from bookworm-backports (sqlcipher, libsqlcipher-dev, libsqlcipher1 and nothing else)"
    add_backports
fi
as_root apt-get update -q || { echo "setup: apt-get update failed; check the network or apt's sources" >&2; exit 1; }
list=$(missing | tr '\n' ' ')
# shellcheck disable=SC2086  # a list of words by intent
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $list ||
    { echo "setup: could not install: $list" >&2; exit 1; }
left=$(missing | tr '\n' ' ')
[ -z "${left% }" ] || { echo "setup: still missing after the installation: $left" >&2; exit 1; }
