#!/bin/sh
# Installs the Mosquitto broker where apt can; says why where it cannot.
set -eu
PATH="$PATH:/usr/sbin"
command -v mosquitto >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "there is no apt-get to install Mosquitto with" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "installing Mosquitto needs root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
exec 9>"${TMPDIR:-/tmp}/fhirtwin-apt.lock"; flock 9  # tests in another process may install something, too
apt-get update -qq
apt-get install -qq -y --no-install-recommends mosquitto >/dev/null
