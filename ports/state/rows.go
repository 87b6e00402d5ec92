package state

import (
	"database/sql"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
)

// Times are stored as Unix milliseconds, 0 = none.

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// due is ms for a deadline: none sorts behind all.
func due(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	return t.UnixMilli()
}

// text renders a value as JSON for a nullable column. Empty values are NULL.
func text(v any) sql.NullString {
	raw, err := json.Marshal(v)
	if err != nil || string(raw) == "null" || string(raw) == "[]" || string(raw) == "{}" {
		return sql.NullString{}
	}
	return sql.NullString{String: string(raw), Valid: true}
}

func raw(s sql.NullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}

// usage is text, but all zero is NULL too.
func usage(u fn.Usage) sql.NullString {
	if u == (fn.Usage{}) {
		return sql.NullString{}
	}
	return text(u)
}

// decode fills v from a nullable JSON column; NULL leaves it as it is. The
// rows were written by this package, so an error is a damaged database and is
// kept for the caller.
func decode(s sql.NullString, v any, err *error) {
	if s.Valid && *err == nil {
		*err = json.Unmarshal([]byte(s.String), v)
	}
}

const taskColumns = `id, tenant, generation, request, flow, flow_ver, state, ending, status, call_slots,
 ret_slots, outputs, report, error, usage, reply_to, version, created_at, started_at, ended_at, traceparent,
 priority`

func scanTask(rows *sql.Rows) (t task.Task, err error) {
	var request, call, ret string
	var outputs, report, fault, used sql.NullString
	var created, started, ended int64
	var priority int
	if err := rows.Scan(&t.ID, &t.Tenant, &t.Generation, &request, &t.Flow, &t.FlowVer, &t.State, &t.Ending,
		&t.Status, &call, &ret, &outputs, &report, &fault, &used, &t.ReplyTo, &t.Version, &created, &started, &ended,
		&t.Traceparent, &priority); err != nil {
		return t, err
	}
	if t.Call, err = task.ParseSlots(call); err != nil {
		return t, err
	}
	if t.Ret, err = task.ParseSlots(ret); err != nil {
		return t, err
	}
	decode(sql.NullString{String: request, Valid: true}, &t.Request, &err)
	t.Request.Priority = priority // it may be another than was asked for
	decode(outputs, &t.Outputs, &err)
	decode(fault, &t.Error, &err)
	decode(used, &t.Usage, &err)
	t.Report = raw(report)
	t.CreatedAt, t.StartedAt, t.EndedAt = at(created), at(started), at(ended)
	return t, err
}

const workColumns = `id, task_id, component, ord, tenant, priority, pool, fn, fn_version, state, attempt, failures,
 losses, lost_by, trace, worker, price, job, outputs, facts, usage, error, fail_limit, timeout, created_at, not_before,
 started_at, lease_till, deadline, ended_at, kind, size, class, declared, due, avoid`

func scanWork(rows *sql.Rows) (w task.Work, err error) {
	var lostBy, price string
	var jobText, outputs, facts, used, fault sql.NullString
	var timeout, created, notBefore, started, lease, deadline, ended, dueAt int64
	if err := rows.Scan(&w.ID, &w.TaskID, &w.Component, &w.Order, &w.Tenant, &w.Priority, &w.Pool, &w.Fn, &w.FnVersion,
		&w.State, &w.Attempt, &w.Failures, &w.Losses, &lostBy, &w.Trace, &w.Worker, &price, &jobText, &outputs, &facts,
		&used, &fault, &w.Limit, &timeout, &created, &notBefore, &started, &lease, &deadline, &ended,
		&w.Kind, &w.Size, &w.Class, &w.Declared, &dueAt, &w.Avoid); err != nil {
		return w, err
	}
	if lostBy != "" {
		decode(sql.NullString{String: lostBy, Valid: true}, &w.LostBy, &err)
	}
	decode(sql.NullString{String: price, Valid: true}, &w.Price, &err)
	decode(outputs, &w.Outputs, &err)
	decode(used, &w.Usage, &err)
	decode(fault, &w.Error, &err)
	w.Job, w.Facts = raw(jobText), raw(facts)
	w.Timeout = time.Duration(timeout) * time.Millisecond
	w.CreatedAt, w.NotBefore, w.StartedAt = at(created), at(notBefore), at(started)
	w.LeaseTill, w.Deadline, w.EndedAt = at(lease), at(deadline), at(ended)
	if dueAt != math.MaxInt64 {
		w.Due = at(dueAt)
	}
	return w, err
}

// workArgs are the values of workColumns, in order.
func workArgs(w *task.Work) []any {
	lostBy, price := "", text(w.Price).String
	if len(w.LostBy) > 0 {
		lostBy = text(w.LostBy).String
	}
	if price == "" {
		price = "{}"
	}
	return []any{w.ID, w.TaskID, w.Component, w.Order, w.Tenant, w.Priority, string(w.Pool), w.Fn, w.FnVersion, string(w.State),
		w.Attempt, w.Failures, w.Losses, lostBy, w.Trace, w.Worker, price, nullable(w.Job), text(w.Outputs), nullable(w.Facts),
		usage(w.Usage), text(w.Error), w.Limit, w.Timeout.Milliseconds(), ms(w.CreatedAt), ms(w.NotBefore), ms(w.StartedAt),
		ms(w.LeaseTill), ms(w.Deadline), ms(w.EndedAt), string(w.Kind), w.Size, w.Class, w.Declared, due(w.Due), w.Avoid}
}

func nullable(raw json.RawMessage) sql.NullString {
	return sql.NullString{String: plain(string(raw)), Valid: len(raw) > 0}
}

// plain is text every database can store, of text that came from anywhere: a
// tool's last words must not keep its failure from being written.
func plain(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

func scanMoment(rows *sql.Rows) (time.Time, error) {
	var ms int64
	err := rows.Scan(&ms)
	return time.UnixMilli(ms), err
}

// collect scans all rows and closes them.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
