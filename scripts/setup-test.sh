#!/bin/sh
# Installs what tests start, beyond what setup.sh installs: PostgreSQL and a browser
# as packages, other servers as programs in bin/tests.
set -eu
cd "$(dirname "$0")/.."

# apt PACKAGE…
apt() {
	if ! command -v apt-get >/dev/null; then
		echo "The tests need $*. Please install it and try again." >&2
		exit 1
	fi
	echo "Installing: $*"
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

postgres() {
	for initdb in /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$initdb" ] && return
	done
	command -v initdb >/dev/null && command -v postgres >/dev/null
}

if ! postgres; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	# The tests make clusters of their own: the package shall not leave one running.
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		$sudo mkdir -p /etc/postgresql-common
		echo "create_main_cluster = false" | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	apt postgresql
	postgres || {
		echo "PostgreSQL is still missing after the installation of postgresql" >&2
		exit 1
	}
fi

# ip, and namespaces for processes that tests cut off from the network.
if ! command -v ip >/dev/null || ! command -v nsenter >/dev/null; then
	apt iproute2 util-linux
fi

# server NAME PACKAGE: of the version in go.mod, built again when that changes.
server() {
	want=$(go list -f '{{with .Module}}{{.Version}}{{end}}' "$2")
	have=$(go version -m "bin/tests/$1" 2>/dev/null | awk '$1 == "mod" || $1 == "dep" { print $2, $3 }' || true)
	case "$have" in
	*"${2%/cmd/*} $want"*) return ;;
	esac
	echo "Building bin/tests/$1 $want"
	CGO_ENABLED=0 go build -o "bin/tests/$1" "$2"
}

server nats-server github.com/nats-io/nats-server/v2

# s3: an S3 server over a folder. Not in go.mod: its dependencies are many, and
# only the tests want it.
s3() {
	module=github.com/versity/versitygw version=v1.8.0
	have=$(go version -m bin/tests/versitygw 2>/dev/null | awk '$1 == "mod" { print $2, $3 }')
	[ "$have" = "$module $version" ] && return
	echo "Building bin/tests/versitygw $version"
	GOFLAGS=-buildvcs=false GOBIN="$PWD/bin/tests" CGO_ENABLED=0 go install "$module/cmd/versitygw@$version"
}

s3

# A browser, and the players that show what is packaged for streaming in it.
command -v chromium >/dev/null || apt chromium

# player PACKAGE VERSION FILE: a script of an npm package.
player() {
	want="bin/tests/players/$1-$2.js"
	[ -s "$want" ] && return
	command -v npm >/dev/null || apt npm
	echo "Fetching $1 $2"
	mkdir -p bin/tests/players
	rm -f "bin/tests/players/$1-"*.js
	tmp=$(mktemp -d)
	(cd "$tmp" && npm pack --silent "$1@$2" >/dev/null && tar xzf ./*.tgz "package/$3")
	cp "$tmp/package/$3" "$want.new" && mv "$want.new" "$want"
	rm -rf "$tmp"
}

player hls.js 1.7.4 dist/hls.min.js
player dashjs 5.2.1 dist/modern/umd/dash.all.min.js
# What sends files out of a browser, piece by piece.
player tus-js-client 4.3.1 dist/tus.min.js
