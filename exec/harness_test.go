package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/exec/egress"
	"github.com/mediafn/mediafn/exec/gate"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/file"
	"github.com/mediafn/mediafn/ports/blob/mem"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("EXEC_TEST_CRASH"); dir != "" {
		crash(dir)
	}
	goleak.VerifyTestMain(m)
}

type run = func(ctx context.Context, call *fn.Call) (*fn.Result, error)

type params struct {
	Level int `json:"level" min:"1" max:"9" default:"5" help:"how much"`
}

// define makes a function of one slot "source".
func define(name string, kinds []media.Kind, body run) fn.Function {
	return fn.Define(fn.Spec{
		Name: name, Version: "1", Summary: "for tests", Purity: fn.Exact,
		Inputs:  []fn.Slot{{Name: "source", Kinds: kinds, Min: 1, Max: 3}, {Name: "plan", Kinds: []media.Kind{media.Text}, Max: 1}},
		Outputs: []fn.Slot{{Name: "out", Kinds: kinds}},
	}, fn.Body[params]{Run: func(ctx context.Context, call *fn.Call, p *params) (*fn.Result, error) { return body(ctx, call) }})
}

// bench is an executor with a file store "main", a memory store "far", and
// one function "test.run".
type bench struct {
	*Executor
	stores *blob.Stores
	dir    string
}

func newBench(t *testing.T, body run, change func(*Config), kinds ...media.Kind) *bench {
	t.Helper()
	if kinds == nil {
		kinds = []media.Kind{media.Image, media.Video}
	}
	stores := blob.NewStores()
	main, err1 := file.Open(t.TempDir(), blob.Default())
	far, err2 := mem.Open(0, blob.Default())
	client, err3 := egress.New(egress.Config{Allow: []string{"127.0.0.1"}, Timeout: 5 * time.Second})
	if err := errors.Join(err1, err2, err3, stores.Add("main", main), stores.Add("far", far)); err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Functions: fn.NewRegistry(define("test.run", kinds, body), define(job.Publish, kinds, body)), Stores: stores, Egress: client,
		Gate: gate.Config{BlockSize: 64 << 10}, ScratchDir: t.TempDir(), SmallBytes: 100_000,
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.empty(t)
		if err := errors.Join(e.Close(), stores.Close()); err != nil {
			t.Error(err)
		}
		client.Close()
		http.DefaultClient.CloseIdleConnections()
		if left, err := os.ReadDir(cfg.ScratchDir); err != nil || len(left) > 0 {
			t.Errorf("scratch after Close: %v %v", left, err)
		}
	})
	return &bench{Executor: e, stores: stores, dir: cfg.ScratchDir}
}

// empty checks that no attempt left anything.
func (e *Executor) empty(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(e.scratch.dir); err != nil || len(left) > 0 {
		t.Errorf("scratch holds %v %v", left, err)
	}
}

func (b *bench) put(t *testing.T, cloud, key string, content []byte) media.Ref {
	t.Helper()
	s, err := b.stores.Get(cloud)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "in", key, bytes.NewReader(content), blob.PutOptions{Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	return media.Ref{Cloud: cloud, Bucket: "in", Key: key}
}

func (b *bench) get(t *testing.T, r media.Ref) []byte {
	t.Helper()
	s, err := b.stores.Get(r.Cloud)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := s.Get(t.Context(), r.Bucket, r.Key, 0, -1)
	if err != nil {
		t.Fatal(r, err)
	}
	defer body.Close()
	all, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func jobFor(refs ...media.Ref) job.Job {
	j := job.Job{Trace: "t1", Fn: "test.run", Version: "1", Out: job.Place{Bucket: "work", Prefix: "task/event/t1"}}
	for _, r := range refs {
		j.Inputs = append(j.Inputs, job.Input{Slot: "source", Ref: r})
	}
	return j
}

func picture(w, h int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// movie is a file of n bytes that begins as an mp4 does.
func movie(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(b)
	copy(b, "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2")
	return b
}

// read reads an input as a child process would.
func read(ctx context.Context, in *fn.Input) ([]byte, error) {
	if in.Port == 0 {
		return os.ReadFile(in.Location)
	}
	req, err := http.NewRequestWithContext(ctx, "GET", in.Location, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return nil, fmt.Errorf("gate: %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func write(call *fn.Call, name string, content []byte) fn.Output {
	path := filepath.Join(call.Dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		panic(err)
	}
	return fn.Output{Slot: "out", Name: name, Path: path}
}

// copyAll is a function that gives its inputs back.
func copyAll(ctx context.Context, call *fn.Call) (*fn.Result, error) {
	res := &fn.Result{}
	facts := map[string]string{"params": string(call.Params)}
	for i := range call.Inputs {
		in := &call.Inputs[i]
		if in.Doc != nil {
			facts["doc"] = string(in.Doc)
			continue
		}
		outside, err := read(ctx, in)
		if err != nil {
			return nil, err
		}
		inside, err := io.ReadAll(io.NewSectionReader(in.Data, 0, in.Size))
		if err != nil || !bytes.Equal(inside, outside) {
			return nil, fmt.Errorf("Data and Location differ: %w", err)
		}
		facts[fmt.Sprint(i)] = fmt.Sprintf("%s %s %q inplace=%v", in.Kind, in.Format, in.Demuxer, in.Port != 0)
		res.Outputs = append(res.Outputs, write(call, fmt.Sprintf("%d.bin", i), outside))
	}
	res.Facts, _ = json.Marshal(facts)
	res.Usage.CPUSeconds = 0.5
	return res, nil
}
