package s3

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
)

// Options say where a store is and how it is spoken to. Take Default or Parse
// and change what differs.
type Options struct {
	Endpoint  string // HOST or HOST:PORT
	TLS       bool
	Region    string
	PathStyle string // "true": HOST/BUCKET; "false": BUCKET.HOST; "": as the host is known to want it
	Prefix    string // put before the name of every bucket
	Create    bool   // buckets are made when they are first written to
	Lifecycle bool   // buckets may be given lifecycle rules, see SetRules
	Cold      string // storage class that objects move to

	Access string // key and secret; "" = looked for outside, see Parse
	Secret string
	IAM    bool // they come from the machine's role

	PartSize int64         // of an upload in parts, 5 MiB … 5 GiB; up to this size an object goes in one request
	MaxCopy  int64         // larger objects are copied in parts of this size, 5 MiB … 5 GiB
	Memory   int64         // what all uploads together may hold, at least PartSize
	Patience time.Duration // a store that is silent for longer counts as gone
}

// Default lacks an endpoint only. An upload may have 10,000 parts, so one of
// unknown length ends at 156 GiB; for a known length the parts grow.
func Default() Options {
	return Options{
		TLS: true, Region: "us-east-1", Create: true, Cold: "GLACIER_IR",
		PartSize: 16 << 20, MaxCopy: 1 << 30, Memory: 256 << 20, Patience: 60 * time.Second,
	}
}

const (
	leastPart = 5 << 20
	mostPart  = 5 << 30
	mostParts = 10_000
)

// Parse reads an address:
//
//	s3://[KEY:SECRET@]HOST[:PORT][?region=R&tls=true|false&path-style=true|false&prefix=P&create=true|false&iam=true|false&lifecycle=true|false&cold=CLASS]
//
// Key and secret are percent-encoded. Without them the environment is asked
// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), then the files of
// the AWS tools (~/.aws); with iam=true only the role of the machine or container.
// Errors are Invalid and hold no secret.
func Parse(address string) (Options, error) {
	const op = "s3 address"
	o := Default()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Opaque != "" { // url's errors repeat the address, secret and all
		return o, errs.New(errs.Invalid, op, "is not s3://[KEY:SECRET@]HOST[:PORT]?region=R; key and secret must be percent-encoded")
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return o, errs.New(errs.Invalid, op, "s3://%s: nothing may follow the host but ?options: buckets are named by mediafn, see prefix=", u.Host)
	}
	o.Endpoint = u.Host
	if u.User != nil {
		o.Access = u.User.Username()
		o.Secret, _ = u.User.Password()
		if o.Access == "" || o.Secret == "" {
			return o, errs.New(errs.Invalid, op, "s3://%s: before the @ there must be KEY:SECRET", u.Host)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, errs.New(errs.Invalid, op, "s3://%s: the part after ? cannot be read", u.Host)
	}
	for name, values := range query {
		var err error
		value := values[len(values)-1]
		switch name {
		case "region":
			o.Region = value
		case "prefix":
			o.Prefix = value
		case "path-style":
			o.PathStyle = value
		case "tls":
			o.TLS, err = strconv.ParseBool(value)
		case "create":
			o.Create, err = strconv.ParseBool(value)
		case "iam":
			o.IAM, err = strconv.ParseBool(value)
		case "lifecycle":
			o.Lifecycle, err = strconv.ParseBool(value)
		case "cold":
			o.Cold = value
		default:
			return o, errs.New(errs.Invalid, op, "s3://%s: %q is none of region, tls, path-style, prefix, create, iam, lifecycle, cold", u.Host, name)
		}
		if err != nil {
			return o, errs.New(errs.Invalid, op, "s3://%s: %s must be true or false", u.Host, name)
		}
	}
	if err := o.validate(); err != nil {
		return o, errs.New(errs.Invalid, op, "%s: %w", o, err)
	}
	return o, nil
}

// String is the address without key and secret.
func (o Options) String() string { return "s3://" + o.Endpoint }

// GoString keeps %#v from showing the secret.
func (o Options) GoString() string { return o.String() }

func (o Options) validate() error {
	host, port := o.Endpoint, ""
	if h, p, err := net.SplitHostPort(o.Endpoint); err == nil {
		host, port = h, p
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errs.InField("port", "must be 1 to 65535")
		}
	}
	if host == "" || strings.ContainsAny(host, "/?#@ ") {
		return errs.InField("host", "is missing or no host")
	}
	if o.Region == "" || strings.ContainsFunc(o.Region, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
		return errs.InField("region", "%q must be of a-z, 0-9 and -", o.Region)
	}
	if o.PathStyle != "" && o.PathStyle != "true" && o.PathStyle != "false" {
		return errs.InField("path-style", "must be true or false")
	}
	if o.Prefix != "" {
		if len(o.Prefix) > 40 {
			return errs.InField("prefix", "has %d characters, at most 40", len(o.Prefix))
		}
		if err := blob.CheckBucket("prefix", o.Prefix+"b"); err != nil {
			return err
		}
	}
	if o.Cold == "" || strings.ContainsFunc(o.Cold, func(r rune) bool { return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) {
		return errs.InField("cold", "%q is no storage class: of A-Z, 0-9, _ and -", o.Cold)
	}
	if o.Cold == "GLACIER" || o.Cold == "DEEP_ARCHIVE" {
		return errs.InField("cold", "%s is read only after it was restored, which takes hours; GLACIER_IR is read at once", o.Cold)
	}
	if o.IAM && o.Access != "" {
		return errs.InField("iam", "goes without KEY:SECRET@")
	}
	if o.PartSize < leastPart || o.PartSize > mostPart {
		return errs.InField("part_size", "must be 5 MiB to 5 GiB")
	}
	if o.MaxCopy < leastPart || o.MaxCopy > mostPart {
		return errs.InField("max_copy", "must be 5 MiB to 5 GiB")
	}
	if o.Memory < o.PartSize {
		return errs.InField("memory", "must hold at least one part of %d bytes", o.PartSize)
	}
	if o.Patience <= 0 {
		return errs.InField("patience", "must be more than nothing")
	}
	return nil
}

// credentials finds key and secret. Only a role is asked for over the network,
// and not before it is needed.
func (o Options) credentials() (*credentials.Credentials, error) {
	switch {
	case o.Access != "":
		return credentials.NewStaticV4(o.Access, o.Secret, ""), nil
	case o.IAM:
		return credentials.NewIAM(""), nil
	}
	for _, c := range []*credentials.Credentials{credentials.NewEnvAWS(), credentials.NewFileAWSCredentials("", "")} {
		if v, err := c.GetWithContext(nil); err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
			return c, nil
		}
	}
	return nil, errs.New(errs.Invalid, "s3 address",
		"%s: no key and secret: give them as s3://KEY:SECRET@HOST, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in ~/.aws/credentials, or say iam=true", o)
}
