// Package show prints to people what the platform says: tasks, their history
// and graph, results, and what operators look at.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

// CallbackOf is the callback of an ended task, made from how it is shown.
func CallbackOf(t *api.Task, userData json.RawMessage) *api.Callback {
	c := &api.Callback{
		MsgID: t.MsgID, TaskID: t.TaskID, Generation: t.Generation, Cmd: t.Cmd, Code: "ok",
		Success: t.State == task.Succeeded, Outputs: []api.CallbackFile{}, Result: t.Result, Error: t.Error,
		Usage: t.Usage, Figures: t.Figures, UserData: userData, CreatedAt: t.CreatedAt,
	}
	if t.EndedAt != nil {
		c.EndedAt = *t.EndedAt
	}
	if t.Error != nil {
		c.Code, c.Message = t.Error.Kind.String(), t.Error.Message
	}
	for _, o := range t.Outputs {
		c.Outputs = append(c.Outputs, api.CallbackFile{
			Cmd: t.Cmd, Code: "ok", Cloud: o.Cloud, Bucket: o.Bucket, Key: o.Key,
			Extra: api.FileExtra{FileSize: o.Size, Mime: o.Mime, SHA256: o.SHA256, Name: o.Name},
		})
	}
	return c
}

// Outcome turns the end of a task into the end of the command.
func Outcome(c *api.Callback) error {
	if c.Success {
		return nil
	}
	e := &errs.Error{Kind: errs.ParseKind(c.Code), Msg: c.Message}
	if f := c.Error; f != nil {
		e.Kind, e.Msg, e.Tail, e.Op = f.Kind, f.Message, f.Tail, f.Component
		if f.Segment != nil {
			e.Op = fmt.Sprintf("%s slice %d", f.Component, *f.Segment+1)
		}
		if f.Field != "" && !strings.Contains(f.Message, f.Field) {
			e.Field = f.Field
		}
	}
	if e.Msg == "" {
		e.Msg = "the task has ended as " + e.Kind.String()
	}
	return e
}

// report of a task, as the platform's own flows give it.
type taskReport struct {
	Sliced       *bool               `json:"sliced"`
	SliceCode    string              `json:"slice_code"`
	SliceReason  string              `json:"slice_reason"`
	Prediction   *slice.Prediction   `json:"prediction"`
	RatePolicy   *fn.RatePolicy      `json:"rate_policy"`
	Certificate  *slice.Certificate  `json:"certificate"`
	JointQuality *slice.JointQuality `json:"joint_quality"`
	Facts        json.RawMessage     `json:"facts"`
}

// Facts are what a function found out, if the result holds facts.
func Facts(result json.RawMessage) json.RawMessage {
	var r taskReport
	if json.Unmarshal(result, &r) != nil || string(r.Facts) == "null" {
		return nil
	}
	return r.Facts
}

// Result tells a person how a task ended: why it was sliced or not, the
// certificate, the figures. Files are listed with the places given in paths, or
// with their bucket and key.
func Result(w io.Writer, c *api.Callback, paths []string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	for i, f := range c.Outputs {
		place := f.Bucket + "/" + f.Key
		if f.Cloud != "" {
			place = f.Cloud + ":" + place
		}
		if i < len(paths) {
			place = paths[i]
		}
		// Last in its row: a long place must not push the other columns aside.
		fmt.Fprintf(tw, "file\t%s\t%s\n", strings.TrimSpace(Bytes(f.Extra.FileSize)+" "+f.Extra.Mime), place)
	}
	var r taskReport
	if len(c.Result) > 0 && json.Unmarshal(c.Result, &r) != nil {
		r = taskReport{} // of a flow that reports something else
	}
	if r.SliceReason != "" {
		what := "not sliced"
		switch {
		case r.Sliced != nil && *r.Sliced && r.Certificate != nil && !r.Certificate.OK:
			what = "redone whole"
		case r.Sliced != nil && *r.Sliced:
			what = "sliced"
		}
		fmt.Fprintf(tw, "slices\t%s\t%s\n", what, strings.TrimPrefix(r.SliceReason, what+": "))
	}
	if p := r.Prediction; p != nil && p.WholeSeconds > 0 {
		fmt.Fprintf(tw, "predicted\t%.2f s\twhole, cpu %.2f s\n", p.WholeSeconds, p.WholeCost)
		if p.Slices > 0 {
			fmt.Fprintf(tw, "\t%.2f s\tin %d slices, cpu %.2f s; both on %d cores\n", p.SlicedSeconds, p.Slices, p.SlicedCost, p.Workers)
		}
	}
	if r.RatePolicy != nil {
		fmt.Fprintf(tw, "rate policy\t%s\t%s\n", r.RatePolicy.Code, r.RatePolicy.Reason)
	}
	if r.Certificate != nil {
		certificate(tw, r.Certificate)
	}
	if r.JointQuality != nil {
		joints(tw, r.JointQuality)
	}
	if c.Figures != nil {
		figures(tw, c.Figures)
	}
}

func certificate(w io.Writer, c *slice.Certificate) {
	verdict := "passed"
	if !c.OK {
		verdict = "FAILED"
	}
	fmt.Fprintf(w, "certificate\t%s\t%d checks, %d joints\n", verdict, len(c.Checks), len(c.Joints))
	for _, k := range c.Checks {
		ok := "ok"
		if !k.OK {
			ok = "FAILED"
		}
		text := k.Got
		if k.Got != k.Want {
			text = strings.TrimSpace(fmt.Sprintf("%s (want %s)", k.Got, k.Want))
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", k.Name, ok, strings.TrimSuffix(text+"; "+k.Detail, "; "))
	}
}

func joints(w io.Writer, q *slice.JointQuality) {
	if q.OK == nil || q.Worst == nil {
		fmt.Fprintf(w, "joints\tnot compared\t%s\n", q.Reason)
		return
	}
	verdict := "ok"
	if !*q.OK {
		verdict = "they show"
	}
	fmt.Fprintf(w, "joints\t%s\t%d of %d; SSIM %+.4f against beside them in the mean, %+.4f at %.2f s\n",
		verdict, q.Compared, q.Joints, q.Mean, q.Worst.Difference, q.Worst.Time)
}

func figures(w io.Writer, f *task.Figures) {
	fmt.Fprintf(w, "time\t%.2f s\tcpu %.2f s, transfer %.2f s\n", f.Wall, f.CPU, f.Transfer)
	if f.ProcessingRatio > 0 {
		fmt.Fprintf(w, "processing ÷ duration\t%.3f\tof %.2f s; computing %.3f, transfer %.3f\n", f.ProcessingRatio, f.InputSeconds, f.ComputingRatio, f.TransferRatio)
	}
	if f.CompressionRatio > 0 {
		fmt.Fprintf(w, "compression\t%.3f\tresult ÷ source bytes\n", f.CompressionRatio)
	}
	if f.WallRatio > 0 {
		fmt.Fprintf(w, "sliced ÷ whole\t%.3f\tof the time predicted, %.3f of the cost\n", f.WallRatio, f.CostRatio)
	}
	if f.BytesFetched+f.BytesStored > 0 {
		fmt.Fprintf(w, "bytes\t%s in\t%s out; %s fetched, %s stored\n", Bytes(f.BytesIn), Bytes(f.BytesOut), Bytes(f.BytesFetched), Bytes(f.BytesStored))
	}
	fmt.Fprintf(w, "work\t%d attempts\t%s\n", f.Attempts, slicesOf(f))
}

func slicesOf(f *task.Figures) string {
	all, n := fmt.Sprintf("%d slices", f.Slices), float64(f.Slices)
	if f.Reused > 0 {
		all += fmt.Sprintf(", %d of them reused", f.Reused)
	}
	if f.Concurrency > 0 {
		all += fmt.Sprintf(", %.1f at once on average, %.0f at most", f.Concurrency*n, f.PeakConcurrency*n)
	}
	return all
}

// JSON prints v for programs, one object, indented.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return errs.As(errs.Internal, "output", enc.Encode(v))
}

// Bytes is a size for a person.
func Bytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1024 && unit < 3 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %s", value, [...]string{"KiB", "MiB", "GiB", "TiB"}[unit])
}
