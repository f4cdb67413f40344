#!/bin/sh
# Runs the tests of the store and of the postgres engine on PostgreSQL servers
# of other versions, which it gets from npm (Linux, x86-64):
#
#     scripts/postgres-versions.sh            # all of them
#     scripts/postgres-versions.sh 16 18      # some
set -eu
cd "$(dirname "$0")/.."
at="$PWD/.cache/postgres-versions"
if ! cmp -s tools/postgres/package-lock.json "$at/package-lock.json" 2>/dev/null || [ ! -d "$at/node_modules" ]; then
    mkdir -p "$at"
    cp tools/postgres/package.json tools/postgres/package-lock.json "$at/"
    (cd "$at" && npm ci --silent --ignore-scripts)
    for v in "$at"/node_modules/v*; do
        (cd "$v" && node scripts/hydrate-symlinks.js) # its libraries' other names
    done
    chmod -R a+rX "$at" # the servers do not run as root
fi
export GOFLAGS=-trimpath
dumps=$(pg_dump --version 2>/dev/null | sed 's/.* \([0-9]*\)\..*/\1/')
failed=
for v in ${*:-13 14 16 17 18}; do
    bin="$at/node_modules/v$v/native/bin"
    "$bin/postgres" --version
    skip='^$'
    # Only servers are in there. pg_dump is the machine's, and refuses newer ones.
    [ "${dumps:-0}" -ge "$v" ] || skip='^TestSnapshotOnDestroy$'
    PATH="$bin:$PATH" go test -count=1 -timeout 15m -skip "$skip" ./internal/sqldb ./internal/engine/postgres || failed="$failed $v"
done
[ -z "$failed" ] || { echo "failed on$failed" >&2; exit 1; }
