package nats

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/core/errs"
)

// Error codes of the server that the client library does not name
// (nats-server/server/errors.json).
const (
	codeResources      = 10002
	codeNoPeers        = 10005 // with an HTTP code of 400: too few servers for the copies, at the moment
	codeInsufficient   = 10023
	codeMaxStreams     = 10027
	codeNoStorage      = 10047
	codeNotTheStream   = 10060
	codeStoreFailed    = 10077 // with the limits' text: the stream is full and rejects
	codeWQUnfiltered   = 10099
	codeWQNotUnique    = 10100
	codeFilterNoSubset = 10093
	codeNoCluster      = 10074 // with an HTTP code of 500: copies asked of one server alone
	codeBeingStored    = 10158 // the same DedupID, not yet on enough servers
	codeConfigRefused  = 10052 // with an HTTP code of 500
)

// classify turns an error of the client or the server into one of core/errs.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	return errs.As(kindOf(err), op, err)
}

func kindOf(err error) errs.Kind {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return kindOfAPI(api)
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubscription):
		return errs.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return errs.Timeout
	case errors.Is(err, nats.ErrMaxPayload):
		return errs.TooLarge
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrInvalidMsg):
		return errs.Invalid
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrAuthExpired):
		return errs.Denied
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, jetstream.ErrTooManyStalledMsgs):
		return errs.Busy
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return errs.NotFound
	}
	// What is left comes from the network: no servers, disconnected, stale, a
	// leader that is being elected.
	return errs.Transient
}

func kindOfAPI(e *jetstream.APIError) errs.Kind {
	switch e.ErrorCode {
	case jetstream.JSErrCodeStreamNotFound, jetstream.JSErrCodeConsumerNotFound, jetstream.JSErrCodeConsumerDoesNotExist:
		return errs.NotFound
	case codeResources, codeInsufficient, codeMaxStreams, codeNoStorage, codeStoreFailed, jetstream.JSErrCodeMaximumConsumersLimit:
		return errs.Busy
	case codeNoPeers, codeBeingStored:
		return errs.Transient
	case codeNotTheStream, codeFilterNoSubset, codeNoCluster:
		return errs.Invalid
	case codeWQUnfiltered, codeWQNotUnique:
		return errs.Conflict
	case jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return errs.TooLarge
	}
	switch {
	case e.Code == 429:
		return errs.Busy
	case e.Code == 404:
		return errs.NotFound
	case e.Code == 408:
		return errs.Timeout
	case e.Code >= 500:
		return errs.Transient
	}
	return errs.Invalid
}
