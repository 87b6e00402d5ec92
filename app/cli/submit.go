package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/app/cli/sending"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
)

// serverFlags say which server a command talks to, and as whom.
type serverFlags struct {
	Server string `name:"server" default:"http://127.0.0.1:8080" help:"Server to talk to."`
	Key    string `name:"key" help:"API key, where the server asks for one."`
}

func (s *serverFlags) client() (*client.Client, error) { return client.New(s.Server, s.Key, nil) }

type submitCmd struct {
	requestFlags
	serverFlags
	Watch     bool   `name:"watch" short:"w" env:"-" help:"Show progress until the task has ended, then the result."`
	Wait      int    `name:"wait" env:"-" placeholder:"SECONDS" help:"Wait so long for the end, once files are sent, without progress."`
	JSON      bool   `name:"json" env:"-" help:"Print the answer or the callback as JSON."`
	Priority  *int   `name:"priority" env:"-" help:"0-9, 9 most urgent. Default: 5."`
	MsgID     string `name:"msg-id" env:"-" help:"Idempotency key: the same one is the same task. Default: made up."`
	NotifyURL string `name:"notify-url" env:"-" help:"Where the callback is posted."`
}

// Help explains inputs and outputs.
func (*submitCmd) Help() string {
	return `Inputs are files, http(s) URLs, uploads, as upload:ID, or objects the server has, as BUCKET/KEY or CLOUD:BUCKET/KEY.
Files are uploaded to the bucket "inputs" once the task is accepted, which may begin on what is there; the command
goes on after breaks, and ends when they are sent. Outputs are BUCKET/KEY or CLOUD:BUCKET/KEY; without any the results
stay in the bucket "results".`
}

// Run submits one request.
func (s *submitCmd) Run(ctx context.Context, std *std) error {
	if s.Wait < 0 {
		return errs.InField("wait", "must be a number of seconds")
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	body, err := s.request()
	if err != nil {
		return err
	}
	files := sending.Files{Client: c}
	defer files.Close()
	if err := s.inputs(ctx, &files, body); err != nil {
		files.Undo(ctx, err)
		return err
	}
	wait := time.Duration(s.Wait) * time.Second
	if s.Watch || !files.Empty() {
		wait = 0
	}
	accepted, err := c.Submit(ctx, body, wait)
	if err != nil {
		files.Undo(ctx, err)
		return s.explain(ctx, c, err)
	}
	switch {
	case s.Watch:
		ended, err := s.watch(ctx, &files, accepted.TaskID, std)
		if err != nil {
			return err
		}
		accepted.Callback = show.CallbackOf(ended, body.Extra.UserData)
	case s.Wait > 0 && !files.Empty(): // the same message again is the same task
		if err := files.Send(ctx, sending.Quietly(std.err), std.err); err != nil {
			return err
		}
		if accepted, err = c.Submit(ctx, body, time.Duration(s.Wait)*time.Second); err != nil {
			return err
		}
	default:
		if err := s.print(accepted, std); err != nil {
			return err
		}
		return files.Send(ctx, sending.Quietly(std.err), std.err)
	}
	return s.print(accepted, std)
}

// watch shows a task until it has ended, and meanwhile sends what it waits for.
// A task that fails before needs no more of it.
func (s *submitCmd) watch(ctx context.Context, files *sending.Files, id string, std *std) (*api.Task, error) {
	shown := std.out
	if s.JSON {
		shown = std.err // standard output is for the callback
	}
	view := progress.Shared(progress.New(shown, false))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	group.Go(func() {
		if err := files.Send(ctx, view, std.err); err != nil {
			cancel(err)
		}
	})
	ended, err := progress.Follow(ctx, files.Client, id, view)
	if err != nil || ended.State != task.Succeeded { // else all is there, and the sender about to hear so
		cancel(nil)
	}
	group.Wait()
	if err != nil {
		fmt.Fprintf(std.err, "mediafn: the task goes on: mediafn task %s\n", id)
	}
	return ended, err
}

func (s *submitCmd) print(a *client.Accepted, std *std) error {
	c := a.Callback
	switch {
	case c == nil && s.JSON:
		return show.JSON(std.out, a.Response)
	case c == nil:
		fmt.Fprintln(std.out, a.TaskID)
		return nil
	case s.JSON:
		if err := show.JSON(std.out, c); err != nil {
			return err
		}
	case c.Success:
		if found := show.Facts(c.Result); len(c.Outputs) == 0 && found != nil {
			if err := show.JSON(std.out, found); err != nil {
				return err
			}
		}
		fmt.Fprintf(std.out, "task %s\n", c.TaskID)
		show.Result(std.out, c, nil)
	}
	return show.Outcome(c)
}

// request is everything but the inputs. A function this build does not know
// may still be known to the server.
func (s *submitCmd) request() (*api.Submit, error) {
	functions, book, err := app.Offer()
	if err != nil {
		return nil, err
	}
	o := offer{functions, book}
	spec, known, err := o.spec(s.Cmd)
	if err != nil && known {
		return nil, err
	}
	body := &api.Submit{Cmd: s.Cmd, MsgID: s.MsgID, NotifyURL: s.NotifyURL, Priority: s.Priority}
	if body.MsgID == "" {
		body.MsgID = task.NewID()
	}
	if body.Params, err = params(spec, s.Params); err != nil {
		return nil, err
	}
	if body.Extra, err = extra(s.Extra, time.Now()); err != nil {
		return nil, err
	}
	for i, out := range s.Outputs {
		ref, err := objectRef(fmt.Sprintf("output_files.%d", i), out)
		if err != nil {
			return nil, err
		}
		body.Outputs = append(body.Outputs, ref)
	}
	return body, nil
}

// inputs begins to upload what lies here. The same message again names the same
// uploads, so that it is the same request, and goes on with them.
func (s *submitCmd) inputs(ctx context.Context, files *sending.Files, body *api.Submit) error {
	had, err := s.earlier(ctx, files.Client)
	if err != nil {
		return err
	}
	for i, in := range s.Inputs {
		ref := media.Ref{URL: in}
		if id, ok := strings.CutPrefix(in, "upload:"); ok {
			if id == "" {
				return errs.InField("input", "%d: upload: needs the id of an upload behind it", i+1)
			}
			ref = media.Ref{Upload: id}
		} else if !app.IsURL(in) {
			info, err := os.Stat(in)
			switch {
			case err == nil && info.Mode().IsRegular():
				place := media.Ref{Bucket: sending.Bucket, Key: folderOf(body.MsgID) + "/" + strconv.Itoa(i) + keyExt(in)}
				if i < len(had) {
					ref.Upload = had[i].Upload
				}
				if ref, err = files.Begin(ctx, in, place, ref.Upload); err != nil {
					return named(err, i)
				}
			case err == nil:
				return named(errs.New(errs.Invalid, "", "%s is no plain file", in), i)
			case strings.HasPrefix(in, "/"), strings.HasPrefix(in, "."), !strings.Contains(in, "/"):
				return named(errs.New(errs.NotFound, "", "there is no file %s", in), i)
			default:
				if ref, err = objectRef(fmt.Sprintf("input_files.%d", i), in); err != nil {
					return err
				}
			}
		}
		body.Inputs = append(body.Inputs, ref)
	}
	return nil
}

// earlier looks for the inputs of a task of the same message.
func (s *submitCmd) earlier(ctx context.Context, c *client.Client) ([]media.Ref, error) {
	if s.MsgID == "" || len(s.Inputs) == 0 {
		return nil, nil
	}
	page, err := c.Tasks(ctx, client.Filter{MsgID: s.MsgID, Limit: 1})
	if err != nil || len(page.Tasks) == 0 {
		return nil, err
	}
	return page.Tasks[0].Inputs, nil
}

// folderOf makes a message id a segment of a key.
func folderOf(msgID string) string {
	if len(msgID) <= 128 && !strings.Contains(msgID, "/") && blob.CheckKey("msg_id", msgID) == nil {
		return msgID
	}
	sum := sha256.Sum256([]byte(msgID))
	return hex.EncodeToString(sum[:16])
}

// keyExt keeps the extension for people; nothing trusts it.
func keyExt(path string) string {
	ext := filepath.Ext(path)
	if len(ext) > 16 || blob.CheckKey("key", "x"+ext) != nil {
		return ""
	}
	return ext
}

// objectRef reads BUCKET/KEY or CLOUD:BUCKET/KEY.
func objectRef(field, text string) (media.Ref, error) {
	var ref media.Ref
	bucket, key, ok := strings.Cut(text, "/")
	if cloud, rest, named := strings.Cut(bucket, ":"); named {
		ref.Cloud, bucket = cloud, rest
	}
	if !ok || bucket == "" || key == "" || app.IsURL(text) {
		return ref, errs.InField(field, "%q is neither BUCKET/KEY nor CLOUD:BUCKET/KEY", text)
	}
	ref.Bucket, ref.Key = bucket, key
	return ref, errors.Join(blob.CheckBucket(field+".bucket", bucket), blob.CheckKey(field+".key", key))
}

// explain adds near names to what the server says of an unknown cmd.
func (s *submitCmd) explain(ctx context.Context, c *client.Client, err error) error {
	if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "cmd" {
		return err
	}
	var names []string
	functions, ferr := c.Functions(ctx)
	flows, werr := c.Flows(ctx)
	if ferr != nil || werr != nil {
		return err // what the server said first counts
	}
	for _, f := range functions {
		names = append(names, f.Name)
	}
	for _, f := range flows {
		names = append(names, f.Name)
	}
	if guesses := fn.Near(s.Cmd, names); len(guesses) > 0 {
		return unknown("cmd", "function or flow", s.Cmd, names)
	}
	return err
}

// ordinal names an input as people count.
func ordinal(i int) string { return strconv.Itoa(i + 1) }
