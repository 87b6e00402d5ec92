package nats

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue/driver"
)

const (
	pullExpires = 5 * time.Second       // how long one pull waits at the server
	pullGrace   = 2 * time.Second       // until an unanswered pull counts as lost
	gap         = 50 * time.Millisecond // the longest pause inside one batch
)

// consumer speaks the pull protocol itself: one request, "everything there is
// up to n; if there is nothing, wait for the first" (no_wait together with
// expires), where the client library needs three and a timer a message.
// Messages are never fetched ahead, so none ages in a buffer.
type consumer struct {
	c          *Conn
	next, name string
	life       context.Context
	end        context.CancelFunc

	mu   sync.Mutex
	idle []*puller
}

// Consume implements driver.Conn.
func (c *Conn) Consume(ctx context.Context, stream string, d driver.Durable) (driver.Consumer, error) {
	memory := c.remembers(ctx, stream, d.Name)
	err := persist(ctx, func(ctx context.Context) error {
		_, err := c.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
			Durable: d.Name, FilterSubject: d.Filter, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: d.AckWait, MaxAckPending: d.MaxUnacked, MaxDeliver: -1, DeliverPolicy: jetstream.DeliverAllPolicy,
			MemoryStorage: memory,
		})
		return classify("nats.consume", err)
	})
	if err != nil {
		return nil, err
	}
	k := &consumer{c: c, next: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + d.Name, name: d.Name}
	k.life, k.end = context.WithCancel(context.Background())
	return k, nil
}

// remembers reports whether a durable may live in memory. Where what is acked
// leaves the stream, an embedded server that starts again knows from the stream
// alone what to deliver, and need not write a file a durable several times a
// second. A durable of a file, of a version before this one, stays there.
func (c *Conn) remembers(ctx context.Context, stream, durable string) bool {
	if c.server == nil {
		return false // of several servers one goes on with what another knew
	}
	s, err := c.js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Config.Retention != jetstream.WorkQueuePolicy {
		return false
	}
	if had, err := s.Consumer(ctx, durable); err == nil {
		return had.CachedInfo().Config.MemoryStorage
	}
	return true
}

func (k *consumer) Close() error {
	k.end()
	k.mu.Lock()
	idle := k.idle
	k.idle = nil
	k.mu.Unlock()
	for _, p := range idle {
		p.drop()
	}
	return nil
}

// Fetch implements driver.Consumer. Each running Fetch has an inbox of its own.
func (k *consumer) Fetch(ctx context.Context, max int) ([]driver.Delivery, error) {
	const op = "nats.fetch"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.life, cancel)()
	p, err := k.take()
	if err != nil {
		return nil, classify(op, err)
	}
	oneShot := true
	for {
		got, end, err := p.pull(ctx, max, oneShot)
		if len(got) > 0 || err != nil {
			if end {
				k.put(p)
			} else { // the server may still send to this inbox
				p.drop()
			}
			if len(got) > 0 {
				return got, nil
			}
			return nil, classify(op, err)
		}
		// "Requests Pending": others asked for more than there is. Line up
		// behind them for one message instead of asking again and again.
		oneShot = end
	}
}

func (k *consumer) take() (*puller, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.life.Err(); err != nil {
		return nil, err
	}
	if n := len(k.idle); n > 0 {
		p := k.idle[n-1]
		k.idle = k.idle[:n-1]
		return p, nil
	}
	p := &puller{k: k, inbox: k.c.nc.NewRespInbox()}
	var err error
	if p.sub, err = k.c.nc.SubscribeSync(p.inbox + ".*"); err != nil {
		return nil, err
	}
	return p, p.sub.SetPendingLimits(-1, -1) // bounded by the size of a pull
}

func (k *consumer) put(p *puller) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.life.Err() != nil {
		p.drop()
		return
	}
	k.idle = append(k.idle, p)
}

type puller struct {
	k     *consumer
	inbox string
	sub   *nats.Subscription
	n     uint64
}

func (p *puller) drop() { _ = p.sub.Unsubscribe() } // fails only on a closed connection

// pull makes one request. end says whether the server is done with it; without
// messages and error it asks the caller to go on, and end is then whether the
// next pull may be a one-shot again.
func (p *puller) pull(ctx context.Context, max int, oneShot bool) (got []driver.Delivery, end bool, err error) {
	p.n++
	reply := p.inbox + "." + strconv.FormatUint(p.n, 36)
	if !oneShot {
		max = 1
	}
	body, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
		NoWait  bool          `json:"no_wait,omitempty"`
	}{max, pullExpires, oneShot})
	if err != nil {
		return nil, true, err
	}
	if err := p.k.c.nc.PublishRequest(p.k.next, reply, body); err != nil {
		return nil, true, err
	}
	for len(got) < max {
		wait := pullExpires + pullGrace
		if len(got) > 0 {
			wait = gap
		}
		m, err := p.receive(ctx, wait)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				err = errs.New(errs.Transient, "nats.pull", "the server did not answer")
			}
			return got, false, err
		}
		status := m.Header.Get("Status")
		if len(m.Data) > 0 || status == "" {
			d, err := p.delivery(m)
			if err != nil {
				return got, false, err
			}
			got = append(got, d)
			continue
		}
		if m.Subject != reply || status == "100" {
			continue // of an earlier pull, or a heartbeat
		}
		text := m.Header.Get("Description")
		switch {
		case status == "408" && strings.Contains(text, "Requests Pending"):
			return got, false, nil
		case status == "404" || status == "408":
			return got, true, nil
		case status == "409" && strings.Contains(text, "Deleted"):
			return got, true, errs.New(errs.NotFound, "nats.pull", "durable %s: %s", p.k.name, text)
		case status == "409" && strings.Contains(text, "MaxWaiting"):
			return got, true, errs.New(errs.Busy, "nats.pull", "durable %s: %s", p.k.name, text)
		default: // 503, 409 for a change of leader, a server that shuts down
			return got, true, errs.New(errs.Transient, "nats.pull", "durable %s: %s %s", p.k.name, status, text)
		}
	}
	return got, true, nil
}

func (p *puller) receive(ctx context.Context, wait time.Duration) (*nats.Msg, error) {
	if pending, _, err := p.sub.Pending(); err == nil && pending > 0 {
		return p.sub.NextMsg(wait) // without a context per message
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return p.sub.NextMsgWithContext(ctx)
}

func (p *puller) delivery(m *nats.Msg) (driver.Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return driver.Delivery{}, errs.As(errs.Internal, "nats.delivery", err)
	}
	var once sync.Once
	reply, nc := m.Reply, p.k.c.nc
	return driver.Delivery{
		Subject: m.Subject, Data: m.Data, Seq: meta.Sequence.Stream, Attempt: int(meta.NumDelivered),
		Settle: func(a driver.Answer, delay time.Duration) (err error) {
			if a == driver.Extend {
				return classify("nats.extend", nc.Publish(reply, []byte("+WPI")))
			}
			body := "+ACK"
			if a == driver.Nak {
				body = `-NAK {"delay":` + strconv.FormatInt(int64(delay), 10) + `}`
			}
			once.Do(func() { err = classify("nats.settle", nc.Publish(reply, []byte(body))) })
			return err
		},
	}, nil
}
