package exec

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/exec/gate"
	"github.com/mediafn/mediafn/tools/sniff"
)

// inputs is what a function reads, and what has to be given back.
type inputs struct {
	all []fn.Input

	mu     sync.Mutex
	grants []*gate.Grant
	open   []io.Closer // copies and readers of objects
	bytes  int64       // copied to scratch
}

// close revokes the grants and closes what is open. Scratch is removed with
// its folder.
func (in *inputs) close() {
	for _, g := range in.grants {
		g.Revoke()
	}
	for _, c := range in.open {
		c.Close()
	}
}

// transfer is what reading in place cost: bytes, and seconds that passed
// beside the computation.
func (in *inputs) transfer() (bytes int64, seconds float64) {
	bytes = in.bytes
	for _, g := range in.grants {
		b, d := g.Fetched()
		bytes, seconds = bytes+b, seconds+d.Seconds()
	}
	return bytes, seconds
}

// fault is the first fault of an input read in place. A tool that met it could
// report no more than a broken connection, or take the file for truncated.
func (in *inputs) fault() error {
	for _, g := range in.grants {
		if err := g.Err(); err != nil {
			return err
		}
	}
	return nil
}

// fetch makes every input of j readable. dir takes the copies. The result is
// never nil and has to be closed, whatever the error.
func (e *Executor) fetch(ctx context.Context, j *job.Job, spec *fn.Spec, dir string) (*inputs, error) {
	in := &inputs{all: make([]fn.Input, len(j.Inputs))}
	filled := map[string]int{}
	for i, given := range j.Inputs {
		slot := spec.Slot(given.Slot)
		if slot == nil {
			return in, errs.New(errs.Internal, op, "%s has no input slot %q", spec.Name, given.Slot)
		}
		if filled[slot.Name]++; slot.Max > 0 && filled[slot.Name] > slot.Max {
			return in, errs.InField(job.Field(i), "slot %q of %s takes at most %d", slot.Name, spec.Name, slot.Max)
		}
	}
	for _, slot := range spec.Inputs {
		if filled[slot.Name] < slot.Min {
			return in, errs.InField("input_files", "slot %q of %s needs %d, got %d", slot.Name, spec.Name, slot.Min, filled[slot.Name])
		}
	}
	// The group's context ends with the fetch; grants live as long as the job.
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(e.cfg.Transfers)
	for i, given := range j.Inputs {
		slot := spec.Slot(given.Slot)
		if given.Doc != nil {
			in.all[i] = fn.Input{Slot: slot.Name, Kind: media.Text, Info: given.Facts, Doc: given.Doc}
			continue
		}
		group.Go(func() (err error) {
			defer e.recovered(j, &err) // what parses hostile bytes must not end the worker
			f := &fetching{e: e, in: in, job: ctx, whole: j.PreDownload, path: filepath.Join(dir, strconv.Itoa(i))}
			input, err := f.run(gctx, given, slot)
			if err != nil {
				return blame(i, given, err)
			}
			in.all[i] = input
			return nil
		})
	}
	return in, group.Wait()
}

// blame says which input an error is about, in the request's own words.
func blame(i int, given job.Input, err error) error {
	kind := errs.KindOf(err)
	if kind == errs.Canceled {
		return err
	}
	if e := (*errs.Error)(nil); errors.As(err, &e) && e.Field != "" {
		bare := *e // the request has no field of that name; it has an input
		bare.Field = ""
		err = &bare
	}
	return &errs.Error{Kind: kind, Op: "fetch", Field: job.Field(i), Msg: "slot " + strconv.Quote(given.Slot) + ", " + name(given.Ref), Err: err}
}

// name is a ref without what may be secret in a URL.
func name(r media.Ref) string {
	u, err := url.Parse(r.URL)
	switch {
	case r.URL == "":
		return r.String()
	case err != nil:
		return "url"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// fetching is one input on its way.
type fetching struct {
	e     *Executor
	in    *inputs
	job   context.Context // of the whole job
	whole bool            // copy it, whatever its size
	path  string          // of a copy in scratch
}

func (f *fetching) run(ctx context.Context, given job.Input, slot *fn.Slot) (fn.Input, error) {
	input := fn.Input{Slot: slot.Name, Ref: given.Ref, Info: given.Facts}
	var err error
	switch {
	case given.Ref.URL != "":
		err = f.remote(ctx, &input)
	case given.Pieces != nil:
		err = f.arriving(&input, given.Pieces)
	default:
		err = f.object(ctx, &input)
	}
	if err != nil {
		return input, err
	}
	if slot.Accepts(media.Data) {
		// Written by ourselves for ourselves: nothing to recognise. Tools read files.
		input.Kind = media.Data
		return input, f.local(&input)
	}
	head := make([]byte, min(sniff.HeadSize, input.Size))
	if n, err := input.Data.ReadAt(head, 0); n < len(head) {
		return input, errs.Wrap(op, err)
	}
	format, err := f.e.identify(head, input.Size, slot)
	if err != nil {
		return input, err
	}
	input.Format, input.Demuxer = format.Name, format.Demuxer
	if input.Kind, err = kindFor(format, given.Facts, slot); err != nil {
		return input, err
	}
	if format.Kind != media.Image {
		return input, nil
	}
	if err := sniff.CheckImageHeader(input.Data, input.Size, format, f.e.cfg.MaxPixels); err != nil {
		return input, err
	}
	return input, f.local(&input) // the raster engine has no network
}

// local copies an input to scratch unless it is a file there already.
func (f *fetching) local(input *fn.Input) error {
	if input.Port == 0 {
		return nil
	}
	r := io.NewSectionReader(input.Data, 0, input.Size)
	return f.copy(input, func(w io.Writer) error { _, err := io.Copy(w, r); return err }, 0)
}

// object makes an object of a store readable.
func (f *fetching) object(ctx context.Context, input *fn.Input) error {
	store, err := f.e.cfg.Stores.Get(input.Ref.Cloud)
	if err != nil {
		return err
	}
	attr, err := store.Stat(ctx, input.Ref.Bucket, input.Ref.Key)
	if err != nil {
		return err
	}
	if attr.Size > f.e.cfg.MaxInput {
		return errs.New(errs.TooLarge, op, "%d bytes, the limit is %d", attr.Size, f.e.cfg.MaxInput)
	}
	if attr.Size <= f.e.cfg.SmallBytes || f.whole {
		limit := f.e.cfg.MaxDownload
		return f.copy(input, func(w io.Writer) (err error) {
			input.Identity, err = f.e.read(ctx, input.Ref, w, limit)
			return err
		}, limit)
	}
	r, identity, err := f.e.reader(f.job, input.Ref)
	if err != nil {
		return err
	}
	f.keep(r)
	return f.place(input, r, identity)
}

// remote makes what lies behind a URL readable.
func (f *fetching) remote(ctx context.Context, input *fn.Input) error {
	if f.e.cfg.Egress == nil {
		return errs.New(errs.Unsupported, op, "URLs are not fetched here")
	}
	r, err := f.e.cfg.Egress.Open(ctx, input.Ref.URL)
	if err != nil {
		return err
	}
	if r.Size() > f.e.cfg.MaxInput {
		return errs.New(errs.TooLarge, op, "%d bytes, the limit is %d", r.Size(), f.e.cfg.MaxInput)
	}
	if r.Ranges() && r.Size() > f.e.cfg.SmallBytes && !f.whole {
		return f.place(input, r, r.Identity())
	}
	input.Identity = r.Identity()
	return f.copy(input, func(w io.Writer) error { _, err := r.Download(ctx, w); return err }, f.e.cfg.MaxDownload)
}

// place grants an input that is read where it lies.
func (f *fetching) place(input *fn.Input, src gate.Source, identity string) error {
	g, err := f.e.gate.Grant(f.job, src, identity)
	if err != nil {
		return err
	}
	f.in.mu.Lock()
	f.in.grants = append(f.in.grants, g)
	f.in.mu.Unlock()
	input.Location, input.Port, input.Data, input.Size = g.URL(), f.e.gate.Port(), g, g.Size()
	input.Identity = identity
	input.Skip = func(ranges []fn.Range) (string, error) {
		s := newSparse(src, ranges)
		if 2*s.saved() < s.Size() { // blocks shared with other readers save more
			return g.URL(), nil
		}
		g, err := f.e.gate.Grant(f.job, s, s.identity(identity))
		if err != nil {
			return "", err
		}
		f.in.mu.Lock()
		defer f.in.mu.Unlock()
		f.in.grants = append(f.in.grants, g)
		return g.URL(), nil
	}
	return nil
}

// keep has c closed at the end of the job.
func (f *fetching) keep(c io.Closer) {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	f.in.open = append(f.in.open, c)
}

// copy puts an input into scratch. A limit of 0 is none, and says that the
// bytes were counted already.
func (f *fetching) copy(input *fn.Input, from func(io.Writer) error, limit int64) error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return errs.New(errs.Transient, op, "scratch: %w", err)
	}
	f.keep(file)
	w := &limited{w: file, limit: limit}
	if err := from(w); err != nil {
		return err
	}
	if limit > 0 {
		f.in.mu.Lock()
		f.in.bytes += w.n
		f.in.mu.Unlock()
	}
	input.Location, input.Port, input.Data, input.Size = f.path, 0, file, w.n
	return nil
}

// limited stops a copy that grows over its limit.
type limited struct {
	w        io.Writer
	n, limit int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.limit > 0 && l.n+int64(len(p)) > l.limit {
		return 0, errs.New(errs.TooLarge, op, "more than %d bytes", l.limit)
	}
	n, err := l.w.Write(p)
	l.n += int64(n)
	if err != nil { // a full disk is a fault of this machine, not of the input
		err = errs.New(errs.Transient, op, "scratch: %w", err)
	}
	return n, err
}

// identify says what a file is. Plain text passes for slots that take text.
func (e *Executor) identify(head []byte, size int64, slot *fn.Slot) (sniff.Format, error) {
	format, err := sniff.Sniff(head, size)
	if errs.Is(err, errs.Invalid) && slot.Accepts(media.Text) && size > 0 && plain(head, size) {
		return sniff.Format{Name: "text", Kind: media.Text, Mime: "text/plain"}, nil
	}
	return format, err
}

// plain reports whether head is UTF-8 without control characters. A rune cut
// off by the end of the head does not count.
func plain(head []byte, size int64) bool {
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return int64(len(head)) < size && len(head)-i < utf8.UTFMax && !utf8.FullRune(head[i:])
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r' && r != '\f':
			return false
		}
		i += n
	}
	return true
}

// kindFor matches what a file is with what a slot takes. Containers that may
// hold only sound fill an audio slot: what they hold is the function's to see.
func kindFor(f sniff.Format, facts *media.Info, slot *fn.Slot) (media.Kind, error) {
	kind := f.Kind
	if facts != nil && container(kind) && container(facts.Kind) {
		kind = facts.Kind
	}
	switch {
	case slot.Accepts(kind):
		return kind, nil
	case facts == nil && kind == media.Video && slot.Accepts(media.Audio):
		return media.Audio, nil
	}
	return "", errs.New(errs.Invalid, op, "is %s (%s), the slot takes %v", kind, f.Name, slot.Kinds)
}

func container(k media.Kind) bool { return k == media.Video || k == media.Audio }

// until bounds ctx by a job's deadline.
func until(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, deadline, errs.New(errs.Timeout, op, "the deadline passed"))
}
