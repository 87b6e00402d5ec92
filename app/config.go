// Package app composes mediafn: it reads the configuration, opens the drivers
// and starts the roles. It is the one place that knows all parts.
package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/roles/gateway"
	"github.com/mediafn/mediafn/roles/gateway/cors"
	"github.com/mediafn/mediafn/roles/worker/load"
)

// Config is everything that can be set. Every field is a flag of serve, an
// environment variable MEDIAFN_<NAME> and a key of the configuration file.
type Config struct {
	Data          string   `name:"data" default:"data" help:"Folder for the embedded database, queue and objects."`
	Listen        string   `name:"listen" default:"127.0.0.1:8080" help:"Address of the HTTP API."`
	Roles         []string `name:"roles" default:"gateway,controller,worker,results" help:"Roles this process plays."`
	State         string   `name:"state" help:"Database: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME. Default: sqlite in the data folder."`
	Queue         string   `name:"queue" help:"Messages: embedded, mem or nats://HOST:PORT,nats://HOST:PORT. Default: embedded."`
	QueueReplicas int      `name:"queue-replicas" help:"Copies of each stored message in a NATS cluster. Default: as many as there are addresses, at most 3."`
	Blobs         []string `name:"blobs" sep:"," help:"Stores as NAME=file:FOLDER, NAME=file:FOLDER?cold=FOLDER, NAME=s3://HOST?region=R or NAME=mem:. The first is the default. Default: local=file in the data folder."`
	Lifecycle     `embed:""`
	Scratch       string `name:"scratch" help:"Folder for files of running work. Default: in the data folder."`

	Cores  int      `name:"cores" help:"Cores the worker keeps busy. Default: all, or what a control group allows."`
	Memory string   `name:"memory" help:"Memory running work may be priced at, as 8GiB. Default: three quarters of the machine's, or of what a control group allows."`
	Blocks string   `name:"block-cache" default:"64MiB" help:"Memory for blocks of inputs that are read in place; several readers of one input share them."`
	Most   int      `name:"most" default:"64" help:"Attempts a worker runs at once."`
	Pools  []string `name:"pools" default:"cpu" help:"Pools the worker serves: cpu, gpu."`
	Sizes  []string `name:"sizes" help:"Size classes the worker takes: small, medium, large. Default: all."`
	Videos int      `name:"videos" default:"2" help:"Videos a worker carries at once; all slices of one count as one. 0 = no bound."`
	Images int      `name:"images" default:"5" help:"Images a worker carries at once. 0 = no bound."`
	GPU    int      `name:"gpu" help:"Cards the worker has."`
	Engine string   `name:"engine" help:"Path of mediafn-engine. Default: beside this binary, then in PATH."`

	Submissions int           `name:"submissions" default:"1024" help:"Submissions a gateway checks and stores at once; more are busy."`
	UploadLife  time.Duration `name:"upload-life" default:"24h" help:"An upload that nothing is added to for so long expires."`
	CORSOrigins []string      `name:"cors-origins" help:"Origins of web pages that may use the API, as https://app.example.com; * = all. Default: none."`

	Lease time.Duration `name:"lease" default:"15s" help:"Life of a grant between renewals."`
	Tick  time.Duration `name:"tick" default:"1s" help:"Time between two looks of the reaper."`
	Grace time.Duration `name:"grace" default:"20s" help:"Time for running work to finish at shutdown."`

	Flows     string `name:"flows" help:"Folder with flow files beside those of this build; read again on SIGHUP."`
	PublicURL string `name:"public-url" help:"Where outside services reach the API, for their callbacks. Default: http:// and the address it listens on."`
	Ops       string `name:"ops" help:"Address of /metrics, /healthz and /readyz for processes without a gateway, and apart from the API."`
	Pprof     bool   `name:"pprof" help:"Serve /debug/pprof on the ops address too."`
	OTLP      string `name:"otlp" help:"Where traces go, as http://HOST:4318. Default: nowhere."`

	EgressAllow []string        `name:"egress-allow" help:"Private addresses that may be fetched: CIDR, host or host:port."`
	Secret      string          `name:"webhook-secret" help:"Signs webhooks: whsec_ and 24-64 bytes in base64."`
	WebhookWait []time.Duration `name:"webhook-schedule" help:"Waits between tries of a webhook. Default: the Standard Webhooks schedule."`
	Tenants     []Tenant        `name:"tenants" kong:"-" json:"tenants" help:"Tenants with keys, buckets, shares and secrets (file only)."`

	LogLevel  string `name:"log-level" default:"info" enum:"debug,info,warn,error" help:"Least level that is logged."`
	LogFormat string `name:"log-format" default:"text" enum:"text,json" help:"Format of the log."`
}

// Tenant is one customer of this installation.
type Tenant struct {
	gateway.Tenant
	Weight float64 `json:"weight"` // share of the machines beside other tenants; 0 = 1
	Limit  int     `json:"limit"`  // running work at the most; 0 = no limit
	Secret string  `json:"webhook_secret"`
	// ResultQueue has every result of the tenant put into its result queue.
	ResultQueue bool `json:"result_queue"`
}

var roleNames = []string{"gateway", "controller", "worker", "results"}

// Complete fills in defaults that depend on others, then validates. All faults
// are reported at once, as one Invalid error.
func (c *Config) Complete() error {
	if c.State == "" {
		c.State = "sqlite:" + filepath.Join(c.Data, "state.db")
	}
	if c.Queue == "" {
		c.Queue = "embedded"
	}
	if len(c.Blobs) == 0 {
		c.Blobs = []string{"local=file:" + filepath.Join(c.Data, "objects")}
	}
	if c.Scratch == "" {
		c.Scratch = filepath.Join(c.Data, "scratch")
	}
	cores, memory := load.Machine("/")
	if c.Cores == 0 {
		c.Cores = cores
	}
	if len(c.Pools) == 0 {
		c.Pools = []string{"cpu"}
	}
	if c.QueueReplicas == 0 {
		c.QueueReplicas = min(strings.Count(c.Queue, ",")+1, 3)
	}
	if c.Blocks == "" {
		c.Blocks = "64MiB"
	}
	if c.Memory == "" {
		if memory == 0 {
			memory = 4 << 30 // a machine that does not tell
		}
		c.Memory = fmt.Sprint(memory / 4 * 3)
	}
	return c.validate()
}

func (c *Config) validate() error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if len(c.Roles) == 0 {
		fault("roles", "there are none")
	}
	for _, r := range c.Roles {
		if !slices.Contains(roleNames, r) {
			fault("roles", "%q is none of %s", r, strings.Join(roleNames, ", "))
		}
	}
	for _, p := range c.Pools {
		if p != "cpu" && p != "gpu" {
			fault("pools", "%q is none of cpu, gpu", p)
		}
	}
	for _, s := range c.Sizes {
		if s != "small" && s != "medium" && s != "large" {
			fault("sizes", "%q is none of small, medium, large", s)
		}
	}
	for _, n := range []struct {
		name  string
		value int
		most  int
	}{{"videos", c.Videos, 1000}, {"images", c.Images, 1000}, {"gpu", c.GPU, 64}, {"submissions", c.Submissions, 1 << 20}, {"queue-replicas", c.QueueReplicas, 5}} {
		if n.value < 0 || n.value > n.most {
			fault(n.name, "%d is not 0–%d", n.value, n.most)
		}
	}
	if c.Cores < 1 || c.Cores > 1024 {
		fault("cores", "%d is not 1–1024", c.Cores)
	}
	if _, err := parseBytes(c.Memory); err != nil {
		fault("memory", "%v", err)
	}
	if n, err := parseBytes(c.Blocks); err != nil || n < 4<<20 {
		fault("block-cache", "%q is not 4MiB or more", c.Blocks)
	}
	if c.Most < 1 || c.Most > 10000 {
		fault("most", "%d is not 1–10000", c.Most)
	}
	if c.Lease < 2*time.Second || c.Lease > time.Hour {
		fault("lease", "%s is not 2s–1h", c.Lease)
	}
	if c.Tick < 10*time.Millisecond || c.Tick > time.Minute {
		fault("tick", "%s is not 10ms–1m", c.Tick)
	}
	if c.UploadLife < 0 {
		fault("upload-life", "is negative")
	}
	for _, origin := range c.CORSOrigins {
		if err := cors.Check(origin); err != nil {
			fault("cors-origins", "%v", err)
		}
	}
	if c.Grace < 0 {
		fault("grace", "is negative")
	}
	if u, err := url.Parse(c.OTLP); c.OTLP != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		fault("otlp", "%q is not http://HOST:4318", c.OTLP)
	}
	if c.Pprof && c.Ops == "" {
		fault("pprof", "needs ops: it is not served on the API's address")
	}
	c.Lifecycle.validate(fault)
	if err := checkSecret(c.Secret); err != nil {
		fault("webhook-secret", "%v", err)
	}
	names := map[string]bool{}
	for i, t := range c.Tenants {
		field := fmt.Sprintf("tenants.%d", i)
		if t.Name == "" || names[t.Name] {
			fault(field+".name", "%q is empty or used twice", t.Name)
		}
		names[t.Name] = true
		if len(t.Keys) == 0 || slices.ContainsFunc(t.Keys, func(k string) bool { return len(k) < 16 }) {
			fault(field+".keys", "at least one key of 16 characters or more is required")
		}
		if err := checkSecret(t.Secret); err != nil {
			fault(field+".webhook_secret", "%v", err)
		}
	}
	if len(faults) > 0 {
		return errs.New(errs.Invalid, "config", "%s", errors.Join(faults...).Error())
	}
	return nil
}

func checkSecret(s string) error {
	if s == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
	if err != nil || !strings.HasPrefix(s, "whsec_") || len(raw) < 24 || len(raw) > 64 {
		return fmt.Errorf("must be whsec_ and 24–64 bytes in base64")
	}
	return nil
}

// secret finds the secret that signs a tenant's webhooks.
func (c *Config) secret(tenant string) string {
	for _, t := range c.Tenants {
		if t.Name == tenant && t.Secret != "" {
			return t.Secret
		}
	}
	return c.Secret
}
