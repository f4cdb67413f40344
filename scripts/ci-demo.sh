#!/usr/bin/env bash
# Does what a stranger would: an empty folder, a clone, `make demo` twice, on
# the default store and on PostgreSQL with three replicas, then `make demo-down`
# and a look whether anything is left.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
chmod 755 "$dir"
trap 'cd "$dir/fairlead" 2>/dev/null && make -s demo-down >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
git clone -q "$root" "$dir/fairlead"
cd "$dir/fairlead"

check() { # the demo's own environment serves the command line
    ( set -a; . .fairlead/demo.env; set +a
      bin/fairlead get
      bin/fairlead request postgres extra --wait -o json --reveal | grep -q '"url": *"postgres://'
      bin/fairlead destroy extra --yes --wait
      bin/fairlead audit export | bin/fairlead audit verify - )
}

for args in "" "STORE=postgres REPLICAS=3"; do
    echo "--- make demo $args"
    # shellcheck disable=SC2086 # the words are separate arguments
    make demo $args </dev/null
    start=$(date +%s%N)
    # shellcheck disable=SC2086
    make demo $args </dev/null >/dev/null
    echo "warm: $(( ($(date +%s%N) - start) / 1000000 )) ms"
    check
    make demo-down </dev/null
    if [ -e .fairlead ]; then echo "make demo-down left .fairlead behind"; exit 1; fi
    if pgrep -f "$dir/fairlead" >/dev/null; then echo "make demo-down left processes behind:"; pgrep -af "$dir/fairlead"; exit 1; fi
done
echo "demo: ok"
