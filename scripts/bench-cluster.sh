#!/bin/sh
# Measures the control plane on PostgreSQL and a NATS cluster of three, started
# here for the time of the run: bench-cluster.sh [FLAGS of bench control]
# Needs what make setup-test installs. PG_PORT and NATS_PORT move the ports.
set -eu
cd "$(dirname "$0")/.."

port=${PG_PORT:-55432}
first=${NATS_PORT:-54222}
dir=$(mktemp -d "${TMPDIR:-/tmp}/mediafn-cluster-XXXXXX")
started=

finish() {
	trap - EXIT INT TERM
	for pid in $started; do
		kill -INT "$pid" 2>/dev/null || true # PostgreSQL ends without waiting for clients
	done
	for pid in $started; do
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap finish EXIT
trap 'finish; exit 130' INT
trap 'finish; exit 143' TERM

initdb=$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1)
[ -n "$initdb" ] || initdb=$(command -v initdb) || {
	echo "PostgreSQL is missing: make setup-test" >&2
	exit 1
}
postgres=$(dirname "$(readlink -f "$initdb")")/postgres
[ -x bin/tests/nats-server ] || {
	echo "bin/tests/nats-server is missing: make setup-test" >&2
	exit 1
}

# PostgreSQL refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
	as="setpriv --reuid postgres --regid postgres --clear-groups --pdeathsig INT"
fi

echo bench >"$dir/password"
mkdir "$dir/pg"
chmod 755 "$dir"
[ -z "$as" ] || chown postgres "$dir/pg"
$as "$initdb" -D "$dir/pg/data" -U mediafn --pwfile "$dir/password" --auth scram-sha-256 -E UTF8 --locale C --no-instructions >"$dir/log"
$as "$postgres" -D "$dir/pg/data" -p "$port" -k "$dir/pg" -h 127.0.0.1 -c shared_buffers=256MB -c max_wal_size=2GB \
	-c log_min_messages=warning >>"$dir/log" 2>&1 &
started="$started $!"

queue=
for n in 0 1 2; do
	cat >"$dir/nats-$n.conf" <<CONF
server_name: n$n
listen: "127.0.0.1:$((first + n))"
max_payload: 8MB
jetstream { store_dir: "$dir/nats-$n", max_file_store: 8GB }
cluster { name: bench, listen: "127.0.0.1:$((first + 10 + n))", routes: [nats://127.0.0.1:$((first + 10)), nats://127.0.0.1:$((first + 11)), nats://127.0.0.1:$((first + 12))] }
CONF
	bin/tests/nats-server -c "$dir/nats-$n.conf" >>"$dir/log" 2>&1 &
	started="$started $!"
	queue="$queue${queue:+,}nats://127.0.0.1:$((first + n))"
done
state="postgres://mediafn:bench@127.0.0.1:$port/postgres?sslmode=disable"

# serve --check would only read the addresses: wait until both are really there.
tries=0
until "$(dirname "$postgres")/pg_isready" -q -h 127.0.0.1 -p "$port" && grep -q "JetStream cluster new metadata leader" "$dir/log"; do
	tries=$((tries + 1))
	if [ $tries -gt 150 ]; then
		cat "$dir/log" >&2
		exit 1
	fi
	sleep 0.2
done

"${MEDIAFN:-bin/mediafn}" bench control --state "$state" --queue "$queue" --dir "$dir" "$@"
