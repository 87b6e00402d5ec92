package testparts

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestFaultProxy: requests are hit as told, the others pass unchanged.
func TestFaultProxy(t *testing.T) {
	var heard atomic.Int64 // requests the server had whole
	var p *FaultProxy
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			heard.Add(1)
			if r.Host != p.Endpoint || r.URL.RequestURI() != "/a%2Fb?x=1" || len(body) != 100_000 {
				t.Errorf("the server heard of %s %s, %d bytes", r.Host, r.URL.RequestURI(), len(body))
			}
		}
		_, _ = w.Write(make([]byte, 1000))
	}))
	defer server.Close()
	p = NewFaultProxy(t, server.Listener.Addr().String())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() string {
		r, err := client.Post("http://"+p.Endpoint+"/a%2Fb?x=1", "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
		if err != nil {
			return "cut"
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return fmt.Sprintf("%d cut at %d", r.StatusCode, len(body))
		}
		return fmt.Sprint(r.StatusCode)
	}
	for name, c := range map[string]struct {
		fault  Fault
		answer string
		heard  int64
	}{
		"others":    {Fault{Status: 500, Only: func(*http.Request) bool { return false }}, "200", 1},
		"status":    {Fault{Status: 503, Code: "SlowDown"}, "503", 0},
		"refuse":    {Fault{Refuse: true}, "cut", 0},
		"lose":      {Fault{Lose: true}, "cut", 1},
		"cut body":  {Fault{CutBody: 1000}, "cut", 0},
		"cut reply": {Fault{CutReply: 999}, "200 cut at 999", 1},
		"delay":     {Fault{Delay: time.Millisecond}, "200", 1},
	} {
		before := heard.Load()
		p.Break(c.fault)
		if got := ask(); got != c.answer || heard.Load()-before != c.heard {
			t.Errorf("%s: %s, the server heard of %d", name, got, heard.Load()-before)
		}
		if (p.Hits() == 1) != (name != "others") {
			t.Errorf("%s: %d hits", name, p.Hits())
		}
		p.Heal()
		if got := ask(); got != "200" {
			t.Errorf("healed after %s: %s", name, got)
		}
	}
	p.Break(Fault{Status: 500, Times: 2})
	var all []string
	for range 4 {
		all = append(all, ask())
	}
	if strings.Join(all, " ") != "500 500 200 200" {
		t.Errorf("twice: %q", all)
	}
}

// TestLine: a cut line ends what is open and lets nothing through until it heals.
func TestLine(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	l := NewLine(t, echo.Addr().String())
	dial := func() (net.Conn, string) {
		c, err := net.Dial("tcp", l.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "hello\n")
		text, _ := bufio.NewReader(c).ReadString('\n')
		return c, text
	}
	c, text := dial()
	defer c.Close()
	if text != "hello\n" {
		t.Errorf("got %q", text)
	}
	l.Cut()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an open connection was not cut")
	}
	c2, text := dial()
	defer c2.Close()
	if text != "" {
		t.Errorf("a cut line carries %q", text)
	}
	l.Heal()
	c3, text := dial()
	defer c3.Close()
	if text != "hello\n" {
		t.Errorf("healed: %q", text)
	}
}
