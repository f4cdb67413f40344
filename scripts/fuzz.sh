#!/bin/sh
# Runs every fuzz target, one at a time, each for FUZZTIME (30s). The list is
# found, not kept: a new target is in it without anyone remembering to add it.
# FUZZ narrows it: FUZZ=FuzzCursor runs the targets whose names contain that.
# Minimising an input that is merely new is cut short: where background work
# makes the coverage vary it would take the whole time, and nothing be tried.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
only=${FUZZ:-Fuzz}

list=$(find ./internal ./cmd ./e2e ./bench ./templates -name '*_test.go' -exec grep -H '^func Fuzz' {} + 2>/dev/null |
    sed 's|/[^/]*_test\.go:func \(Fuzz[A-Za-z0-9_]*\).*| \1|' | grep " .*$only" | sort -u) || true
if [ -z "$list" ]; then
    echo "no fuzz target is named like $only" >&2
    exit 1
fi

failed=
while read -r package target; do
    echo "=== $target in $package, $time"
    go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x </dev/null || failed="$failed $target"
done <<LIST
$list
LIST

if [ -n "$failed" ]; then
    echo "failed:$failed. What broke each is in its package's testdata/fuzz: fix it and commit the file with the fix." >&2
    exit 1
fi
echo "$(echo "$list" | wc -l) targets, none failed"
