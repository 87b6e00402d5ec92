package file

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"mime"
	"path"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mediafn/mediafn/ports/blob/driver"
)

// facts is what is kept beside a file, as JSON.
type facts struct {
	Key    string `json:"key"` // bucket/key, for people
	Size   int64  `json:"size"`
	Mime   string `json:"mime"`
	SHA256 string `json:"sha256"`
}

// metaName is where the facts of one version of an object are.
func metaName(name string, info fs.FileInfo) string {
	sum := sha256.Sum256([]byte(name))
	h := hex.EncodeToString(sum[:20])
	return metaDir + "/" + h[:2] + "/" + h[2:] + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 36)
}

// attr describes the version info stands for; known says whether its facts were
// found.
func (s *Store) attr(name string, info fs.FileInfo) (_ driver.Attr, known bool) {
	a := driver.Attr{Size: info.Size(), ModTime: info.ModTime()}
	a.ETag = strconv.FormatInt(a.Size, 36) + "-" + strconv.FormatInt(a.ModTime.UnixNano(), 36)
	var f facts
	b, err := s.root.ReadFile(metaName(name, info))
	if err == nil && json.Unmarshal(b, &f) == nil && f.Key == name && f.Size == a.Size {
		a.Mime, a.SHA256 = f.Mime, f.SHA256
		return a, true
	}
	if a.Mime = mime.TypeByExtension(path.Ext(name)); a.Mime == "" {
		a.Mime = "application/octet-stream"
	}
	return a, false
}

// clock gives times that rise from call to call, so that two versions written in
// one tick of the system's clock still differ.
type clock struct{ last atomic.Int64 }

func (c *clock) now() time.Time {
	for {
		last := c.last.Load()
		n := max(time.Now().UnixNano(), last+1)
		if c.last.CompareAndSwap(last, n) {
			return time.Unix(0, n)
		}
	}
}
