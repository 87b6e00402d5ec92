package job

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// CallbackURL is where an outside service answers for one attempt. base is the
// API's public address. The token proves that the platform gave the URL out.
func CallbackURL(base string, secret []byte, trace string) string {
	return strings.TrimSuffix(base, "/") + "/v1/callbacks/" + trace + "?token=" + callbackToken(secret, trace)
}

// CallbackAllowed reports, in constant time, whether a token belongs to trace.
func CallbackAllowed(secret []byte, trace, token string) bool {
	return hmac.Equal([]byte(callbackToken(secret, trace)), []byte(token))
}

func callbackToken(secret []byte, trace string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(trace)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
