# shellcheck shell=bash
# What the benchmarks of retention share: a server of their own, timing, and
# ratios. To be sourced.
set -Eeuo pipefail

bin=$("${PG_CONFIG:-pg_config}" --bindir)
# shellcheck disable=SC2034 # the benchmarks use it
rounds=${ROUNDS:-5}
dir=

# initdb and postgres refuse to run as root.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && runuser -u postgres -- "$@")
	else
		"$@"
	fi
}

# start_server: in a temporary directory below TMPDIR, gone at the end.
start_server() {
	dir=$(mktemp -d "${TMPDIR:-/tmp}/amelia-bench.XXXXXX")
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	trap stop_server EXIT
	as_server "$bin/initdb" -D "$dir/data" -U bench -A trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$dir'" \
		"shared_buffers = 1GB" "max_wal_size = 16GB" "checkpoint_timeout = 1h" \
		"autovacuum = off" | as_server tee -a "$dir/data/postgresql.conf" >/dev/null
	as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/server.log" -w start >/dev/null
}

stop_server() {
	local status=$?
	trap - EXIT
	as_server "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || :
	rm -rf "$dir"
	exit $status
}

# sql DATABASE ARGUMENT…
sql() {
	local database=$1
	shift
	"$bin/psql" -XqAt -v ON_ERROR_STOP=1 -h "$dir" -U bench -d "$database" "$@"
}

# Each measurement begins with the same files, and with no checkpoint due.
fresh_copy() { # database
	sql postgres -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1 TEMPLATE master STRATEGY file_copy" \
		-c CHECKPOINT
}

now() {
	date +%s.%N
}

# median_min_max: of the numbers on standard input, one to a line.
median_min_max() {
	sort -g | awk '{ v[NR] = $1 }
		END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
			printf "%.2f (%.2f to %.2f)", m, v[1], v[NR] }'
}

# column FILE WAY NUMBER: a column of the measurements, which are lines of
# round, way, numbers.
column() {
	awk -v way="$2" -v n="$3" '$2 == way { print $n }' "$1"
}

# ratio FILE WAY BASE NUMBER: of two ways, round by round.
ratio() {
	awk -v way="$2" -v base="$3" -v n="$4" '$2 == way { w[$1] = $n } $2 == base { b[$1] = $n }
		END { for (r in w) print w[r] / b[r] }' "$1"
}
