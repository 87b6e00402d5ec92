package fn

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Body is the code of a function whose parameters are the struct P. The
// struct's fields declare the parameters by tags, see SchemaOf.
type Body[P any] struct {
	// Check validates what a schema cannot say: combinations of fields, texts
	// with a grammar. Optional and pure.
	Check func(p *P, inputs []media.Kind) error
	// Price estimates; nil means one CPU second and 256 MiB.
	Price func(p *P, inputs []*media.Info) Price
	// Assembly is required of every sliceable function, see Function.Assembly.
	Assembly func(p *P, source *media.Info) Assembly
	// Run computes.
	Run func(ctx Context, call *Call, p *P) (*Result, error)
}

// Define ties a declaration to its code. It panics on a declaration that
// contradicts itself: that is a defect found by the first test.
func Define[P any](spec Spec, body Body[P]) Function {
	schema, err := SchemaOf[P]()
	if err != nil {
		panic(fmt.Sprintf("fn %s: %v", spec.Name, err))
	}
	spec.Params = schema
	if spec.Slicing.Mode == "" {
		spec.Slicing.Mode = Whole
	}
	if spec.Pool == "" {
		spec.Pool = CPU
	}
	if err := spec.validate(); err != nil {
		panic(fmt.Sprintf("fn %s: %v", spec.Name, err))
	}
	if (body.Assembly == nil) != (spec.Slicing.Mode == Whole) {
		panic(fmt.Sprintf("fn %s: slicing mode %s and Assembly disagree", spec.Name, spec.Slicing.Mode))
	}
	return &function[P]{spec: &spec, body: body}
}

type function[P any] struct {
	spec *Spec
	body Body[P]
}

func (f *function[P]) Spec() *Spec { return f.spec }

func (f *function[P]) Check(raw json.RawMessage, inputs []media.Kind) (json.RawMessage, error) {
	var p P
	if err := f.spec.Params.Decode(raw, &p); err != nil {
		return nil, err
	}
	if f.body.Check != nil {
		if err := f.body.Check(&p, inputs); err != nil {
			return nil, err
		}
	}
	canonical, err := json.Marshal(&p)
	if err != nil {
		return nil, errs.New(errs.Internal, f.spec.Name, "encode params: %w", err)
	}
	return canonical, nil
}

func (f *function[P]) Price(raw json.RawMessage, inputs []*media.Info) Price {
	price := Price{CPUSeconds: 1, Memory: 256 << 20, Cores: 1}
	if f.body.Price == nil {
		return price
	}
	var p P
	if json.Unmarshal(raw, &p) != nil {
		return price
	}
	price = f.body.Price(&p, inputs)
	price.Cores = max(price.Cores, 0)
	return price
}

func (f *function[P]) Assembly(raw json.RawMessage, source *media.Info) (Assembly, error) {
	if f.body.Assembly == nil {
		return Assembly{}, errs.New(errs.Unsupported, f.spec.Name, "is not sliced")
	}
	var p P
	if err := json.Unmarshal(raw, &p); err != nil {
		return Assembly{}, errs.New(errs.Internal, f.spec.Name, "decode params: %w", err)
	}
	return f.body.Assembly(&p, source), nil
}

func (f *function[P]) Run(ctx Context, call *Call) (*Result, error) {
	if f.spec.Missing != "" {
		return nil, errs.New(errs.Unsupported, f.spec.Name, "%s", f.spec.Missing)
	}
	var p P
	if err := json.Unmarshal(call.Params, &p); err != nil {
		return nil, errs.New(errs.Internal, f.spec.Name, "decode params: %w", err)
	}
	res, err := f.body.Run(ctx, call, &p)
	return res, errs.Wrap(f.spec.Name, err)
}

func (s *Spec) validate() error {
	switch {
	case s.Name == "" || s.Version == "" || s.Summary == "":
		return fmt.Errorf("name, version and summary are required")
	case s.Purity != Exact && s.Purity != Equivalent && s.Purity != Impure:
		return fmt.Errorf("purity %q", s.Purity)
	}
	seen := map[string]bool{}
	for _, slot := range slices.Concat(s.Inputs, s.Internal, s.Outputs) {
		if slot.Name == "" || len(slot.Kinds) == 0 {
			return fmt.Errorf("slot %q needs a name and kinds", slot.Name)
		}
		if slot.Max != 0 && slot.Min > slot.Max {
			return fmt.Errorf("slot %q: min %d > max %d", slot.Name, slot.Min, slot.Max)
		}
	}
	for _, slot := range slices.Concat(s.Inputs, s.Internal) {
		if seen[slot.Name] {
			return fmt.Errorf("slot %q twice", slot.Name)
		}
		seen[slot.Name] = true
	}
	return nil
}
