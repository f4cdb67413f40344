#!/usr/bin/env bash
# The demo: builds fairlead, starts it here in the background, and does its
# main job visibly, with the command line that everybody has. It asks nothing,
# needs no terminal, and can be run again; everything it makes is below
# .fairlead/, and `make demo-down` takes it away.
#
#   make demo                              one server, its records in SQLite
#   make demo STORE=postgres REPLICAS=3    three servers on one PostgreSQL
#   make demo PORT=9000                    another port to begin looking at
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/demo-lib.sh
. scripts/demo-lib.sh
exec </dev/null
umask 022 # PostgreSQL's account passes through our folders; secrets get their own modes

STORE=${STORE:-sqlite}
REPLICAS=${REPLICAS:-1}
PORT=${PORT:-8080}
# Somebody's own settings are not the demo's.
unset FAIRLEAD_URL FAIRLEAD_TOKEN FAIRLEAD_PROJECT FAIRLEAD_ENV FAIRLEAD_STORE FAIRLEAD_DATA FAIRLEAD_LISTEN \
    FAIRLEAD_CONFIG FAIRLEAD_PUBLIC_URL FAIRLEAD_POSTGRES_URL FAIRLEAD_MASTER_KEY

bold='' dim='' off=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; fi
say() { printf '%s\n' "$bold$*$off"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }
# run shows a command as a person would type it, and does it.
run() {
    printf '%s$ fairlead' "$dim"
    local word
    for word in "$@"; do
        case "$word" in
        *\'*) printf ' "%s"' "$word" ;;
        *[!A-Za-z0-9_./:=@,-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$off"
    bin/fairlead "$@"
}

case "$STORE" in sqlite | postgres) ;; *) die "STORE is sqlite or postgres, not $STORE" ;; esac
case "$REPLICAS" in '' | *[!0-9]* | 0) die "REPLICAS is a number from 1" ;; esac
case "$PORT" in '' | *[!0-9]*) die "PORT is a number" ;; esac
[ "$REPLICAS" = 1 ] || [ "$STORE" = postgres ] || die "more than one server needs STORE=postgres: they share one store"

# --- what must be there -------------------------------------------------------

need() {
    command -v go >/dev/null 2>&1 || { [ -x /usr/local/go/bin/go ] && PATH="$PATH:/usr/local/go/bin"; } ||
        die "Go is missing. Install it (https://go.dev/doc/install), then run this again."
    scripts/need-postgres.sh
    local missing=''
    command -v psql >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/psql >/dev/null 2>&1 || missing="$missing postgresql-client"
    command -v setsid >/dev/null 2>&1 || missing="$missing util-linux"
    [ -z "$missing" ] && return 0
    if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        local as=''
        [ "$(id -u)" = 0 ] || as='sudo -n'
        say "installing$missing"
        # shellcheck disable=SC2086 # words are meant
        $as apt-get update -qq && $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        die "missing:$missing. Install with: sudo apt-get install$missing"
    fi
}

build() {
    if command -v make >/dev/null 2>&1; then
        MAKEFLAGS='' make -s --no-print-directory build
    else
        CGO_ENABLED=0 go build -trimpath -o bin/fairlead ./cmd/fairlead
    fi
}

# --- the servers ----------------------------------------------------------------

# taken PORT: somebody listens there.
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

next=$PORT
# free_port sets $port to the next one that nobody listens on.
free_port() {
    for _ in $(seq 200); do
        port=$next
        next=$((next + 1))
        [ "$next" -le 65535 ] || next=20000
        taken "$port" || return 0
    done
    die "no free port was found from $PORT on; choose another with PORT=n"
}

# ready URL: the server says that it can work.
ready() {
    local host=${1#http://} line=''
    { exec 3<>"/dev/tcp/${host%:*}/${host##*:}"; } 2>/dev/null || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$host" >&3
    IFS= read -r -t 5 line <&3 || true
    exec 3>&- 3<&-
    case "$line" in *" 200 "*) return 0 ;; esac
    return 1
}

# current PID: it runs the program as it was built now.
current() {
    case "$(readlink "/proc/$1/exe" 2>/dev/null || echo "$PWD/bin/fairlead")" in "$PWD/bin/fairlead") return 0 ;; esac
    return 1
}

# start N: server N, unless it runs. Sets $url.
start() {
    local n=$1 data="$dir" pid
    [ "$STORE" = postgres ] && data="$dir/replica-$n"
    pid=$(cat "$dir/server-$n.pid" 2>/dev/null || true)
    url=$(cat "$dir/server-$n.url" 2>/dev/null || true)
    if alive "$pid" && current "$pid" && ready "$url"; then
        say "server $n runs already at $url"
        return 0
    fi
    stop "$pid" TERM
    local try
    for try in 1 2 3; do
        port=${url##*:}
        if [ -z "$port" ] || taken "$port"; then free_port; fi
        url="http://127.0.0.1:$port"
        # A new session: the terminal's Ctrl-C and its end are not the server's.
        setsid bin/fairlead up --data "$data" --listen "127.0.0.1:$port" >>"$dir/server-$n.log" 2>&1 &
        pid=$!
        echo "$pid" >"$dir/server-$n.pid"
        for _ in $(seq 600); do
            if ready "$url" && alive "$pid"; then
                echo "$url" >"$dir/server-$n.url"
                say "server $n runs at $url"
                return 0
            fi
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        grep -q "cannot listen" "$dir/server-$n.log" && [ "$try" -lt 3 ] && { url=''; continue; } # somebody was quicker
        tail -n 20 "$dir/server-$n.log" >&2
        die "the server did not start; its log is .fairlead/server-$n.log"
    done
}

# as_pg runs PostgreSQL's programs: never as root, which it refuses.
as_pg() { if [ "$(id -u)" = 0 ]; then (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"); else "$@"; fi; }

# store_postgres runs a PostgreSQL server for the records and for the
# databases that people ask for, and points the servers at it.
store_postgres() {
    local bin data
    bin=$(dirname "$(readlink -f "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)")")
    [ -e "$dir/storepg.password" ] || (
        umask 077
        set +o pipefail # head leaves before tr is done
        LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32 >"$dir/storepg.password"
    )
    data=$(pgdata)
    if [ "$(id -u)" = 0 ] && [ ! -e "$dir/storepg.path" ]; then
        install -d -o postgres -g postgres -m 700 "$data"
        as_pg test -x "$data" 2>/dev/null || {
            rmdir "$data"
            data=$(outside storepg)
            install -d -o postgres -g postgres -m 700 "$data"
        }
        echo "$data" >"$dir/storepg.path"
    fi
    if [ ! -e "$data/PG_VERSION" ]; then
        # The password travels in a file of the account that must read it: not
        # even /dev/stdin can be opened by another than the one who opened it.
        local secret ok=yes
        secret=$(as_pg mktemp)
        as_pg tee "$secret" <"$dir/storepg.password" >/dev/null
        as_pg "$bin/initdb" -D "$data" -U postgres -A scram-sha-256 --pwfile="$secret" -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/storepg.log" 2>&1 || ok=no
        as_pg rm -f "$secret"
        [ "$ok" = yes ] || { cat "$dir/storepg.log" >&2; die "initdb failed"; }
        free_port
        printf "listen_addresses = '127.0.0.1'\nport = %s\nunix_socket_directories = ''\nmax_connections = 200\n" "$port" |
            as_pg tee -a "$data/postgresql.conf" >/dev/null
        echo "$port" >"$dir/storepg.port"
    fi
    if ! as_pg "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1; then
        as_pg setsid "$bin/pg_ctl" -D "$data" -l "$data/server.log" -w -t 60 start >/dev/null || die "PostgreSQL did not start; its log is $data/server.log"
    fi
    local password server
    password=$(cat "$dir/storepg.password")
    server="postgres://postgres:$password@127.0.0.1:$(cat "$dir/storepg.port")"
    PGPASSWORD=$password "$bin/psql" -h 127.0.0.1 -p "$(cat "$dir/storepg.port")" -U postgres -Atqc "select 1 from pg_database where datname = 'fairlead'" | grep -q 1 ||
        PGPASSWORD=$password "$bin/psql" -h 127.0.0.1 -p "$(cat "$dir/storepg.port")" -U postgres -Atqc "create database fairlead"
    # By the environment: a command line is everybody's to read.
    export FAIRLEAD_STORE="$server/fairlead?sslmode=disable" FAIRLEAD_POSTGRES_URL="$server/postgres?sslmode=disable"
}

servers() {
    local was n
    was=$(cat "$dir/store" 2>/dev/null || echo "$STORE")
    [ "$was" = "$STORE" ] || die "a demo with STORE=$was is here already. Take it away first: make demo-down"
    mkdir -p "$dir"
    chmod 711 "$dir" # the account that PostgreSQL runs as passes through; each file is 0600
    echo "$STORE" >"$dir/store"
    [ "$STORE" = sqlite ] || store_postgres
    start 1
    first=$url
    # The other replicas need the key that the first one made.
    for n in $(seq 2 "$REPLICAS"); do
        mkdir -p "$dir/replica-$n"
        install -d -m 700 "$dir/replica-$n/keys"
        [ -e "$dir/replica-$n/keys/master.key" ] || install -m 600 "$dir/replica-1/keys/master.key" "$dir/replica-$n/keys/master.key"
        start "$n"
    done
    unset FAIRLEAD_STORE FAIRLEAD_POSTGRES_URL
}

# --- the job -----------------------------------------------------------------------

# sign_in keeps a token in demo.env; the one-time link works once, so a later
# run uses the token.
sign_in() {
    export FAIRLEAD_URL="$first" XDG_CONFIG_HOME="$dir/cli"
    if [ -r "$dir/demo.env" ]; then
        FAIRLEAD_TOKEN=$(sed -n 's/^FAIRLEAD_TOKEN=//p' "$dir/demo.env")
        export FAIRLEAD_TOKEN
        if bin/fairlead whoami >/dev/null 2>&1; then
            run whoami
            return 0
        fi
        unset FAIRLEAD_TOKEN
    fi
    local data="$dir"
    [ "$STORE" = postgres ] && data="$dir/replica-1"
    [ -r "$data/first-sign-in-link" ] || die "the first sign-in link was used, and .fairlead/demo.env has no token that works. Begin anew: make demo-down && make demo"
    printf '%s$ fairlead login --link - < .fairlead/first-sign-in-link%s\n' "$dim" "$off"
    # The link is for the address at the start; the port may be another now.
    sed -n 's/.*\(fl_link_[0-9A-Za-z]*\).*/\1/p' "$data/first-sign-in-link" | bin/fairlead login --link -
    FAIRLEAD_TOKEN=$(sed -n 's/^ *token: *//p' "$dir/cli/fairlead/config.yaml" | head -n 1)
    export FAIRLEAD_TOKEN
    rm -rf "$dir/cli"
}

# there KIND NAME…: it exists already.
there() { bin/fairlead "$@" >/dev/null 2>&1; }

job() {
    say ""
    say "Signing in"
    sign_in
    (umask 077 && printf 'FAIRLEAD_URL=%s\nFAIRLEAD_TOKEN=%s\nFAIRLEAD_PROJECT=demo\nFAIRLEAD_ENV=dev\n' "$first" "$FAIRLEAD_TOKEN" >"$dir/demo.env.new")
    mv "$dir/demo.env.new" "$dir/demo.env"
    export FAIRLEAD_PROJECT=demo FAIRLEAD_ENV=dev

    say ""
    say "A team, a project, an environment"
    there team show demo-team || run team create demo-team
    there project show demo || run project create demo --team demo-team
    there env show dev || run env create dev --class development
    run get environments

    say ""
    say "A database"
    if there get resources orders; then
        run get resources orders
        case "$(bin/fairlead get resources orders -o json | sed -n 's/^  "phase": "\(.*\)",*$/\1/p')" in
        ready) ;;
        *) run retry orders --wait ;;
        esac
    else
        run request postgres orders --wait
    fi

    say ""
    say "Used with its own credentials"
    run connect orders -- -X -q -v ON_ERROR_STOP=1 -c "set client_min_messages to warning; create table if not exists items (id bigint generated always as identity primary key, what text not null, at timestamptz not null default now())"
    run connect orders -- -X -q -v ON_ERROR_STOP=1 -c "insert into items (what) values ('a row of the demo')"
    run connect orders -- -X -P pager=off -c "select * from items order by id desc limit 3"

    say "Who did what, and the proof that nobody changed it since"
    run audit --limit 12
    printf '%s$ fairlead audit export > .fairlead/audit.jsonl%s\n' "$dim" "$off"
    (umask 077 && bin/fairlead audit export >"$dir/audit.jsonl")
    run audit verify .fairlead/audit.jsonl
}

farewell() {
    local me link
    me=$(bin/fairlead whoami -o name)
    link=$(bin/fairlead user link "$me" -o name -q 2>/dev/null) || link=''
    say ""
    say "Fairlead runs at $first and stays there."
    [ "$REPLICAS" = 1 ] || echo "  replicas:  $(cat "$dir"/server-*.url | tr '\n' ' ')"
    [ -z "$link" ] || echo "  sign in once, within 15 minutes, as $me:  $link"
    echo "  log:       .fairlead/server-1.log"
    echo
    echo "Go on with:"
    echo "  set -a; . .fairlead/demo.env; set +a; PATH=\"\$PWD/bin:\$PATH\""
    echo "  fairlead request postgres customers --wait"
    echo "  fairlead connect orders"
    echo "  fairlead describe orders"
    echo "  fairlead destroy orders --yes --wait"
    echo "  make demo-down        # takes all of it away"
}

need
build
say "Starting Fairlead"
servers
job
farewell
