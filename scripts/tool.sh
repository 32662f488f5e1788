#!/bin/sh
# Runs one of the pinned generators or linters: scripts/tool.sh NAME ARGS…
#
# Each tool has a module of its own under tools/, so that it is built with the
# dependencies its authors tested and none of them reaches the module that
# users import. It is built from source once and kept in the user's cache under
# a hash of that module, so a second run costs nothing and a new pin rebuilds.
#
# scripts/tool.sh --build builds all of them.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tasker-tools

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# build NAME: makes the tool's module current and prints its folder of binaries.
build() {
	module=$root/tools/$1
	key=$({ go version; cat "$module"/*.go "$module/go.mod" "$module/go.sum" 2>/dev/null || true; } | digest | cut -c1-16)
	bin=$cache/$1-$key
	if [ ! -d "$bin" ]; then
		echo "building tools/$1 (once; later runs take it from $cache)" >&2
		mkdir -p "$cache"
		partial=$(mktemp -d "$bin.XXXXXX")
		# Without cgo: no C compiler is needed, and sqlc's parser, which is large
		# in C, comes as WebAssembly instead.
		if [ -f "$module/main.go" ]; then target=.; else target=tool; fi
		if ! (cd "$module" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off go build -trimpath -o "$partial/" "$target") >&2; then
			rm -rf "$partial"
			exit 1
		fi
		# Moved into place whole, so that nobody runs half a tool. Of two that
		# build at once the first wins; the other's copy is the same.
		if [ -d "$bin" ]; then rm -rf "$partial"; else mv "$partial" "$bin"; fi
	fi
	echo "$bin"
}

case ${1-} in
protoc-gen-*) module=protoc ;;
--build)
	for dir in "$root"/tools/*/; do
		build "$(basename "$dir")" >/dev/null
	done
	exit 0
	;;
'' | */* | -*)
	echo "usage: scripts/tool.sh NAME ARGS…, or --build; names: $(cd "$root/tools" && echo *)" >&2
	exit 2
	;;
*) module=$1 ;;
esac

if [ ! -f "$root/tools/$module/go.mod" ]; then
	echo "scripts/tool.sh: no tool $module; there are: $(cd "$root/tools" && echo *)" >&2
	exit 2
fi

name=$1
shift
bin=$(build "$module")
exec "$bin/$name" "$@"
