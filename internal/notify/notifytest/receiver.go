package notifytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody is the largest body read, before anything in it is believed.
const maxBody = 1 << 20

// window is how old, or how far ahead, a delivery's time may be.
const window = 5 * time.Minute

// Verify reads a delivery and gives its id and body when it was signed with
// secret ("whsec_…") just now. The same id can come more than once: remember
// those of the last day, and answer 200 to one that you have seen.
func Verify(r *http.Request, secret string, now time.Time) (id string, body []byte, err error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return "", nil, errors.New("the secret is none")
	}
	id = r.Header.Get("webhook-id")
	sent, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || id == "" {
		return "", nil, errors.New("not a signed webhook")
	}
	if age := now.Sub(time.Unix(sent, 0)); age > window || age < -window {
		return "", nil, errors.New("too old, or from the future")
	}
	body, err = io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return "", nil, err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, sent)
	mac.Write(body)
	want := mac.Sum(nil)
	for _, signature := range strings.Fields(r.Header.Get("webhook-signature")) {
		text, ok := strings.CutPrefix(signature, "v1,")
		if got, err := base64.StdEncoding.DecodeString(text); ok && err == nil && hmac.Equal(got, want) {
			return id, body, nil
		}
	}
	return "", nil, errors.New("not signed with this secret")
}
