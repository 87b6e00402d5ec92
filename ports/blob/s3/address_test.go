package s3_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

func TestParse(t *testing.T) {
	o, err := s3.Parse("s3://key:a%2Fb%40c@minio.local:9000/?region=eu-west-1&tls=false&path-style=true&prefix=mediafn-&create=false")
	want := s3.Default()
	want.Endpoint, want.Access, want.Secret, want.Region, want.PathStyle, want.Prefix = "minio.local:9000", "key", "a/b@c", "eu-west-1", "true", "mediafn-"
	want.TLS, want.Create = false, false
	if err != nil || o != want {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = s3.Parse("s3://s3.amazonaws.com")
	want = s3.Default()
	want.Endpoint = "s3.amazonaws.com"
	if err != nil || o != want {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for address, why := range map[string]string{
		"s3://":                                                    "host",
		"s3:key:hushhush@host":                                     "is not s3://",
		"http://key:hushhush@host":                                 "is not s3://",
		"s3://key:hush/hush@host":                                  "percent-encoded",
		"s3://key:hushhush%zz@host":                                "percent-encoded",
		"s3://key:hushhush@host:port":                              "percent-encoded",
		"s3://key:hushhush@host:99999":                             "port",
		"s3://key:hushhush@host/bucket":                            "prefix=",
		"s3://key@host":                                            "KEY:SECRET",
		"s3://:hushhush@host":                                      "KEY:SECRET",
		"s3://key:hushhush@host?bucket=b":                          "none of region",
		"s3://key:hushhush@host?tls=perhaps":                       "tls must be true or false",
		"s3://key:hushhush@host?path-style=no":                     "path-style",
		"s3://key:hushhush@host?create=x":                          "create",
		"s3://key:hushhush@host?prefix=A_":                         "prefix",
		"s3://key:hushhush@host?region=":                           "region",
		"s3://key:hushhush@host?region=EU WEST":                    "region",
		"s3://key:hushhush@host?iam=true":                          "iam",
		"s3://key:hushhush@host?region=%zz":                        "cannot be read",
		"s3://key:hushhush@host?prefix=" + strings.Repeat("a", 41): "at most 40",
	} {
		_, err := s3.Parse(address)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(fmt.Sprintf("%+v %#v", err, err), "hush")) {
			t.Errorf("%s: the secret is shown: %v", address, err)
		}
	}
}

// TestSecretsStayIn: no way of printing options shows the secret.
func TestSecretsStayIn(t *testing.T) {
	o, err := s3.Parse("s3://key:hushhush@host")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%v %+v %#v %s", o, o, &o, o)} {
		if strings.Contains(text, "hush") || !strings.Contains(text, "s3://host") {
			t.Error(text)
		}
	}
}

func TestCredentialsFromOutside(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	} {
		t.Setenv(name, "")
	}
	try := func(address string) error {
		o, err := s3.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s3.New(o)
		if err == nil {
			err = d.Close()
		}
		return err
	}
	if err := try("s3://host"); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("none anywhere: %v", err)
	}
	if err := try("s3://host?iam=true"); err != nil {
		t.Errorf("a role is asked for later: %v", err)
	}
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, ".aws", "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = k\naws_secret_access_key = s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := try("s3://host"); err != nil {
		t.Errorf("in a file: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "k")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	if err := try("s3://host"); err != nil {
		t.Errorf("in the environment: %v", err)
	}
}
