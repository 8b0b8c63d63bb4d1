# shellcheck shell=bash
# What the benchmarks share. To be sourced after scripts/lib.sh: a server of
# their own, and medians.

bench_dir=
bench_driver=

# Whatever way this ends, nothing stays behind.
bench_end() {
	local status=$?
	trap - EXIT ERR
	[ -z "$bench_driver" ] || kill "$bench_driver" 2>/dev/null || :
	if [ -n "$bench_dir" ]; then
		as_server "$PG_BINDIR/pg_ctl" -D "$bench_dir/data" -m immediate -w stop >/dev/null 2>&1 || :
		rm -rf "$bench_dir"
	fi
	# shellcheck disable=SC2154 # scripts/lib.sh sets it
	rm -f "$log"
	exit $status
}
trap bench_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# bench_server PARENT: starts a server in a new folder below PARENT, and sets
# bench_dir and conninfo. Its settings keep checkpoints, autovacuum, maintenance
# and full buffers out of what is measured; what a commit waits for is as it comes.
bench_server() {
	bench_dir=$(mktemp -d "$1/amelia-bench.XXXXXX")
	[ "$(id -u)" != 0 ] || chown "$(server_user):" "$bench_dir"
	step "Make a server in $bench_dir" "see the message above" \
		as_server env HOME="$bench_dir" "$PG_BINDIR/initdb" -D "$bench_dir/data" --username=amelia \
		--auth=trust --encoding=UTF8 --locale=C.UTF-8
	cat >>"$bench_dir/data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$bench_dir'
		shared_preload_libraries = 'amelia'
		amelia.enabled = off
		synchronous_commit = on
		shared_buffers = '1GB'
		max_wal_size = '8GB'
		checkpoint_timeout = '1h'
		autovacuum = off
		jit = off
	CONF
	step "Start it" "see the message above" \
		as_server "$PG_BINDIR/pg_ctl" -D "$bench_dir/data" -l "$bench_dir/server.log" -w start
	# shellcheck disable=SC2034 # for who sources this
	conninfo="host=$bench_dir user=amelia dbname=postgres"
}

# bench_sqlite_source FILE WORKFLOWS: what amelia-import is to bring, as its tests have it.
bench_sqlite_source() {
	perl -I"$(dirname "$("$PG_CONFIG" --pgxs)")/../../src/test/perl" -Itest/perl -MSqliteSource \
		-e 'amelia_source($ARGV[0], "events"); amelia_rows($ARGV[0], $ARGV[1])' "$1" "$2"
}

# bench_compile SOURCE PROGRAM: a client program, with this server's libpq.
bench_compile() {
	step "Compile $1" "it needs a C compiler and libpq's headers: make quickstart installs them" \
		"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -I"$("$PG_CONFIG" --includedir)" \
		-o "$2" "$1" -L"$("$PG_CONFIG" --libdir)" -lpq
}

# bench_machine: what a number is worth depends on where it was measured.
bench_machine() {
	local processor
	processor=$(sed -n 's/^model name[ \t]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
	echo "$("$PG_CONFIG" --version), $(nproc) × ${processor:-unknown processor}," \
		"$(df --output=fstype "$bench_dir" | tail -n 1), load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)"
}
