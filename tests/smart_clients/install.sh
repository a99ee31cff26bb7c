#!/bin/sh
# Installs Chromium, and Node with npm, where apt can; says why where it cannot.
set -eu
missing=
command -v chromium >/dev/null || missing="chromium fonts-dejavu-core"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
[ -z "$missing" ] || {
    command -v apt-get >/dev/null || { echo "there is no apt-get to install it with" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "installing it needs root" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    exec 9>"${TMPDIR:-/tmp}/fhirtwin-apt.lock"; flock 9  # tests in another process may install something, too
    apt-get update -qq
    # shellcheck disable=SC2086 - these are several names
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
