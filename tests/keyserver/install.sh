#!/bin/sh
# Installs SoftHSM, a PKCS#11 token in software, where apt can; says why where it cannot.
set -eu
command -v softhsm2-util >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "there is no apt-get to install SoftHSM with" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "installing SoftHSM needs root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
exec 9>"${TMPDIR:-/tmp}/fhirtwin-apt.lock"; flock 9  # tests in another process may install something, too
apt-get update -qq
apt-get install -qq -y --no-install-recommends softhsm2 >/dev/null
