package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// child is one running engine. It serves one call at a time.
type child struct {
	proc Process
	conn *net.UnixConn
	next uint64
	used int // requests answered

	gone    chan struct{} // closed when the process has ended
	waitErr error         // valid once gone
	once    sync.Once
}

// startChild launches an engine and waits until it answers.
func startChild(ctx context.Context, launch Launch, timeout time.Duration) (*child, error) {
	conn, theirs, err := wire.Pair()
	if err != nil {
		return nil, errs.As(errs.Transient, op, err)
	}
	proc, err := launch(ctx, theirs)
	_ = theirs.Close()
	if err != nil {
		_ = conn.Close()
		return nil, errs.Wrap(op, err)
	}
	c := &child{proc: proc, conn: conn, gone: make(chan struct{})}
	go func() {
		defer close(c.gone)
		c.waitErr = proc.Wait()
	}()
	pctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, _, err := c.call(pctx, wire.OpPing, nil, nil, nil, watch{}); err != nil {
		c.close()
		return nil, errs.Wrap("engine.start", err)
	}
	return c, nil
}

// alive reports whether an idle child can take a request. A process closes its
// socket before its parent can learn of its death, so the socket is asked too:
// what it holds between requests is the end, or words nobody asked for.
func (c *child) alive() bool {
	select {
	case <-c.gone:
		return false
	default:
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
		return true
	})
	return err == nil && quiet
}

// close kills the child and returns when it is gone.
func (c *child) close() {
	c.once.Do(func() {
		c.proc.Kill()
		_ = c.conn.Close()
	})
	<-c.gone
}

// watch bounds what a child may do during one call.
type watch struct {
	memory int64 // resident bytes; 0 = not watched
	output int64 // bytes of the answer
}

// call sends a request and returns the answer. An *errs.Error marked as the
// child's own refusal leaves the child usable (see refused); after any other
// error it must be closed.
func (c *child) call(ctx context.Context, what wire.Op, header any, body []byte, file *os.File, w watch) (json.RawMessage, []byte, error) {
	c.next++
	id := c.next
	// A blocked read or write ends when the connection's deadline passes; the
	// reason is kept beside it, because several can pass at once.
	var memory atomic.Int64
	end := make(chan struct{})
	var guard sync.WaitGroup
	defer guard.Wait()
	defer close(end)
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)); close(fired) })
	defer func() {
		if !stop() { // it ran, perhaps too late to matter: the next call starts without a deadline
			<-fired
			_ = c.conn.SetDeadline(time.Time{})
		}
	}()
	if w.memory > 0 {
		guard.Go(func() { c.watchMemory(w.memory, &memory, end) })
	}
	head, out, err := c.exchange(what, id, header, body, file, w.output)
	switch {
	case err == nil, isRefusal(err):
		return head, out, err
	case memory.Load() > 0:
		return nil, nil, errs.New(errs.TooLarge, op, "engine used %d MiB of memory; the limit is %d", memory.Load()>>20, w.memory>>20)
	case ctx.Err() != nil:
		return nil, nil, errs.As(errs.KindOf(ctx.Err()), op, ctx.Err())
	}
	return nil, nil, c.death(err)
}

func (c *child) exchange(what wire.Op, id uint64, header any, body []byte, file *os.File, limit int64) (json.RawMessage, []byte, error) {
	if err := wire.Write(c.conn, what, id, header, body, file); err != nil {
		return nil, nil, &unsent{err}
	}
	f, err := wire.Read(c.conn, limit)
	if err != nil {
		return nil, nil, err
	}
	if f.File != nil {
		_ = f.File.Close()
		return nil, nil, errors.New("engine sent a descriptor")
	}
	if f.ID != id {
		return nil, nil, fmt.Errorf("answer to request %d instead of %d", f.ID, id)
	}
	out := make([]byte, f.Size)
	if _, err := io.ReadFull(c.conn, out); err != nil {
		return nil, nil, err
	}
	switch f.Op {
	case wire.OpResult:
		return f.Header, out, nil
	case wire.OpError:
		var fail wire.Failure
		if err := json.Unmarshal(f.Header, &fail); err != nil {
			return nil, nil, err
		}
		return f.Header, nil, &refusal{&errs.Error{Kind: fail.Kind, Op: op, Field: fail.Field, Msg: fail.Msg}}
	}
	return nil, nil, fmt.Errorf("answer of kind %d", f.Op)
}

// refusal is an error the child answered with, as against one of its own death.
type refusal struct{ err *errs.Error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

// unsent is a failure to hand a request over: the child died, or was dying,
// before it had all of it.
type unsent struct{ err error }

func (u *unsent) Error() string { return u.err.Error() }
func (u *unsent) Unwrap() error { return u.err }

// death says why a call broke off. The child is killed first: if it was not
// dead, it does not speak our language.
func (c *child) death(err error) error {
	c.close()
	if errs.KindOf(c.waitErr) == errs.TooLarge { // the sandbox's limits
		return errs.As(errs.TooLarge, op, c.waitErr)
	}
	cause := err
	if c.waitErr != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		cause = c.waitErr
	}
	return &errs.Error{Kind: errs.Transient, Op: op, Msg: "engine died", Tail: errs.TailOf(c.waitErr), Err: cause}
}

// watchMemory kills the child when it grows over limit.
func (c *child) watchMemory(limit int64, over *atomic.Int64, end <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-c.gone:
			return
		case <-tick.C:
			if n := c.resident(); n > limit {
				over.Store(n)
				c.proc.Kill()
				return
			}
		}
	}
}

// resident is the child's memory in bytes; 0 when it cannot be read.
func (c *child) resident() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(c.proc.Pid()) + "/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize())
}
