package results

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/state"
)

// claimSlack is how much longer than the receiver may take a post is claimed.
const claimSlack = 10 * time.Second

// deliver tries a webhook once and settles its post: done, again later, or
// given up. Every try is logged.
func (r *Results) deliver(ctx context.Context, p state.Post, told bool) {
	t, err := r.parts.Store.Task(ctx, p.TaskID)
	if errs.Is(err, errs.NotFound) {
		// Its task was deleted: nobody is left to tell about.
		if err := r.parts.Store.Settle(ctx, p, time.Time{}, nil); err != nil {
			r.parts.Log.Warn("webhook not settled", "task", p.TaskID, "err", err)
		}
		return
	}
	if err != nil {
		r.parts.Log.Warn("webhook's task not read", "task", p.TaskID, "err", err)
		return
	}
	began := r.parts.Now()
	header, err := r.header(t.Tenant, p, began)
	if err != nil {
		r.parts.Log.Error("webhook not signed", "task", p.TaskID, "tenant", t.Tenant, "err", err)
		return
	}
	if mine, err := r.parts.Store.Claim(ctx, p, began.Add(r.cfg.Timeout+claimSlack)); err != nil || !mine {
		if err != nil && ctx.Err() == nil {
			r.parts.Log.Warn("webhook not claimed", "task", p.TaskID, "err", err)
		}
		return // another process has it
	}
	if late := began.Sub(p.CreatedAt); p.Attempt == 0 && !told && late > r.cfg.Poll/4 {
		r.note(ctx, p, fmt.Sprintf("its webhook lay in the outbox for %s and nothing was heard of it; it was found there", late.Round(time.Millisecond)))
	}
	status, answer, err := r.send(ctx, &t, p, header)
	last := context.WithoutCancel(ctx) // what was sent is recorded, shutdown or not
	if err != nil && ctx.Err() != nil {
		// Shutting down: it stays in the outbox, as if it had not been tried.
		p.Attempt--
		if err := r.parts.Store.Settle(last, p, began, nil); err != nil {
			r.parts.Log.Warn("webhook not given back", "task", p.TaskID, "err", err)
		}
		return
	}
	log := &state.Delivery{
		TaskID: p.TaskID, WebhookID: p.ID, URL: p.Target, Attempt: p.Attempt + 1, Status: status, At: began,
		Took: r.parts.Now().Sub(began),
	}
	if err != nil {
		log.Error = err.Error()
	}
	if err == nil && status/100 == 2 {
		r.parts.Reached("webhook sent")
	}
	again := r.again(p, status, answer, err)
	r.parts.Metrics.tried(err == nil && status/100 == 2, !again.IsZero())
	if err := r.parts.Store.Settle(last, p, again, log); err != nil {
		r.parts.Log.Warn("webhook not settled; it may be sent twice", "task", p.TaskID, "err", err)
	}
}

// note adds to the history of a post's task.
func (r *Results) note(ctx context.Context, p state.Post, detail string) {
	err := r.parts.Store.Apply(ctx, []state.Change{{History: []state.Note{
		{TaskID: p.TaskID, Kind: "found", Detail: detail, At: r.parts.Now()},
	}}})[0]
	if err != nil && ctx.Err() == nil {
		r.parts.Log.Warn("history not written", "task", p.TaskID, "err", err)
	}
}

// send posts a webhook, beneath the trace of its task; the sender passes the
// trace on.
func (r *Results) send(ctx context.Context, t *task.Task, p state.Post, header http.Header) (status int, answer http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	ctx, s := r.parts.Tracer.Begin(ctx, "webhook", span.Options{Traceparent: t.Traceparent, Kind: trace.SpanKindClient},
		attribute.String("task", p.TaskID), attribute.String("webhook", p.ID), attribute.Int("try", p.Attempt+1))
	began, done := time.Now(), r.parts.Metrics.begun()
	status, answer, err = r.parts.Sender.Post(ctx, p.Target, header, []byte(p.Body))
	done(time.Since(began))
	s.Set(attribute.Int("http.response.status_code", status))
	s.End(err)
	return status, answer, err
}

// header identifies and signs the body. The id stays the same over all tries;
// the timestamp is the try's.
func (r *Results) header(tenant string, p state.Post, now time.Time) (http.Header, error) {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "mediafn")
	h.Set(standardwebhooks.HeaderWebhookID, p.ID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	secret := r.cfg.Secret(tenant)
	if secret == "" {
		return h, nil
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, errs.As(errs.Internal, "results.sign", err)
	}
	signature, err := hook.Sign(p.ID, now, []byte(p.Body))
	if err != nil {
		return nil, errs.As(errs.Internal, "results.sign", err)
	}
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return h, nil
}

// again decides when a webhook is tried next; zero = never. Only 2xx counts as
// delivered. 410 says nobody wants it any more, a refused or malformed address
// will not get better.
func (r *Results) again(p state.Post, status int, answer http.Header, err error) time.Time {
	if err == nil && (status/100 == 2 || status == http.StatusGone) {
		return time.Time{}
	}
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.Invalid) || p.Attempt >= len(r.cfg.Schedule) {
		r.parts.Log.Warn("webhook given up", "task", p.TaskID, "url", p.Target, "tries", p.Attempt+1, "status", status, "err", err)
		return time.Time{}
	}
	// Up to a tenth more, spread by the id, so that many failures of one moment
	// do not come back in one moment.
	wait := r.cfg.Schedule[p.Attempt]
	wait += time.Duration(int64(wait) / 10 * int64(p.ID[len(p.ID)-1]%16) / 16)
	if seconds, e := strconv.Atoi(answer.Get("Retry-After")); e == nil && seconds > 0 {
		wait = max(wait, min(time.Duration(seconds)*time.Second, 24*time.Hour))
	}
	return r.parts.Now().Add(wait)
}
