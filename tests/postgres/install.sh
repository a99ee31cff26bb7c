#!/bin/sh
# Installs Debian's PostgreSQL where apt can; says why where it cannot. No cluster is made: the tests make their own.
set -eu
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && exit 0
command -v apt-get >/dev/null || { echo "there is no apt-get to install PostgreSQL with" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "installing PostgreSQL needs root" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
exec 9>"${TMPDIR:-/tmp}/fhirtwin-apt.lock"; flock 9  # tests in another process may install something, too
apt-get update -qq
apt-get install -qq -y --no-install-recommends postgresql-common >/dev/null
sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
apt-get install -qq -y --no-install-recommends postgresql >/dev/null
