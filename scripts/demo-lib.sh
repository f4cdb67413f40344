# shellcheck shell=bash
# What demo.sh and demo-down.sh share. Sourced, with the repository as the
# working directory.
dir="$PWD/.fairlead"

# alive PID: it runs, and it is our own fairlead or PostgreSQL: a number that
# was given to another process meanwhile is left alone. Its folder is named on
# its command line.
alive() {
    [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null || return 1
    if [ -r "/proc/$1/cmdline" ]; then
        tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -e "$dir" -e "$(pgdata)"
    else
        ps -p "$1" -o args= 2>/dev/null | grep -qF -e "$dir" -e "$(pgdata)"
    fi
}

# stop PID SIGNAL: asks it to end and waits; after 20 s it is killed.
stop() {
    alive "$1" || return 0
    kill -s "$2" "$1" 2>/dev/null || return 0
    for _ in $(seq 200); do
        alive "$1" || return 0
        sleep 0.1
    done
    kill -s KILL "$1" 2>/dev/null || true
}

# outside NAME: where a PostgreSQL server's data is when its account, which is
# not root, cannot pass through the folders above ours.
outside() { echo "/var/lib/fairlead-$(printf %s "$dir/$1" | sha256sum | cut -c1-12)"; }

# pgdata: where the store's own PostgreSQL server has its data.
pgdata() {
    if [ -e "$dir/storepg.path" ]; then cat "$dir/storepg.path"; else echo "$dir/storepg"; fi
}

# stop_servers ends every fairlead of this folder.
stop_servers() {
    local f
    for f in "$dir"/server-*.pid; do
        [ -e "$f" ] || continue
        stop "$(cat "$f")" TERM
        rm -f "$f"
    done
}

# stop_postgres DATA ends the PostgreSQL server whose data is there.
stop_postgres() {
    [ -r "$1/postmaster.pid" ] || return 0
    local pid
    pid=$(head -n 1 "$1/postmaster.pid")
    case "$pid" in '' | *[!0-9]*) return 0 ;; esac
    kill -0 "$pid" 2>/dev/null || return 0
    # The number may be another process's by now: postgres has its data folder open.
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null || echo "$1")" = "$1" ] || return 0
    kill -s INT "$pid" 2>/dev/null || return 0 # fast: ends sessions, keeps data
    for _ in $(seq 200); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -s QUIT "$pid" 2>/dev/null || true
}
