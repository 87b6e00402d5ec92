// Package generate holds functions that make media from nothing or from text.
package generate

import (
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

var noopSpec = fn.Spec{
	Name: "noop", Version: "1", Summary: "Do nothing, to see what everything around a function costs.",
	Doc: "Takes no input and gives no output. Benchmarks use it to measure the control plane alone, " +
		"operators to see whether a task gets through.",
	Purity: fn.Exact,
}

type noopParams struct{}

// Noop is the function that does nothing.
func Noop() fn.Function {
	return fn.Define(noopSpec, fn.Body[noopParams]{
		Price: func(*noopParams, []*media.Info) fn.Price { return fn.Price{CPUSeconds: 0.0001} },
		Run:   func(fn.Context, *fn.Call, *noopParams) (*fn.Result, error) { return &fn.Result{}, nil },
	})
}
