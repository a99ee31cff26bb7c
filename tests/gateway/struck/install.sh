#!/bin/sh
# Installs strace where apt can; says why where it cannot, or where it may not trace.
set -eu
command -v strace >/dev/null || {
    command -v apt-get >/dev/null || { echo "there is no apt-get to install it with" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "installing it needs root" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    exec 9>"${TMPDIR:-/tmp}/fhirtwin-apt.lock"; flock 9  # tests in another process may install something, too
apt-get update -qq
    apt-get install -qq -y --no-install-recommends strace >/dev/null
}
strace -qq -e trace=none true || { echo "it may not trace here" >&2; exit 1; }
