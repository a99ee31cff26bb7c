#!/bin/sh
# Installs a JDK (17 or newer) and Maven where apt can; says why where it cannot.
set -eu
command -v javac >/dev/null && command -v mvn >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "there is no apt-get to install a JDK and Maven with" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "installing a JDK and Maven needs root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
exec 9>"${TMPDIR:-/tmp}/fhirtwin-apt.lock"; flock 9  # tests in another process may install something, too
apt-get update -qq
apt-get install -qq -y --no-install-recommends openjdk-17-jdk-headless maven >/dev/null ||
    apt-get install -qq -y --no-install-recommends default-jdk-headless maven >/dev/null
