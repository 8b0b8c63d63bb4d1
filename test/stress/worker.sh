#!/bin/bash
# One worker of the stress test: claims with a short lease, writes under its
# token, dawdles now and then beyond the lease and writes all the same. What it
# may write is the server's to say. Never stops by itself.
name=$1
sql() { psql -XqAt -F ' ' -v ON_ERROR_STOP=1 -c "$1" 2>/dev/null; }
while :; do
	read -r id token < <(sql "SELECT id, lease_token FROM amelia.claim_workflow('$name', '2 s')") || { sleep 0.2; continue; }
	for step in 1 2 3; do
		case $((RANDOM % 12)) in
		0) sleep 2.5 ;; # beyond the lease
		1) sql "SELECT amelia.heartbeat('$id', $token, '2 s')" >/dev/null ;;
		*) sleep 0.0$((RANDOM % 10)) ;;
		esac
		case $((RANDOM % 2)) in
		0) sql "SELECT amelia.append_event('$id', 'work', '$step', data => '{\"token\": $token}', lease_token => $token)" ;;
		1) sql "BEGIN; SELECT amelia.set_worker('$id', $token); SELECT pg_sleep(0.0$((RANDOM % 5)));
			INSERT INTO amelia.workflow_log (workflow_id, event_type, message, data)
			VALUES ('$id', 'work', '$step', '{\"token\": $token}'); COMMIT" ;;
		esac >/dev/null
	done
	case $((RANDOM % 10)) in
	0) sql "SELECT amelia.release_workflow('$id', $token, 'failed', 'bad luck', '0')" ;;
	1) sql "SELECT amelia.release_workflow('$id', $token)" ;;
	2) sql "SELECT amelia.request_approval('$id', $token, 'go on?')" && sql "SELECT amelia.decide('$id', true)" ;;
	*) sql "SELECT amelia.release_workflow('$id', $token, 'completed')" ;;
	esac >/dev/null
done
