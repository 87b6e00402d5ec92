package cors

import "testing"

func TestCheck(t *testing.T) {
	for _, good := range []string{"*", "https://app.example.com", "http://127.0.0.1:3000", "http://[::1]:8080", "https://xn--bcher-kva.example"} {
		if err := Check(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "null", "app.example.com", "https://", "https://app.example.com/", "https://app.example.com/x", "https://app.example.com?x", "https://u@app.example.com",
		"https://App.example.com", "HTTPS://app.example.com", "https://app.example.com:443", "http://app.example.com:80", "https://app.example.com:", "ftp://app.example.com", "https://*.example.com/",
	} {
		if err := Check(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
