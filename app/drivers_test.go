package app

import (
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

// TestBlobAddresses: a wrong address is refused, clearly and without its secret.
func TestBlobAddresses(t *testing.T) {
	for text, why := range map[string]string{
		"main":                         "is not NAME=file:FOLDER, NAME=s3://HOST?region=R or NAME=mem:",
		"main=":                        "is not NAME",
		"main=file:":                   "is not NAME",
		"main=file:a?cold=":            "is not FOLDER?cold=FOLDER",
		"main=file:a?cold=a/b":         "lie in each other",
		"main=ftp://key:hushhush@host": "is not NAME",
		"s3://key:hushhush@host?region=eu-west-1": "is not NAME",
		"s3://key:hush/hush@host":                 "is not NAME",
		"main=s3://key:hushhush@host/bucket":      "main: s3 address: s3://host: nothing may follow",
		"main=s3://key:hush/hush@host":            "percent-encoded",
		"main=s3://key:hushhush@host?size=1":      `"size" is none of region, tls`,
	} {
		_, err := openBlobs(t.Context(), &Config{Blobs: []string{text}})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", text, err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the secret is shown: %v", text, err)
		}
	}
	stores, err := openBlobs(t.Context(), &Config{Blobs: []string{"aws=s3://key:secret@s3.eu-west-1.amazonaws.com?region=eu-west-1", "lab=s3://key:secret@10.0.0.1:9000?tls=false&prefix=lab-"}})
	if err != nil {
		t.Fatal(err)
	}
	if stores.Default() != "aws" || strings.Join(stores.Names(), " ") != "aws lab" {
		t.Errorf("default %q of %q", stores.Default(), stores.Names())
	}
	if err := stores.Close(); err != nil {
		t.Error(err)
	}
}
