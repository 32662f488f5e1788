#!/bin/sh
# Sees to PostgreSQL's programs, version 15 or newer, before they are needed.
#
# Looks where the server itself looks. Where there are none they are installed
# with the package manager, if that takes no password; no cluster is made and
# none started. Otherwise one line says what to install. That is no failure yet:
# the server can still download PostgreSQL where the network lets it, and says so
# when it cannot.
set -eu

oldest=15

# major PROGRAM: its major version, or nothing.
major() { "$1" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9][0-9]*\).*/\1/p'; }

found() {
	for program in "$(command -v postgres || true)" \
		/usr/lib/postgresql/*/bin/postgres \
		/opt/homebrew/opt/postgresql@*/bin/postgres \
		/usr/local/opt/postgresql@*/bin/postgres \
		/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin/postgres \
		/usr/pgsql-*/bin/postgres; do
		[ -x "$program" ] || continue
		version=$(major "$program")
		if [ "${version:-0}" -ge "$oldest" ]; then return 0; fi
	done
	return 1
}

# install_apt installs the server's package without its default cluster: ours is another.
install_apt() {
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		as_root="sudo -n"
	else
		return 1
	fi
	# $as_root is empty or two words, here and below.
	# shellcheck disable=SC2086
	$as_root apt-get update -qq || return 1
	candidate=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9][0-9]*\).*/\1/p')
	if [ "${candidate:-0}" -lt "$oldest" ]; then return 1; fi
	echo "installing PostgreSQL $candidate with apt-get"
	install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends"
	settings=/etc/postgresql-common/createcluster.conf
	if [ ! -e "$settings" ]; then # who has it already has decided
		# shellcheck disable=SC2086
		$install postgresql-common &&
			$as_root sed -i 's/^#\{0,1\}create_main_cluster.*/create_main_cluster = false/' "$settings" || return 1
	fi
	# shellcheck disable=SC2086
	$install postgresql
}

install() {
	if command -v apt-get >/dev/null 2>&1; then
		install_apt </dev/null >&2
	elif command -v brew >/dev/null 2>&1; then
		brew install --quiet postgresql@18 </dev/null >&2
	else
		return 1
	fi
}

if found; then exit 0; fi
if install && found; then exit 0; fi

case $(uname -s) in
Darwin) remedy="brew install postgresql@18" ;;
*) remedy="sudo apt-get install postgresql" ;;
esac
echo "no PostgreSQL $oldest or newer is installed, and installing it takes more than this script may do;" \
	"if the download that is tried next fails: $remedy" >&2
