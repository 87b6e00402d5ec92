package gate

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// lookup finds the grant a request names and counts the request as running.
// A nil grant means there is nothing at that address.
func (g *Gate) lookup(path string) *Grant {
	token := strings.TrimPrefix(path, "/")
	g.mu.Lock()
	defer g.mu.Unlock()
	gr := g.grants[token]
	if gr == nil || gr.ctx.Err() != nil {
		return nil
	}
	g.handlers.Add(1)
	return gr
}

func (g *Gate) serve(w http.ResponseWriter, r *http.Request) {
	gr := g.lookup(r.URL.Path)
	if gr == nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	defer g.handlers.Done()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "read only", http.StatusMethodNotAllowed)
		return
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests at one time", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(gr.ctx, func() {
		cancel(context.Cause(gr.ctx))
		// A reader that has stopped reading would hold the handler in Write.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	})()

	part, code := parseRange(r.Header.Get("Range"), gr.size)
	h := w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch code {
	case http.StatusRequestedRangeNotSatisfiable:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", gr.size))
		http.Error(w, "no such range", code)
		return
	case http.StatusPartialContent:
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, gr.size))
	}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(part.length, 10))
	if r.Method == http.MethodHead || part.length == 0 {
		w.WriteHeader(code)
		return
	}
	g.send(ctx, w, gr, part, code)
}

// send writes part block by block. From the second block of a request on, those
// behind it are fetched while this one is written, ever more of them at once: a
// reader that came so far is likely to go on, one that looks at an index is not.
func (g *Gate) send(ctx context.Context, w http.ResponseWriter, gr *Grant, part span, code int) {
	size := g.cache.blockSize
	end := part.start + part.length
	front := readAhead{g: g, gr: gr, last: (end - 1) / size, step: 1}
	defer front.release()
	for at, first := part.start, true; at < end; first = false {
		n := at / size
		if !first {
			front.pass(n)
		}
		b, err := g.cache.get(ctx, gr, n)
		if err != nil {
			if !first {
				panic(http.ErrAbortHandler) // the only way to tell the reader that the rest is missing
			}
			w.Header().Del("Content-Length")
			w.Header().Del("Content-Range")
			http.Error(w, err.Error(), broken(err))
			return
		}
		if first {
			w.WriteHeader(code)
		}
		b = b[at%size:]
		b = b[:min(int64(len(b)), end-at)]
		k, err := w.Write(b)
		g.served.Add(int64(k))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		at += int64(len(b))
	}
}

// readAhead is what is on its way in front of one reader.
type readAhead struct {
	g    *Gate
	gr   *Grant
	last int64 // block nobody reads beyond
	next int64 // first block nothing was asked for yet
	step int64 // blocks of the next read
	held []held
}

type held struct {
	until   int64 // first block behind it
	release func()
}

// pass says that the reader is at block n.
func (r *readAhead) pass(n int64) {
	for len(r.held) > 0 && r.held[0].until <= n {
		r.held[0].release()
		r.held = r.held[1:]
	}
	if r.next = max(r.next, n+1); r.next-n > r.step || r.next > r.last {
		return
	}
	count := min(r.step, r.last-r.next+1)
	r.held = append(r.held, held{r.next + count, r.g.cache.ahead(r.gr, r.next, count)})
	r.next += count
	r.step = min(2*r.step, r.g.ahead)
}

func (r *readAhead) release() {
	for _, h := range r.held {
		h.release()
	}
}

// broken is the status for a source that failed: tools try 5xx again.
func broken(err error) int {
	switch errs.KindOf(err) {
	case errs.Timeout:
		return http.StatusGatewayTimeout
	case errs.Canceled:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}
