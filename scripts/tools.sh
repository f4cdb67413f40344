#!/usr/bin/env bash
# Builds what the tests of modules run: OpenTofu, the test provider, and the
# provider of Fairlead. Each is built once for what it is built from, into
# .cache/iac, and its path is printed. Arguments name some of them; all without.
#
# "which" builds nothing and says with what modules are tried here.
#
#   scripts/tools.sh [which | tofu | terraform-provider-testing | terraform-provider-fairlead]...
set -euo pipefail
cd "$(dirname "$0")/.."
cache="$PWD/.cache/iac"
go="${GO:-go}"

folder() {
    case "$1" in
        tofu) echo tools/tofu ;;
        terraform-provider-testing) echo tools/iacprovider ;;
        terraform-provider-fairlead) echo provider ;;
        *) echo "there is no tool $1: tofu, terraform-provider-testing, terraform-provider-fairlead" >&2; return 1 ;;
    esac
}

# key names what a tool is built from: the files of its module, of what it takes
# from Fairlead's, and the compiler.
key() {
    local from=("$1")
    [ "$1" != provider ] || from+=(internal/apiclient internal/template/bundle internal/yamlx internal/fault internal/redact)
    {
        "$go" version
        "$go" env GOOS GOARCH
        find "${from[@]}" -type f ! -name '*_test.go' -print0 | LC_ALL=C sort -z | xargs -0 cat
    } | sha256sum | cut -c1-16
}

build() {
    local name="$1" dir out flags="-s -w" what=.
    dir="$(folder "$name")"
    out="$cache/$name-$(key "$dir")"
    if [ ! -x "$out" ]; then
        # The name of the module under which upstream builds it, and its word for a release.
        [ "$name" = tofu ] && what=github.com/opentofu/opentofu/cmd/tofu flags="$flags -X github.com/opentofu/opentofu/version.dev=no"
        echo "building $name, once$([ "$name" != tofu ] || echo " (some minutes the first time)")" >&2
        (cd "$dir" && CGO_ENABLED=0 "$go" build -trimpath -ldflags "$flags" -o "$out.new" "$what") >&2
        mv -f "$out.new" "$out"
    fi
    # What is no longer built from anything; a program at work keeps its file.
    find "$cache" -maxdepth 1 -type f -name "$name-*" ! -path "$out" -delete
    ln -sfn "$(basename "$out")" "$cache/$name"
    echo "$out"
}

which_programs() {
    local found=""
    if [ -x "$cache/tofu" ]; then found=" tofu (built)"; elif command -v tofu >/dev/null; then found=" tofu ($(command -v tofu))"; fi
    if command -v terraform >/dev/null; then found="$found terraform ($(command -v terraform))"; fi
    if [ -n "$found" ]; then
        echo "modules are tried with:$found"
    else
        echo "modules are NOT TRIED: neither tofu nor terraform is here; make tools builds tofu, once, in some minutes"
    fi
}

if [ "${1:-}" = which ]; then
    which_programs
    exit
fi

mkdir -p "$cache"
[ $# -gt 0 ] || set -- $(for t in tofu terraform-provider-testing terraform-provider-fairlead; do [ ! -d "$(folder "$t")" ] || echo "$t"; done)
for tool in "$@"; do
    exec 9>"$cache/$tool.lock"
    flock 9 # tests of several packages ask at once
    build "$tool"
    flock -u 9
done
