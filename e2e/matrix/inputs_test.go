package matrix_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// input is a row of the matrix: a file that is made on the spot.
type input struct {
	name string // of the row
	file string
	// make are ffmpeg's arguments, one command a line, run in the folder of
	// inputs; the last writes file. "cat A B" puts two files in a row. [25] stands
	// for six seconds of moving pictures at that rate, tagged as BT.709, NOISE
	// for as much sound, X264 for the quickest encoder with a keyframe a second.
	make string
	// params are those every function is called with here, beside its own.
	params string
	crf    int    // of the results; 0 = 12
	rate   string // the rate column's; empty = 30
	// refused lists the codes a refusal to slice may have; none = it is sliced.
	refused []string
	// jumps says that the source's clock starts over: there is nothing to lay sound
	// beside.
	jumps bool
	// redone says that slices of it may not be right: the certificate finds that, and
	// the whole is processed in one piece.
	redone bool
	// undone undoes, for comparing, what the functions do to such a source by
	// themselves.
	undone string
}

// What the recipes share. Sound is noise: only noise tells where it belongs.
const (
	pictures = "-f lavfi -i testsrc2=s=192x108:d=6:r=%,format=yuv420p"
	tagged   = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
	noise    = "-f lavfi -i anoisesrc=c=pink:d=6:seed=7:a=0.3:r=48000"
	x264     = "-c:v libx264 -preset ultrafast -crf 18 -g 25 -c:a aac " + tagged
	x265     = "-c:v libx265 -preset ultrafast -crf 18 -tag:v hvc1 -c:a aac"
)

const (
	h265 = `"codec":"h265","bit_depth":10`
	mkv  = `"format":"mkv","subtitles":"keep"`
)

// inputs are the rows, in the order of the table.
var inputs = []input{
	{name: "23.976 fps", file: "23.mp4", make: "[24000/1001] NOISE X264 -g 24 23.mp4", rate: "30000/1001"},
	{name: "25 fps", file: "25.mp4", make: "[25] NOISE X264 25.mp4"},
	{name: "29.97 fps", file: "29.mp4", make: "[30000/1001] NOISE X264 -g 32 29.mp4", rate: "24000/1001"},
	{name: "50 fps", file: "50.mp4", make: "[50] NOISE X264 -g 50 50.mp4", rate: "25"},
	{name: "59.94 fps", file: "59.mp4", make: "[60000/1001] NOISE X264 -g 60 59.mp4", rate: "30000/1001"},
	{name: "variable rate, mp4", file: "vfr.mp4", make: "[30] NOISE X264 -vf select=mod(n\\,7)*mod(n\\,5) -vsync vfr vfr.mp4", rate: "25", refused: nil},
	{name: "variable rate, mkv", file: "vfr.mkv", make: "[30] NOISE X264 -vf select=mod(n\\,7)*mod(n\\,5) -vsync vfr vfr.mkv", rate: "25", params: mkv},
	{name: "open GOPs with leading frames", file: "open.mp4", make: "[25] NOISE X264 -preset fast -bf 3 -x264-params open-gop=1:keyint=25:min-keyint=25:scenecut=0:bframes=3:b-adapt=0 open.mp4"},
	{name: "open GOPs, HEVC", file: "open265.mp4", make: "[25] NOISE " + x265 + " -bf 3 -x265-params log-level=error:open-gop=1:keyint=25:min-keyint=25:bframes=3 open265.mp4"},
	{name: "pyramids of B frames", file: "pyramid.mp4", make: "[25] NOISE X264 -preset fast -x264-params b-pyramid=normal:bframes=8:b-adapt=0:ref=4:keyint=50:scenecut=0 pyramid.mp4"},
	{name: "edit list, late start", file: "start.mp4", make: "NOISE -itsoffset 0.52 [25] X264 -map 1:v -map 0:a start.mp4"},
	{name: "edit list that cuts", file: "cut.mp4", make: "[25] NOISE X264 cutme.mp4\n-ss 0.52 -i cutme.mp4 -c copy cut.mp4", refused: []string{"edit_list", "negative_timestamps"}},
	{name: "negative start", file: "negative.mov", make: "[25] NOISE X264 -bf 2 negativeme.mp4\n-i negativeme.mp4 -c copy -output_ts_offset -0.52 -avoid_negative_ts disabled negative.mov",
		refused: []string{"edit_list", "negative_timestamps"}},
	{name: "late sound", file: "late.mp4", make: "[25] -itsoffset 0.3 NOISE X264 late.mp4"},
	{name: "no sound", file: "silent.mp4", make: "[25] X264 silent.mp4"},
	{name: "two sound tracks, subtitles, chapters, mp4", file: "tracks.mp4", make: "[25] NOISE -f lavfi -i sine=330:d=6:r=48000 -i words.srt -i film.txt -map 0 -map 1 -map 2 -map 3 -map_metadata 4 " +
		"X264 -c:s mov_text -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -metadata:s:s:0 language=fre tracks.mp4", params: `"subtitles":"keep"`},
	{name: "two sound tracks, subtitles, chapters, mkv", file: "tracks.mkv", make: "[25] NOISE -f lavfi -i sine=330:d=6:r=48000 -i words.srt -i film.txt -map 0 -map 1 -map 2 -map 3 -map_metadata 4 " +
		"X264 -c:s srt -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -metadata:s:s:0 language=fre tracks.mkv", params: mkv},
	{name: "odd size", file: "odd.mp4", make: "[25] NOISE X264 -vf scale=161:91,format=yuv444p odd.mp4", undone: "crop=160:90:0:0"},
	{name: "rotation tag", file: "turned.mp4", make: "[25] NOISE X264 turnme.mp4\n-i turnme.mp4 -c copy -metadata:s:v:0 rotate=90 turned.mp4"},
	{name: "SAR 4:3", file: "sar.mp4", make: "[25] NOISE X264 -vf setsar=4/3 sar.mp4"},
	{name: "interlaced", file: "fields.mp4", make: "[50] NOISE X264 -vf interlace -flags +ilme+ildct -x264-params tff=1 fields.mp4", undone: "yadif=deint=all"},
	{name: "HDR10, 10 bit", file: "hdr10.mp4", make: "[25] NOISE " + x265 + " -pix_fmt yuv420p10le -x265-params log-level=error:keyint=25:hdr10=1:repeat-headers=1:" +
		"master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400 " +
		"-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv hdr10.mp4", params: h265, crf: 8},
	{name: "HLG, 10 bit", file: "hlg.mp4", make: "[25] NOISE " + x265 + " -pix_fmt yuv420p10le -x265-params log-level=error:keyint=25 " +
		"-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -color_range tv hlg.mp4", params: h265, crf: 8},
	{name: "HDR10 to SDR", file: "sdr.mp4", make: "-i hdr10.mp4 -c copy sdr.mp4"},
	{name: "full range", file: "full.mp4", make: "[25] NOISE X264 -vf scale=out_range=pc,format=yuvj420p -color_range pc full.mp4"},
	{name: "BT.601, untagged", file: "untagged.mp4", make: "[25] NOISE -vf scale=176:144:out_color_matrix=bt601,setsar=1 -c:v libx264 -preset ultrafast -crf 18 -g 25 -c:a aac untagged.mp4"},
	{name: "MPEG-TS", file: "plain.ts", make: "[25] NOISE X264 plain.ts"},
	{name: "MPEG-TS, discontinuity", file: "broken.ts", make: "[25] NOISE X264 first.ts\n-i first.ts -c copy -output_ts_offset 3000 second.ts\ncat second.ts first.ts broken.ts",
		refused: []string{"container_not_seekable", "discontinuity"}, jumps: true},
	{name: "MKV", file: "film.mkv", make: "[25] NOISE X264 film.mkv", params: mkv},
	{name: "WebM, VP9", file: "film.webm", make: "[25] NOISE -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -crf 30 -b:v 0 -g 25 -c:a libopus " + tagged + " film.webm", params: `"format":"webm"`},
	{name: "AVI", file: "film.avi", make: "[25] NOISE -c:v mpeg4 -q:v 3 -g 25 -bf 0 -c:a mp3 film.avi"},
	{name: "FLV", file: "film.flv", make: "[25] NOISE X264 -ar 44100 film.flv"},
	{name: "MOV, ProRes", file: "film.mov", make: "[25] NOISE -c:v prores_ks -profile:v 0 -pix_fmt yuv422p10le -c:a pcm_s16le " + tagged + " -bsf:v prores_metadata=color_primaries=bt709:color_trc=bt709:colorspace=bt709 film.mov"},
	{name: "HEVC", file: "hevc.mp4", make: "[25] NOISE " + x265 + " " + tagged + " -x265-params log-level=error:keyint=25:open-gop=0 hevc.mp4", params: `"codec":"h265"`, crf: 8},
	{name: "AV1", file: "av1.mp4", make: "[25] NOISE -c:v libsvtav1 -preset 12 -crf 30 -g 25 -c:a aac " + tagged + " av1.mp4", params: `"codec":"av1"`, crf: 8},
	{name: "fragmented mp4", file: "fragments.mp4", make: "[25] NOISE X264 -movflags frag_keyframe+empty_moov fragments.mp4"},
	{name: "one GOP of two minutes", file: "minutes.mp4", make: "-f lavfi -i testsrc2=s=128x72:d=120:r=25,format=yuv420p -f lavfi -i anoisesrc=c=pink:d=120:seed=7:a=0.3:r=48000 X264 -g 9999 -sc_threshold 0 minutes.mp4"},
	{name: "every frame a keyframe", file: "intra.mp4", make: "[25] NOISE X264 -g 1 intra.mp4"},
	{name: "one frame", file: "one.mp4", make: "[25] X264 -frames:v 1 one.mp4", refused: []string{"too_short"}},
	{name: "two frames", file: "two.mp4", make: "[25] X264 -frames:v 2 two.mp4", refused: []string{"too_short"}},
	{name: "61 s", file: "long.mp4", make: "-f lavfi -i testsrc2=s=128x72:d=61:r=25,format=yuv420p -f lavfi -i anoisesrc=c=pink:d=61:seed=7:a=0.3:r=48000 X264 long.mp4"},
	{name: "damaged pictures", file: "hurt.mp4", make: "[25] NOISE X264 hurtme.mp4\n-i hurtme.mp4 -c copy -bsf:v noise=amount=if(between(n\\,60\\,62)\\,1\\,0) hurt.mp4", redone: true},
	{name: "pictures late, mkv", file: "behind.mkv", make: "NOISE -itsoffset 1.3 [25] X264 -map 1:v -map 0:a behind.mkv", params: mkv},
	{name: "joined files", file: "joined.mp4", make: "[25] NOISE X264 -t 3 one.ts\n[25] NOISE X264 -t 3.3 two.ts\n-i concat:one.ts|two.ts -c copy joined.mp4"},
	{name: "times of a phone, B pictures made", file: "phone.mp4", make: "[30] NOISE X264 -vf settb=1/90000,setpts=PTS+mod(N*7919\\,2399) -vsync passthrough -enc_time_base 1/90000 -video_track_timescale 90000 phone.mp4",
		params: `"preset":"veryfast","bframes":3`, crf: 8},
	{name: "sound longer than the pictures", file: "longer.mp4", make: "[25] -f lavfi -i anoisesrc=c=pink:d=8:seed=7:a=0.3:r=48000 X264 longer.mp4"},
	{name: "sound shorter than the pictures", file: "shorter.mp4", make: "[25] -f lavfi -i anoisesrc=c=pink:d=4:seed=7:a=0.3:r=48000 X264 shorter.mp4"},
}

// Texts some recipes read.
var texts = map[string]string{
	"words.srt": "1\n00:00:01,000 --> 00:00:01,500\nHello\n\n2\n00:00:04,000 --> 00:00:05,000\nWorld\n\n",
	"film.txt": ";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=3000\ntitle=One\n" +
		"[CHAPTER]\nTIMEBASE=1/1000\nSTART=3000\nEND=6000\ntitle=Two\n",
}

// folder is where inputs are made, once each.
var folder struct {
	path string
	mu   sync.Mutex
	made map[string]*sync.Once
}

// path makes the input, unless somebody has, and tells where it lies.
func (in *input) path(t *testing.T) string {
	t.Helper()
	folder.mu.Lock()
	once := folder.made[in.file]
	if once == nil {
		once = &sync.Once{}
		folder.made[in.file] = once
	}
	folder.mu.Unlock()
	path := filepath.Join(folder.path, in.file)
	once.Do(func() {
		for i := range inputs { // it may be made of another
			if inputs[i].file != in.file && strings.Contains(" "+in.make+" ", " "+inputs[i].file+" ") {
				inputs[i].path(t)
			}
		}
		for line := range strings.Lines(in.make) {
			in.run(t, strings.TrimSpace(line))
		}
	})
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s was not made", in.file)
	}
	return path
}

func (in *input) run(t *testing.T, line string) {
	t.Helper()
	if names, ok := strings.CutPrefix(line, "cat "); ok {
		var all []byte
		parts := strings.Fields(names)
		for _, name := range parts[:len(parts)-1] {
			b, err := os.ReadFile(filepath.Join(folder.path, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		if err := os.WriteFile(filepath.Join(folder.path, parts[len(parts)-1]), all, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	line = strings.NewReplacer("NOISE", noise, "X264", x264).Replace(line)
	if before, rest, ok := strings.Cut(line, "["); ok {
		rate, after, _ := strings.Cut(rest, "]")
		line = before + strings.Replace(pictures, "%", rate, 1) + after
	}
	ffmpeg(t, strings.Fields(line)...)
}

// ffmpeg runs the tool in the folder of inputs and returns what it said.
func ffmpeg(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
	cmd.Dir = folder.path
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %q: %v\n%s", args, err, out)
	}
	return string(out)
}
