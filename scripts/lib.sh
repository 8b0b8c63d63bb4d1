# shellcheck shell=bash
# What setup, quickstart, stop and run-tests share. To be sourced.
set -Eeuo pipefail
trap 'unexpected $? "$BASH_COMMAND"' ERR

# PostgreSQL's test library unsets LC_ALL, and initdb would fall back to SQL_ASCII.
export LANG=C.UTF-8 LC_ALL=C.UTF-8
umask 022
# The scripts start a make of their own, and servers of their own: neither the
# calling make's job slots nor the user's PGHOST or PGOPTIONS may reach them.
unset MAKEFLAGS MFLAGS MAKELEVEL TMPDIR
for name in "${!PG@}"; do
	[ "$name" = PG_CONFIG ] || unset "$name"
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$top"

log=$(mktemp /tmp/amelia-log.XXXXXX)
trap 'rm -f "$log"' EXIT

say() {
	printf '==> %s\n' "$*"
}

# A command that nothing checks has failed: at least not in silence.
unexpected() {
	[ "$BASH_SUBSHELL" != 0 ] || echo "*** ${0##*/} stopped: \"$2\" ended with status $1" >&2
}

# fail WHAT WHAT-TO-DO [OUTPUT]: WHAT went wrong; the file OUTPUT says why.
fail() {
	{
		printf '\n*** Failed: %s\n' "$1"
		if [ -s "${3:-}" ]; then
			printf '*** The last lines it printed:\n'
			tail -n 25 "$3" | sed 's/^/    /'
		fi
		printf '*** What to do: %s\n' "$2"
	} >&2
	exit 1
}

# step WHAT WHAT-TO-DO COMMAND…: runs it quietly, and shows its output when it fails.
step() {
	local what=$1 remedy=$2
	shift 2
	say "$what"
	: >"$log"
	"$@" >"$log" 2>&1 || fail "$what" "$remedy" "$log"
}

# What is built lies beside its source.
writable_checkout() {
	if ! mkdir -p .amelia 2>"$log" || ! [ -w . ] || ! [ -w src ] || ! [ -w .amelia ]; then
		fail "Write to the checkout, $top" \
			"make a copy that you may write to (git clone \"$top\"), and run make there" "$log"
	fi
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "this needs root: run it as root, or install sudo" >&2
		return 1
	fi
}

# initdb and postgres refuse to run as root, so root steps down to the account
# that Debian's package makes. From / because that account may not be allowed
# to enter the checkout: paths that are handed over must be absolute.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && runuser -u "$(server_user)" -- "$@")
	else
		"$@"
	fi
}

server_user() {
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

# private_server ACTION DIR: see scripts/private-server. Its text is read here
# and handed over, because the server's account may not be able to read it.
private_server() {
	as_server bash -c "$(cat scripts/private-server)" private-server "$1" "$2" "$PG_BINDIR"
}

# private_dashboard ACTION DIR [CONNINFO]: see scripts/private-dashboard; likewise.
private_dashboard() {
	as_server bash -c "$(cat scripts/private-dashboard)" private-dashboard "$1" "$2" "$PG_BINDIR" "${3:-}"
}

# Where quickstart's server lives: in the checkout, or where .amelia/elsewhere says.
server_dir() {
	if [ -s .amelia/elsewhere ]; then
		cat .amelia/elsewhere
	else
		echo "$top/.amelia/server"
	fi
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

offered() {
	[[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[0-9]* ]]
}

# newest TEST PACKAGE: the newest major version for which TEST PACKAGE-major holds.
newest() {
	local major
	for major in 18 17 16 15; do
		if "$1" "$2-$major"; then
			echo "$major"
			return
		fi
	done
}

major_of() {
	"$1" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/'
}

# choose_postgres: sets PG_MAJOR, to nothing where there is none. In this order:
# PG_CONFIG, what is installed with headers, what is installed, what apt offers.
choose_postgres() {
	PG_MAJOR=
	if [ -n "${PG_CONFIG:-}" ]; then
		if command -v "$PG_CONFIG" >/dev/null; then
			PG_MAJOR=$(major_of "$PG_CONFIG")
		else
			# Not there yet, but its place in Debian tells which package to get.
			PG_MAJOR=$(expr "$PG_CONFIG" : '/usr/lib/postgresql/\([0-9]*\)/bin/pg_config$') ||
				fail "Find PostgreSQL" "PG_CONFIG=$PG_CONFIG is not there; name an existing pg_config"
		fi
	elif command -v dpkg-query >/dev/null; then
		PG_MAJOR=$(newest installed postgresql-server-dev)
		[ -n "$PG_MAJOR" ] || PG_MAJOR=$(newest installed postgresql)
		[ -n "$PG_MAJOR" ] || PG_MAJOR=$(newest offered postgresql-server-dev)
	elif command -v pg_config >/dev/null; then
		PG_CONFIG=pg_config
		PG_MAJOR=$(major_of pg_config)
	fi
}

# find_postgres: sets PG_CONFIG, PG_BINDIR, once everything is installed.
find_postgres() {
	choose_postgres
	PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
	PG_BINDIR=$("$PG_CONFIG" --bindir)
	case $PG_MAJOR in
	15 | 16 | 17 | 18) ;;
	*) fail "Find PostgreSQL" "$PG_CONFIG is PostgreSQL $PG_MAJOR; PostgreSQL 15 to 18 are supported" ;;
	esac
}

# The same for quickstart and test: build as who we are, install where root must.
# Sets installed_anew when what is installed is not what was there before.
build_and_install() {
	installed_anew=
	step "Build the extension with PostgreSQL $PG_MAJOR's headers" \
		"mend what the compiler complains about; if files belong to another user, remove them (sudo make clean)" \
		make -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG"
	step "Build the client programs" \
		"mend what the compiler complains about; they need libpq, jansson, libmicrohttpd, SQLite and OpenSSL" \
		make -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" client
	if same_as_installed; then
		say "The extension is installed as it was built"
	else
		step "Install the extension in $("$PG_CONFIG" --pkglibdir)" \
			"run it as root or as a user with sudo; for a PostgreSQL of your own, make sure that its directories can be written" \
			install_extension
		# shellcheck disable=SC2034 # quickstart asks
		installed_anew=yes
	fi
}

same_as_installed() {
	local share program control script
	share=$("$PG_CONFIG" --sharedir)/extension
	for program in amelia-load amelia-prices amelia-report amelia-import amelia-dashboard; do
		cmp -s "client/$program" "$PG_BINDIR/$program" || return 1
	done
	for control in *.control; do
		script=${control%.control}--$(sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" "$control").sql
		cmp -s "$control" "$share/$control" && cmp -s "sql/$script" "$share/$script" || return 1
	done
	cmp -s amelia.so "$("$PG_CONFIG" --pkglibdir)/amelia.so"
}

install_extension() {
	if [ -w "$("$PG_CONFIG" --pkglibdir)" ] && [ -w "$("$PG_CONFIG" --sharedir)" ]; then
		make install PG_CONFIG="$PG_CONFIG"
	else
		as_root make install PG_CONFIG="$PG_CONFIG"
	fi
}
