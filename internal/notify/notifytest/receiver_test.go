package notifytest_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/notify/notifytest"
)

// The vector is the one that the Standard Webhooks libraries test with.
func TestTheVerifierRefusesForgeries(t *testing.T) {
	t.Parallel()
	const (
		secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		id     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		body   = `{"test": 2432232314}`
		good   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	at := time.Unix(1614265330, 0)
	for _, row := range []struct {
		why, id, stamp, body, signature, secret string
		now                                     time.Time
		ok                                      bool
	}{
		{"as it was sent", id, "1614265330", body, good, secret, at, true},
		{"with a second signature, by an older secret", id, "1614265330", body, "v1,AAAA " + good, secret, at, true},
		{"a moment later", id, "1614265330", body, good, secret, at.Add(4 * time.Minute), true},
		{"replayed later", id, "1614265330", body, good, secret, at.Add(6 * time.Minute), false},
		{"from the future", id, "1614265330", body, good, secret, at.Add(-6 * time.Minute), false},
		{"replayed under a new time", id, "1614265630", body, good, secret, at.Add(5 * time.Minute), false},
		{"replayed under another id", "msg_other", "1614265330", body, good, secret, at, false},
		{"another body", id, "1614265330", body + " ", good, secret, at, false},
		{"another secret", id, "1614265330", body, good, "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at, false},
		{"another version of signature", id, "1614265330", body, "v2" + good[2:], secret, at, false},
		{"a signature cut short", id, "1614265330", body, good[:20], secret, at, false},
		{"no signature", id, "1614265330", body, "", secret, at, false},
		{"no id", "", "1614265330", body, good, secret, at, false},
		{"no time", id, "", body, good, secret, at, false},
		{"no secret: nothing is signed with nothing", id, "1614265330", body, good, "whsec_", at, false},
		{"too large", id, "1614265330", strings.Repeat("x", 2<<20), good, secret, at, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(row.body))
		r.Header.Set("webhook-id", row.id)
		r.Header.Set("webhook-timestamp", row.stamp)
		r.Header.Set("webhook-signature", row.signature)
		if _, b, err := notifytest.Verify(r, row.secret, row.now); (err == nil) != row.ok || row.ok && string(b) != body {
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

// What the page shows is what was tested.
func TestTheShownVerifierIsThisOne(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile("receiver.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(src), "package notifytest\n")
	_, shown, ok := strings.Cut(string(page), "```go\npackage receiver\n")
	shown, _, closed := strings.Cut(shown, "```")
	if !ok || !closed || strings.TrimSpace(shown) != strings.TrimSpace(code) {
		t.Error("docs/webhooks.md shows another verifier than receiver.go")
	}
}
