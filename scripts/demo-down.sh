#!/usr/bin/env bash
# Takes away what demo.sh made: its servers, the PostgreSQL servers that they
# ran, and .fairlead/ with everything in it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/demo-lib.sh
. scripts/demo-lib.sh

if [ ! -e "$dir" ]; then
    echo "no demo is here"
    exit 0
fi
stop_servers
# Fairlead stops its own PostgreSQL; after a crash it is still there.
for data in "$dir/postgres/data" "$(outside postgres)/data" "$(outside postgres)" "$(pgdata)"; do
    stop_postgres "$data"
done
for data in "$dir"/replica-*; do
    [ -e "$data" ] && stop_postgres "$data/postgres/data"
done
rm -rf "$(outside postgres)" "$(outside storepg)" "$dir"
echo "the demo is gone"
