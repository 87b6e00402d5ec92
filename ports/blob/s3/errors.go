package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/mediafn/mediafn/core/errs"
)

// existsAsFolder is what a store over folders says of a key "a" beside "a/b", and
// also if a folder it was about to use has just been removed with its last object.
// So it is tried again, and only then a Conflict.
const existsAsFolder = "ExistingObjectIsDirectory"

// kinds are the answers whose status alone does not tell what they mean.
var kinds = map[string]errs.Kind{
	"NoSuchKey": errs.NotFound, "NoSuchBucket": errs.NotFound, "NoSuchUpload": errs.NotFound,
	"InvalidAccessKeyId": errs.Denied, "SignatureDoesNotMatch": errs.Denied, "ExpiredToken": errs.Denied,
	"InvalidToken": errs.Denied, "RequestTimeTooSkewed": errs.Denied, "AuthorizationHeaderMalformed": errs.Denied,
	"XAdminUserNotFound": errs.Denied, "InvalidRegion": errs.Denied, "PermanentRedirect": errs.Denied,
	"SlowDown": errs.Busy, "SlowDownRead": errs.Busy, "SlowDownWrite": errs.Busy, "RequestLimitExceeded": errs.Busy,
	"Throttling": errs.Busy, "ThrottlingException": errs.Busy, "TooManyRequests": errs.Busy, "InsufficientCapacity": errs.Busy,
	existsAsFolder: errs.Busy, "XMinioStorageFull": errs.Busy, "QuotaExceeded": errs.Busy,
	"RequestTimeout": errs.Transient, "OperationAborted": errs.Transient, "ConditionalRequestConflict": errs.Conflict,
	"IncompleteBody": errs.Transient, "BadDigest": errs.Transient, "XAmzContentSHA256Mismatch": errs.Transient,
	"EntityTooLarge": errs.TooLarge, "KeyTooLongError": errs.Invalid, "InvalidRange": errs.Invalid,
}

// noReason is what package minio makes of a 400 without a body, the answer to a
// HEAD that names the wrong region or an expired token.
const noReason = "400 Bad Request"

// kindOf classifies what the store answered: by code, then by status. A request
// it calls wrong is one we should not have sent, so Internal.
func kindOf(r minio.ErrorResponse) errs.Kind {
	if k, ok := kinds[r.Code]; ok {
		return k
	}
	if r.StatusCode == http.StatusBadRequest && r.Code == noReason {
		return errs.Denied
	}
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return errs.Denied
	case http.StatusNotFound:
		return errs.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return errs.Conflict
	case http.StatusRequestTimeout:
		return errs.Transient
	case http.StatusRequestEntityTooLarge:
		return errs.TooLarge
	case http.StatusRequestedRangeNotSatisfiable:
		return errs.Invalid
	case http.StatusTooManyRequests, http.StatusInsufficientStorage:
		return errs.Busy
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return errs.Unsupported
	}
	if r.StatusCode >= 500 || r.StatusCode == 0 {
		return errs.Transient
	}
	return errs.Internal
}

// failed gives err its kind. ctx is the caller's: whoever it ended has asked for
// that; any other end of a request is the store's doing.
func failed(ctx context.Context, op string, err error) error {
	var own *errs.Error
	var answer minio.ErrorResponse
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errs.Wrap(op, ctx.Err())
	case errors.As(err, &own):
		return errs.Wrap(op, err)
	case errors.As(err, &answer):
		text := answer.Error()
		if answer.Code == noReason {
			text = "the store gives no reason; the region may be wrong, or the token expired"
		}
		if answer.Code != "" && !strings.Contains(text, answer.Code) {
			text = answer.Code + ": " + text
		}
		return &errs.Error{Kind: kindOf(answer), Op: op, Msg: text, Err: quiet{err}}
	case errors.As(err, &certificate):
		return errs.As(errs.Denied, op, err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return errs.New(errs.Invalid, op, "the store does not speak TLS: say tls=false (%w)", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errs.New(errs.Transient, op, "the store stopped answering")
	}
	return errs.As(errs.Transient, op, err)
}

// quiet keeps the answer findable without printing it twice.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

// code is what the store answered, "" if it did not.
func code(err error) string {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}
