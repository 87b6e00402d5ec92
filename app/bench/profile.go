package bench

import (
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/mediafn/mediafn/core/errs"
)

// Profiles are files to write while tasks run, without the reference. Several
// shapes get a file each, with the shape's name behind a dot.
type Profiles struct{ CPU, Mutex, Allocs string }

// mutexShare is how many contended locks are counted as one.
const mutexShare = 10

func (p Profiles) start(shape string, several bool) (stop func() error, err error) {
	if several {
		for _, name := range []*string{&p.CPU, &p.Mutex, &p.Allocs} {
			if *name != "" {
				*name += "." + shape
			}
		}
	}
	cpu := func() error { return nil }
	if p.CPU != "" {
		f, err := os.Create(p.CPU)
		if err != nil {
			return nil, errs.As(errs.Invalid, "profile", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			_ = f.Close()
			return nil, errs.As(errs.Internal, "profile", err)
		}
		cpu = func() error { pprof.StopCPUProfile(); return f.Close() }
	}
	if p.Mutex != "" {
		runtime.SetMutexProfileFraction(mutexShare)
	}
	return func() error {
		if err := cpu(); err != nil {
			return errs.As(errs.Internal, "profile", err)
		}
		runtime.SetMutexProfileFraction(0)
		if err := write("mutex", p.Mutex); err != nil {
			return err
		}
		return write("allocs", p.Allocs)
	}, nil
}

func write(profile, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return errs.As(errs.Invalid, "profile", err)
	}
	err = pprof.Lookup(profile).WriteTo(f, 0)
	if e := f.Close(); err == nil {
		err = e
	}
	return errs.As(errs.Internal, "profile", err)
}
