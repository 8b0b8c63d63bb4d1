# shellcheck shell=bash disable=SC2154 # what is not assigned here is bench/claim's
# bench/claim --queues: claim and complete, against other queues. Their packages
# are installed into .amelia/queues, as bench/queues has them: once, and again when
# the lock file there changes.

queues_dir=$top/.amelia/queues
pending=100000

# A Node.js that is too old for them, or none: the optional packages are one.
install_queues() {
	local options=(--no-audit --no-fund --ignore-scripts) wanted
	! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 18) ? 0 : 1)' ||
		options+=(--omit=optional)
	wanted=$(sha256sum bench/queues/package*.json && echo "${options[*]} $(uname -m)")
	[ "$wanted" != "$(cat "$queues_dir/installed" 2>/dev/null)" ] || return 0
	rm -f "$queues_dir/installed" &&
		mkdir -p "$queues_dir" &&
		cp bench/queues/package*.json "$queues_dir/" &&
		(cd "$queues_dir" && timeout 600 npm ci "${options[@]}") &&
		echo "$wanted" >"$queues_dir/installed"
}
step "Install graphile-worker and pg-boss with npm" "it needs npm and a network" install_queues
# Node.js looks for packages beside the script.
cp bench/queues/queues.mjs "$queues_dir/"
queues() {
	local node
	node=$(compgen -G "$queues_dir/node_modules/node-linux-*/bin/node" || echo node)
	PGHOST=$bench_dir PGUSER=amelia PGDATABASE=postgres NODE_ENV=production \
		"$node" "$queues_dir/queues.mjs" "$@"
}

number=$((pending / clients / 3))
[ "$number" -le "$each" ] || number=$each

all_put_back() {
	sql -c 'CALL refill()' -c 'TRUNCATE amelia.workflow_feed'
	queues refill $pending
	sql -c 'VACUUM (ANALYZE)' -c CHECKPOINT
}
queue_turn() { # SYSTEM SCRIPT: a second
	case $1 in
	amelia) bench_load "$clients" "$number" "$2.sql" ;;
	*,client) queues drive "${1%,*}" "$clients" $((clients * number)) ;;
	*) bench_load "$clients" "$number" "$1-$2.sql" ;;
	esac
}
against() { # SCRIPT SYSTEM…: each round all take turns, and then the other way round
	local script=$1 order i other
	shift
	order=("$@")
	for ((i = $#; i > 0; i--)); do order+=("${!i}"); done
	for _ in $(seq "$rounds"); do
		for system in "${order[@]}"; do
			echo "$system $(queue_turn "$system" "$script")"
			all_put_back
		done | awk '{ sum[$1] += $2 } END { for (name in sum) print name, sum[name] / 2 }'
	done >"$bench_dir/rates"
	for other in "${@:2}"; do
		awk -v other="$other" '
			$1 == "amelia" { ours[++m] = $2 }
			$1 == other { theirs[++n] = $2 }
			END { for (i = 1; i <= n; i++) print ours[i], theirs[i] }' "$bench_dir/rates" |
			ratios "${other/,client/, its own client}"
	done
}

empty
sql -c "CALL fill($pending)"
step "Make the other queues" "see the message above" queues prepare "$bench_dir" $pending
chmod a+r "$bench_dir"/*.sql
all_put_back
printf '\nClaimed and completed per second, %s clients, %s pending:\n\n' "$clients" "$pending"
printf '| other queue | amelia | other | ratio: median (minimum–maximum) |\n|---|---|---|---|\n'
against complete amelia graphile-worker graphile-worker,client pg-boss pg-boss,client
printf '\nClaimed:\n\n'
printf '| other queue | amelia | other | ratio: median (minimum–maximum) |\n|---|---|---|---|\n'
against claim amelia graphile-worker pg-boss
