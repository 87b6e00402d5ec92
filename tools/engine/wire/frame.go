// Package wire is what passes between mediafn and an engine child: frames on
// an inherited unix stream socket, and the JSON structures in their headers.
//
// A frame is a fixed prefix of 24 bytes in big-endian order, a JSON header and
// a body:
//
//	0  magic "MF"            2
//	2  version               1
//	3  op                    1
//	4  header length, bytes  4
//	8  id                    8
//	16 body length, bytes    8
//
// A request may carry one file descriptor (SCM_RIGHTS, sent with the prefix)
// instead of a body. One request is outstanding at a time; its response bears
// the same id and [OpResult] or [OpError].
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// Version of the protocol. Both binaries are built together; a child that
// speaks another version is refused.
const Version = 1

// Op says what a frame asks for or answers.
type Op uint8

const (
	OpPing      Op = 1 // empty request → empty result
	OpTransform Op = 2 // Request with Transform, image → Result, image
	OpInfo      Op = 3 // Request, image → Facts
	OpResult    Op = 128
	OpError     Op = 129 // Failure
)

const prefixSize = 24

// MaxHeader is the longest JSON header in bytes that either side accepts.
const MaxHeader = 1 << 20

// Frame is the head of a frame whose body has not been read yet.
type Frame struct {
	Op     Op
	ID     uint64
	Header json.RawMessage
	Size   int64    // bytes of body that follow on the connection
	File   *os.File // the descriptor sent along, or nil; the receiver closes it
}

// Write sends one frame. header may be nil; file is duplicated by the kernel
// and stays the caller's. It blocks until everything is written or the
// connection's deadline passes.
func Write(conn *net.UnixConn, op Op, id uint64, header any, body []byte, file *os.File) error {
	var head []byte
	if header != nil {
		b, err := json.Marshal(header)
		if err != nil {
			return err
		}
		head = b
	}
	if len(head) > MaxHeader {
		return fmt.Errorf("header of %d bytes", len(head))
	}
	buf := make([]byte, prefixSize, prefixSize+len(head))
	buf[0], buf[1], buf[2], buf[3] = 'M', 'F', Version, byte(op)
	binary.BigEndian.PutUint32(buf[4:], uint32(len(head)))
	binary.BigEndian.PutUint64(buf[8:], id)
	binary.BigEndian.PutUint64(buf[16:], uint64(len(body)))
	buf = append(buf, head...)
	if file != nil {
		n, _, err := conn.WriteMsgUnix(buf, syscall.UnixRights(int(file.Fd())), nil)
		if err != nil {
			return err
		}
		buf = buf[n:]
	}
	out := net.Buffers{buf, body}
	_, err := out.WriteTo(conn)
	return err
}

// Read receives a frame up to its body, which the caller then reads from conn,
// all of Frame.Size bytes. A body longer than maxBody is an error, and the
// connection is of no further use. io.EOF means the peer is gone.
func Read(conn *net.UnixConn, maxBody int64) (Frame, error) {
	var prefix [prefixSize]byte
	oob := make([]byte, syscall.CmsgSpace(4*4))
	n, oobn, flags, _, err := conn.ReadMsgUnix(prefix[:], oob)
	if errors.Is(err, io.EOF) {
		return Frame{}, io.EOF
	}
	if err != nil {
		return Frame{}, err
	}
	if n == 0 && oobn == 0 {
		return Frame{}, io.EOF
	}
	f := Frame{}
	if oobn > 0 {
		if f.File, err = received(oob[:oobn]); err != nil {
			return Frame{}, err
		}
	}
	fail := func(err error) (Frame, error) {
		if f.File != nil {
			_ = f.File.Close()
		}
		return Frame{}, err
	}
	if flags&syscall.MSG_CTRUNC != 0 {
		return fail(errors.New("more descriptors than expected"))
	}
	if _, err := io.ReadFull(conn, prefix[n:]); err != nil {
		return fail(err)
	}
	head, size, err := f.parse(prefix)
	if err != nil {
		return fail(err)
	}
	if size > uint64(maxBody) {
		return fail(fmt.Errorf("body of %d bytes; the limit is %d", size, maxBody))
	}
	f.Size = int64(size)
	f.Header = make([]byte, head)
	if _, err := io.ReadFull(conn, f.Header); err != nil {
		return fail(err)
	}
	return f, nil
}

// parse reads the prefix into f and returns the lengths it claims.
func (f *Frame) parse(p [prefixSize]byte) (head uint32, body uint64, err error) {
	if p[0] != 'M' || p[1] != 'F' || p[2] != Version {
		return 0, 0, fmt.Errorf("not a frame of version %d: % x", Version, p[:4])
	}
	f.Op, f.ID = Op(p[3]), binary.BigEndian.Uint64(p[8:])
	if head = binary.BigEndian.Uint32(p[4:]); head > MaxHeader {
		return 0, 0, fmt.Errorf("header of %d bytes; the limit is %d", head, MaxHeader)
	}
	return head, binary.BigEndian.Uint64(p[16:]), nil
}

// received takes the one descriptor out of a control message.
func received(oob []byte) (*os.File, error) {
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var file *os.File
	for i := range msgs {
		fds, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			if file == nil {
				file = os.NewFile(uintptr(fd), "input")
			} else {
				_ = syscall.Close(fd)
			}
		}
	}
	return file, nil
}

// Pair makes a connected pair: conn for this process and file for the child to
// inherit. Close file once the child is started, or its death goes unnoticed.
func Pair() (conn *net.UnixConn, file *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "engine"), os.NewFile(uintptr(fds[1]), "engine-child")
	conn, err = Conn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// Conn makes a connection of an inherited socket and closes file.
func Conn(file *os.File) (*net.UnixConn, error) {
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("%s is not a unix socket", file.Name())
	}
	return u, nil
}
