#!/bin/sh
# Runs all tests against a PostgreSQL that is started for them and thrown away.
#
# The race detector needs a C compiler. Where there is none it is installed, if
# that takes no password; else the tests run without, and this says so. CI always
# has it, so there its absence is a failure.
set -eu
cd "$(dirname "$0")/.."

compiler() { command -v "$(go env CC | cut -d' ' -f1)" >/dev/null 2>&1; }

install_compiler() {
	command -v apt-get >/dev/null 2>&1 || return 1
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		as_root="sudo -n"
	else
		return 1
	fi
	echo "installing a C compiler for the race detector"
	# $as_root is empty or two words.
	# shellcheck disable=SC2086
	{ $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends gcc libc6-dev; } </dev/null >&2
}

race=-race
if ! compiler && ! { install_compiler && compiler; }; then
	if [ "${CI-}" = true ]; then
		echo "scripts/test.sh: no C compiler, and none could be installed; CI runs with the race detector" >&2
		exit 1
	fi
	echo "no C compiler, so the tests run without the race detector; gcc would bring it"
	race=
fi

if [ -n "$race" ]; then export CGO_ENABLED=1; fi
go build -o bin/testpg ./cmd/testpg
# $race is empty or one word.
# shellcheck disable=SC2086
exec bin/testpg -- go test $race -timeout 5m ./...
