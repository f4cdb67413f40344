#!/usr/bin/env bash
# Runs every command of docs/getting-started.md, as it stands, in a clone of
# its own, so that the page cannot go stale.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
chmod 755 "$dir"
finish() {
    [ -n "${server:-}" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT
git clone -q "$root" "$dir/fairlead"
cd "$dir/fairlead"
export HOME="$dir/home" XDG_CONFIG_HOME="$dir/home/.config" GOCACHE="${GOCACHE:-$(go env GOCACHE)}" GOMODCACHE="${GOMODCACHE:-$(go env GOMODCACHE)}"
mkdir -p "$HOME"

# The fenced commands, in order, but the installation (done before) and the
# server, which is started here so that it can be waited for and stopped.
awk '/^```sh$/ {on=1; next} /^```$/ {on=0} on' docs/getting-started.md |
    grep -v '^sudo apt-get' | grep -v 'fairlead up ' >"$dir/commands"
[ "$(wc -l <"$dir/commands")" -gt 30 ] || { echo "the page has lost its commands"; exit 1; }

make -s build
bin/fairlead up --data ./data --listen 127.0.0.1:8090 >"$dir/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl -sf http://127.0.0.1:8090/readyz >/dev/null && break
    kill -0 "$server" || { cat "$dir/server.log"; exit 1; }
    sleep 0.1
done
bash -euo pipefail -x "$dir/commands"
echo "getting started: ok"
