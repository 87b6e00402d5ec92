#!/bin/sh
# The main job: start mediafn, send it a sliced transcode of FILE, show how it
# goes, then keep serving until Ctrl-C (KEEP=0 ends instead).
set -eu
cd "$(dirname "$0")/.."

listen=${LISTEN:-127.0.0.1:8080}
data=${DATA:-data}
file=${FILE:-}
made=

server=
finish() {
	trap - EXIT INT TERM
	if [ -n "$server" ]; then
		kill -TERM "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	[ -z "$made" ] || rm -f "$made"
}
trap finish EXIT
trap 'finish; exit 130' INT
trap 'finish; exit 143' TERM

if [ -z "$file" ]; then
	mkdir -p "$data"
	file=$data/sample-1080p-90s.mp4
	if [ ! -s "$file" ]; then
		echo "Making a 90-second 1080p clip with moving picture and sound: $file"
		made=$file.part.mp4
		ffmpeg -hide_banner -loglevel error -nostdin -y \
			-f lavfi -i "testsrc2=size=1920x1080:rate=30,noise=alls=4:allf=t" \
			-f lavfi -i "sine=frequency=440:beep_factor=4:sample_rate=48000" \
			-t 90 -c:v libx264 -preset veryfast -b:v 8M -g 90 -pix_fmt yuv420p \
			-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
			-c:a aac -b:a 128k -movflags +faststart "$made"
		mv "$made" "$file"
		made=
	fi
elif [ ! -r "$file" ]; then
	echo "FILE=$file can't be read" >&2
	exit 2
fi

bin/mediafn serve --data "$data" --listen "$listen" --log-level warn &
server=$!
if ! bin/mediafn wait-ready --server "http://$listen" --timeout 30s; then
	echo "mediafn did not start" >&2
	exit 1
fi

bin/mediafn submit video.transcode --server "http://$listen" -i "$file" \
	-p height=720 -p preset=medium --extra slice=force --watch

if [ "${KEEP:-1}" = 0 ]; then
	exit 0
fi
echo
echo "mediafn goes on serving on http://$listen (Ctrl-C ends it). Try:"
echo "  bin/mediafn functions"
echo "  bin/mediafn submit derive.frames -i $file -p interval=10 --watch"
wait "$server"
