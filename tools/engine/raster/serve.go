//go:build cgo

package raster

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/engine/wire"
)

// maxInput is the longest image in bytes an engine takes; the pool's own limit
// is lower.
const maxInput = 1 << 31

// Serve answers requests on the inherited socket until the other side closes
// it. One request is worked on at a time.
func Serve(sock *os.File) error {
	runtime.LockOSThread() // libvips keeps state a thread
	conn, err := wire.Conn(sock)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := Init(); err != nil {
		return err
	}
	var in Buffer
	defer in.Free()
	for {
		f, err := wire.Read(conn, maxInput)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := serve(conn, f, &in); err != nil {
			if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
				return nil
			}
			return err
		}
	}
}

// serve answers one request. An error is one of the connection.
func serve(conn *net.UnixConn, f wire.Frame, in *Buffer) error {
	if f.File != nil {
		defer f.File.Close()
	}
	before := cpu()
	usage := func() wire.Usage { return wire.Usage{CPU: cpu() - before, RSS: resident()} }
	var req wire.Request
	data, release, err := receive(conn, f, in, &req)
	defer release()
	if err != nil {
		var fault *errs.Error
		if !errors.As(err, &fault) {
			return err
		}
		return refuse(conn, f.ID, err, usage())
	}
	switch f.Op {
	case wire.OpPing:
		return wire.Write(conn, wire.OpResult, f.ID, wire.Facts{Usage: usage()}, nil, nil)
	case wire.OpInfo:
		info, err := Facts(req.Format, data, req.Limits)
		if err != nil {
			return refuse(conn, f.ID, err, usage())
		}
		return wire.Write(conn, wire.OpResult, f.ID, wire.Facts{Info: info, Usage: usage()}, nil, nil)
	case wire.OpTransform:
		if req.Transform == nil {
			req.Transform = &wire.Transform{}
		}
		res, out, err := Transform(req.Format, data, req.Transform, req.Limits)
		if err != nil {
			return refuse(conn, f.ID, err, usage())
		}
		defer out.Free()
		res.Usage = usage()
		return wire.Write(conn, wire.OpResult, f.ID, res, out.Bytes, nil)
	}
	return refuse(conn, f.ID, errs.New(errs.Unsupported, op, "operation %d", f.Op), usage())
}

// receive takes the whole request off the connection, whatever is in it, so
// that an answer can follow. An *errs.Error is for the caller.
func receive(conn *net.UnixConn, f wire.Frame, in *Buffer, req *wire.Request) (data []byte, release func(), err error) {
	release = func() {}
	data, fault := in.Grow(int(f.Size))
	if fault != nil {
		if _, err := io.CopyN(io.Discard, conn, f.Size); err != nil {
			return nil, release, err
		}
		return nil, release, fault
	}
	if _, err := io.ReadFull(conn, data); err != nil {
		return nil, release, err
	}
	if len(f.Header) > 0 {
		if err := json.Unmarshal(f.Header, req); err != nil {
			return nil, release, errs.New(errs.Invalid, op, "request header: %w", err)
		}
	}
	if f.File == nil {
		return data, release, nil
	}
	if req.Size < 0 || req.Size > maxInput || req.Offset < 0 {
		return nil, release, errs.New(errs.Invalid, op, "%d bytes at %d", req.Size, req.Offset)
	}
	if req.Offset == 0 {
		if data, unmap, ok := wire.Map(f.File, req.Size); ok {
			return data, unmap, nil
		}
	}
	// Read, not mapped: a file cut short while we work must not kill us.
	if data, fault = in.Grow(int(req.Size)); fault != nil {
		return nil, release, fault
	}
	if n, err := f.File.ReadAt(data, req.Offset); n < len(data) {
		return nil, release, errs.New(errs.Invalid, op, "input ends after %d of %d bytes: %w", n, len(data), err)
	}
	return data, release, nil
}

func refuse(conn *net.UnixConn, id uint64, err error, u wire.Usage) error {
	return wire.Write(conn, wire.OpError, id, wire.Failure{
		Kind: errs.KindOf(err), Field: errs.FieldOf(err), Msg: message(err), Usage: u,
	}, nil, nil)
}

// message is the text without the operation and field, which the other side adds.
func message(err error) string {
	var e *errs.Error
	if errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}

// cpu is the time this process has used, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// resident is this process's memory in bytes, 0 where /proc may not be read;
// the pool then looks itself.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
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
