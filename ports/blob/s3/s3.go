// Package s3 keeps objects in any service that speaks the S3 protocol.
//
// An object up to Options.PartSize goes in one request; a larger one, or one of
// unknown length, in parts, which the store puts together at the end or forgets.
// Every request is signed over the SHA-256 of its body, so that the store refuses
// what changed on its way. The sum of a whole object is kept as its metadata
// "sha256" where it is known before the last byte is sent: for objects in one
// request, and for those whose sum the caller gave.
//
// Where S3 is weaker than the contract of package driver: if the answer to a Put
// is lost, Put fails and the object is there all the same; an empty Mime comes
// back as the service's default; times have whole seconds.
package s3

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"golang.org/x/sync/semaphore"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Store implements driver.Store and driver.Copier.
type Store struct {
	o      Options
	core   minio.Core
	http   *http.Transport
	memory *semaphore.Weighted // bytes of uploads
	known  sync.Map            // buckets that exist: name → struct{}
	making sync.Mutex          // held while one is looked for and made
}

// Open gives the store o describes. It is not spoken to yet: it may come up after
// mediafn does.
func Open(o Options, cfg blob.Config) (*blob.Store, error) {
	d, err := New(o)
	if err != nil {
		return nil, err
	}
	return blob.New(d, cfg)
}

// New returns the driver of Open.
func New(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, errs.Wrap("s3.new", err)
	}
	creds, err := o.credentials()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: min(10*time.Second, o.Patience)}).DialContext,
		TLSHandshakeTimeout: min(10*time.Second, o.Patience),
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // objects are given as they are
	}
	lookup := map[string]minio.BucketLookupType{"": minio.BucketLookupAuto, "true": minio.BucketLookupPath, "false": minio.BucketLookupDNS}
	core, err := minio.NewCore(o.Endpoint, &minio.Options{
		Creds: creds, Secure: o.TLS, Region: o.Region, BucketLookup: lookup[o.PathStyle], Transport: transport,
		MaxRetries: 1, // package blob repeats, and knows what may be repeated
	})
	if err != nil {
		return nil, errs.As(errs.Invalid, "s3.new", err)
	}
	return &Store{o: o, core: *core, http: transport, memory: semaphore.NewWeighted(o.Memory)}, nil
}

// Close implements driver.Store.
func (s *Store) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// name is a bucket's name in the store, after it and the key have been checked
// against what only S3 forbids.
func (s *Store) name(bucket, key string) (string, error) {
	full := s.o.Prefix + bucket
	if err := s3utils.CheckValidBucketNameStrict(full); err != nil {
		return "", errs.InField("bucket", "%q is no bucket S3 can have: %v", full, err)
	}
	if err := s3utils.CheckValidObjectName(key); err != nil {
		return "", errs.InField("key", "%q is no key S3 can have: %v", key, err)
	}
	return full, nil
}

// within bounds one request by the store's patience.
func (s *Store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.Patience)
}

// Stat implements driver.Store.
func (s *Store) Stat(ctx context.Context, bucket, key string) (driver.Attr, error) {
	const op = "s3.stat"
	name, err := s.name(bucket, key)
	if err != nil {
		return driver.Attr{}, err
	}
	wait, cancel := s.within(ctx)
	defer cancel()
	info, err := s.core.StatObject(wait, name, key, minio.StatObjectOptions{})
	if err != nil {
		return driver.Attr{}, failed(ctx, op, err)
	}
	return attr(info), nil
}

const sumKey = "Sha256" // as net/http writes the header's name

func attr(info minio.ObjectInfo) driver.Attr {
	return driver.Attr{
		Size: info.Size, Mime: info.ContentType, SHA256: info.UserMetadata[sumKey], ModTime: info.LastModified, ETag: info.ETag,
	}
}

// Delete implements driver.Store.
func (s *Store) Delete(ctx context.Context, bucket, key string) error {
	name, err := s.name(bucket, key)
	if err != nil {
		return err
	}
	wait, cancel := s.within(ctx)
	defer cancel()
	err = failed(ctx, "s3.delete", s.core.RemoveObject(wait, name, key, minio.RemoveObjectOptions{}))
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// List implements driver.Store.
func (s *Store) List(ctx context.Context, bucket, prefix, after string, limit int) ([]driver.Item, error) {
	const op = "s3.list"
	name, err := s.name(bucket, "any")
	if err != nil {
		return nil, err
	}
	wait, cancel := s.within(ctx)
	defer cancel()
	var items []driver.Item
	for info := range s.core.ListObjectsIter(wait, name, minio.ListObjectsOptions{
		Prefix: prefix, StartAfter: after, Recursive: true, MaxKeys: limit, FetchOwner: new(bool),
	}) {
		if code(info.Err) == "NoSuchBucket" {
			return nil, nil
		}
		if info.Err != nil {
			return nil, failed(ctx, op, info.Err)
		}
		if strings.HasSuffix(info.Key, "/") {
			continue // what other tools put there for a folder; no key of ours
		}
		items = append(items, driver.Item{Key: info.Key, Size: info.Size, ModTime: info.LastModified})
		if len(items) == limit {
			break
		}
	}
	return items, failed(ctx, op, wait.Err()) // an iteration that is cut short says nothing
}
