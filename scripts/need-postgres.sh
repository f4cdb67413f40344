#!/bin/sh
# Says what to install when the machine has no PostgreSQL server programs, or
# installs them where apt-get may. The tests and the demo run real servers.
set -eu

have() {
    command -v initdb >/dev/null 2>&1 && return 0
    for d in /usr/lib/postgresql/*/bin; do
        [ -x "$d/initdb" ] && return 0
    done
    return 1
}

have && exit 0
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        echo "installing PostgreSQL's programs (apt-get install postgresql)"
        # No cluster of Debian's own is wanted beside ours.
        mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
        have && exit 0
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq
        sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
        have && exit 0
    fi
fi
echo "PostgreSQL's server programs are missing. Install them, then run this again:" >&2
echo "    sudo apt-get install postgresql" >&2
exit 1
