package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/progress"
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
	Wait      int    `name:"wait" env:"-" placeholder:"SECONDS" help:"Wait so long for the end, without progress."`
	JSON      bool   `name:"json" env:"-" help:"Print the answer or the callback as JSON."`
	Priority  *int   `name:"priority" env:"-" help:"0-9, 9 most urgent. Default: 5."`
	MsgID     string `name:"msg-id" env:"-" help:"Idempotency key: the same one is the same task. Default: made up."`
	NotifyURL string `name:"notify-url" env:"-" help:"Where the callback is posted."`
}

// Help explains inputs and outputs.
func (*submitCmd) Help() string {
	return `Inputs are files, which are uploaded to the bucket "inputs" first, http(s) URLs, or objects the server has,
as BUCKET/KEY or CLOUD:BUCKET/KEY. Outputs are BUCKET/KEY or CLOUD:BUCKET/KEY; without any the results stay in the
bucket "results".`
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
	if err := s.inputs(ctx, c, body); err != nil {
		return err
	}
	wait := time.Duration(s.Wait) * time.Second
	if s.Watch {
		wait = 0
	}
	accepted, err := c.Submit(ctx, body, wait)
	if err != nil {
		return s.explain(ctx, c, err)
	}
	if s.Watch {
		shown := std.out
		if s.JSON {
			shown = std.err // standard output is for the callback
		}
		ended, err := progress.Follow(ctx, c, accepted.TaskID, progress.New(shown, false))
		if err != nil {
			fmt.Fprintf(std.err, "mediafn: the task goes on: mediafn task %s\n", accepted.TaskID)
			return err
		}
		accepted.Callback = show.CallbackOf(ended, body.Extra.UserData)
	}
	return s.print(accepted, std)
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

// inputs uploads what lies here. The names hold the message's id, so that the
// same submission again is the same request.
func (s *submitCmd) inputs(ctx context.Context, c *client.Client, body *api.Submit) error {
	for i, in := range s.Inputs {
		ref := media.Ref{URL: in}
		if !app.IsURL(in) {
			info, err := os.Stat(in)
			switch {
			case err == nil && info.Mode().IsRegular():
				ref = media.Ref{Bucket: "inputs", Key: folderOf(body.MsgID) + "/" + strconv.Itoa(i) + keyExt(in)}
				if err := upload(ctx, c, in, ref); err != nil {
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

func upload(ctx context.Context, c *client.Client, path string, ref media.Ref) error {
	f, err := os.Open(path)
	if err != nil {
		return errs.As(errs.Invalid, "", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return errs.As(errs.Invalid, "", err)
	}
	// NopCloser: the transport must not close what is closed here.
	_, err = c.PutObject(ctx, ref, io.NopCloser(f), info.Size(), mime.TypeByExtension(filepath.Ext(path)))
	return err
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
