package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// rules.go: lifecycle rules. A bucket has one document with all of them, which is
// only ever written as a whole. Ours are those whose ID begins with ruleID; the
// others go back byte for byte as they came, since they may say what we don't
// know of. Package minio would take them apart and drop that.

const ruleID = "mediafn-"

const day = 24 * time.Hour

// CheckRules implements driver.Keeper.
func (s *Store) CheckRules(rules []driver.Rule) error { return s.o.CheckRules(rules) }

// CheckRules says whether a store at o would keep rules, see blob.Store. S3
// counts whole days.
func (o Options) CheckRules(rules []driver.Rule) error {
	const op = "s3.rules"
	if !o.Lifecycle {
		return errs.New(errs.Unsupported, op, "%s: lifecycle=true in its address allows to set rules", o)
	}
	for _, r := range rules {
		for _, age := range []time.Duration{r.Cool, r.Delete} {
			if age%day != 0 {
				return errs.New(errs.Invalid, op, "%s: rule %s: S3 counts whole days, %s is none", o, r.Name, age)
			}
		}
	}
	return nil
}

// rule is one as S3 has it (API reference, LifecycleRule).
type rule struct {
	XMLName    xml.Name    `xml:"Rule"`
	ID         string      `xml:"ID"`
	Prefix     string      `xml:"Filter>Prefix"`
	Status     string      `xml:"Status"`
	Transition *transition `xml:"Transition,omitempty"`
	Expiration *expiration `xml:"Expiration,omitempty"`
	Abort      int         `xml:"AbortIncompleteMultipartUpload>DaysAfterInitiation"`
}

type expiration struct {
	Days int `xml:"Days"`
}

type transition struct {
	Days         int    `xml:"Days"`
	StorageClass string `xml:"StorageClass"`
}

// document is a bucket's lifecycle configuration as far as it is understood.
type document struct {
	XMLName xml.Name `xml:"LifecycleConfiguration"`
	Rules   []struct {
		ID  string `xml:"ID"`
		Raw []byte `xml:",innerxml"`
	} `xml:"Rule"`
}

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// SetRules implements driver.Keeper. Uploads in parts that nobody ended are given
// up after a day, too: a process that dies in one cannot take it back. Nothing is
// written if all is as it should be. Two who set rules of a bucket at one time
// may undo each other's: S3 has no condition for it.
func (s *Store) SetRules(ctx context.Context, bucket string, rules []driver.Rule) error {
	const op = "s3.rules"
	if err := s.CheckRules(rules); err != nil {
		return err
	}
	name, err := s.name(bucket, "any")
	if err != nil {
		return err
	}
	if err := s.ready(ctx, name); err != nil {
		return errs.Wrap(op, err)
	}
	had, err := s.rules(ctx, op, http.MethodGet, name, nil)
	if errs.Is(err, errs.NotFound) && code(err) == "NoSuchLifecycleConfiguration" {
		had, err = nil, nil
	}
	if err != nil {
		return err
	}
	want, same, err := s.merged(had, rules)
	if err != nil || same {
		return errs.Wrap(op, err)
	}
	method := http.MethodPut
	if want == nil { // a configuration without a rule is none
		method = http.MethodDelete
	}
	_, err = s.rules(ctx, op, method, name, want)
	return err
}

// merged is a configuration with our rules replaced, nil if no rule is left, and
// whether that changes nothing.
func (s *Store) merged(had []byte, rules []driver.Rule) (doc []byte, same bool, err error) {
	var old document
	if len(bytes.TrimSpace(had)) > 0 {
		if err := xml.Unmarshal(had, &old); err != nil {
			return nil, false, errs.New(errs.Internal, "configuration", "the store's answer is not understood: %w", err)
		}
	}
	var others, mine, now bytes.Buffer
	for _, r := range old.Rules {
		if strings.HasPrefix(r.ID, ruleID) {
			fmt.Fprintf(&mine, "%s\n", canonical(r.Raw))
		} else {
			fmt.Fprintf(&others, "<Rule>%s</Rule>", r.Raw)
		}
	}
	doc = fmt.Appendf(nil, `<LifecycleConfiguration xmlns="%s">%s`, namespace, others.Bytes())
	for _, r := range rules {
		x := rule{ID: ruleID + r.Name, Prefix: r.Prefix, Status: "Enabled", Abort: 1}
		if r.Cool > 0 {
			x.Transition = &transition{int(r.Cool / day), s.o.Cold}
		}
		if r.Delete > 0 {
			x.Expiration = &expiration{int(r.Delete / day)}
		}
		raw, err := xml.Marshal(x)
		if err != nil {
			return nil, false, errs.As(errs.Internal, "configuration", err)
		}
		doc = append(doc, raw...)
		fmt.Fprintf(&now, "%s\n", canonical(raw[len("<Rule>"):len(raw)-len("</Rule>")]))
	}
	if others.Len()+len(rules) == 0 {
		return nil, mine.Len() == 0, nil
	}
	return append(doc, "</LifecycleConfiguration>"...), bytes.Equal(mine.Bytes(), now.Bytes()), nil
}

// canonical is a rule as a list of names and values in their order, whatever
// white space and prefixes a server writes between them.
func canonical(raw []byte) string {
	var b strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(raw)); ; {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		switch x := token.(type) {
		case xml.StartElement:
			b.WriteString("<" + x.Name.Local + ">")
		case xml.EndElement:
			b.WriteString("</" + x.Name.Local + ">")
		case xml.CharData:
			b.Write(bytes.TrimSpace(x))
		}
	}
}

// maxRules bounds a configuration: S3 allows 1,000 rules.
const maxRules = 4 << 20

// rules reads or writes a bucket's configuration.
func (s *Store) rules(ctx context.Context, op, method, bucket string, body []byte) ([]byte, error) {
	wait, cancel := s.within(ctx)
	defer cancel()
	query := url.Values{"lifecycle": {""}}
	header := http.Header{}
	if body != nil {
		sum := md5.Sum(body) // S3 asks for it
		header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		header.Set("Content-Type", "application/xml")
	}
	at, err := s.core.PresignHeader(wait, method, bucket, "", s.o.Patience+time.Second, query, header)
	if err != nil {
		return nil, failed(ctx, op, err)
	}
	request, err := http.NewRequestWithContext(wait, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errs.As(errs.Internal, op, err)
	}
	request.Header = header
	resp, err := (&http.Client{Transport: s.http}).Do(request)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // its address is signed
		}
		return nil, failed(ctx, op, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxRules))
	switch {
	case err != nil:
		return nil, failed(ctx, op, err)
	case resp.StatusCode/100 == 2:
		return raw, nil
	}
	answer := minio.ErrorResponse{}
	_ = xml.Unmarshal(raw, &answer) // without a body the status says enough
	answer.StatusCode = resp.StatusCode
	if answer.Message == "" {
		answer.Message = resp.Status
	}
	return nil, failed(ctx, op, answer)
}
