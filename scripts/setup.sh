#!/bin/sh
# Installs what building and running mediafn needs and is not there yet.
# Debian and its relatives only; elsewhere it says what to install.
set -eu

packages="ffmpeg libvips-dev gcc libc6-dev pkg-config fonts-noto-cjk fonts-dejavu-core"

present() {
	command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null && command -v gcc >/dev/null &&
		command -v pkg-config >/dev/null && pkg-config --atleast-version=8.14 vips 2>/dev/null &&
		[ -d /usr/share/fonts/opentype/noto ] && [ -d /usr/share/fonts/truetype/dejavu ]
}

present && exit 0

if ! command -v apt-get >/dev/null; then
	echo "mediafn needs FFmpeg 5.1 or later, libvips 8.14 or later with its headers, a C compiler," >&2
	echo "pkg-config, and the fonts Noto Sans CJK and DejaVu. Please install them and try again." >&2
	exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "Please install as root: apt-get install $packages" >&2
		exit 1
	fi
	sudo=sudo
fi

echo "Installing: $packages"
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null

if ! present; then
	echo "Some of these are still missing after the installation: $packages" >&2
	exit 1
fi
