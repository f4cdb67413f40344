package app

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/template/templatetest"
)

const mailPassword = "canary-mail-password"

// telltale is a mail server that refuses the password, and says which.
func telltale(t *testing.T) (addr string, seen *atomic.Bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	seen = &atomic.Bool{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, "220 here\r\n")
				for lines := bufio.NewScanner(c); lines.Scan(); {
					line := lines.Text()
					text := strings.TrimPrefix(line, "AUTH PLAIN ")
					if b, err := base64.StdEncoding.DecodeString(text); err == nil && bytes.Contains(b, []byte(mailPassword)) {
						text = strings.ReplaceAll(string(b), "\x00", " ")
						seen.Store(true)
					}
					switch {
					case strings.HasPrefix(line, "EHLO"):
						_, _ = io.WriteString(c, "250-here\r\n250 AUTH PLAIN LOGIN\r\n")
					case strings.HasPrefix(line, "AUTH LOGIN"):
						_, _ = io.WriteString(c, "504 no\r\n")
					default:
						_, _ = fmt.Fprintf(c, "535 5.7.8 this is wrong: %s\r\n", text)
					}
				}
			}()
		}
	}()
	return l.Addr().String(), seen
}

// outside is the configuration of where the server may send things: to
// receivers here, and to a mail server that tells passwords.
func outside(t *testing.T) (config string, mailed *atomic.Bool) {
	t.Helper()
	addr, seen := telltale(t)
	host, port, _ := net.SplitHostPort(addr)
	file := filepath.Join(t.TempDir(), "mail-password")
	if err := os.WriteFile(file, []byte(mailPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("egress: {allow: [127.0.0.1/32]}\nsmtp: {host: %s, port: %s, from: fairlead@example.org, username: fairlead, passwordFile: %q, tls: none}\n", host, port, file), seen
}

// echoing is a bundle that tells all it is given, and asks for an approval.
var echoing = templatetest.Files{
	"policy.yaml": `apiVersion: fairlead/v1
kind: PolicyBundle
metadata: {name: leaky, version: 1.0.0, title: Tells all}
guardrails:
  - {package: leaky.tells, stage: request}
  - {package: leaky.plans, stage: plan}
`,
	"tells.rego": `package leaky.tells

warn contains {"msg": json.marshal(input)}

approve contains {"msg": json.marshal(input.inputs), "role": "approver"} if input.environment.name == "watched"

deny contains {"msg": json.marshal(input)} if startswith(input.resource.name, "denied")
`,
	"tells_test.rego": `package leaky.tells_test

import data.leaky.tells

test_denied if count(tells.deny) == 1 with input as {"resource": {"name": "denied"}}
`,
	"plans.rego": `package leaky.plans

warn contains {"msg": json.marshal(input)}
`,
}

// governed has rules, approvals, webhooks and mail handle secrets, and gives
// the ids of what came of it.
func (h *house) governed(mailed *atomic.Bool) map[string]string {
	h.t.Helper()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // and fails
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprint(w, r.Header, string(body))
	}))
	h.t.Cleanup(echo.Close)
	h.secrets["the mail server's password"] = mailPassword
	params := map[string]string{}
	hook := func(path string, body map[string]any, what string) {
		status, _, out := h.ask("POST", path, body, "secret", "")
		var v struct{ ID, Secret string }
		if err := json.Unmarshal(out, &v); err != nil || status >= 300 || !strings.HasPrefix(v.Secret, "whsec_") {
			h.t.Fatalf("%s: %d %s", path, status, out)
		}
		h.secrets[what], h.secrets[what+", its key"] = v.Secret, strings.TrimPrefix(v.Secret, "whsec_")
		params["webhook"] = v.ID
	}
	hook("/api/v1/webhooks", map[string]any{"url": echo.URL + "/hook"}, "a webhook's secret")
	hook("/api/v1/webhooks/"+params["webhook"]+"/rotate", map[string]any{"overlapSeconds": 3600}, "a webhook's next secret")
	params["delivery"] = h.must("POST", "/api/v1/webhooks/"+params["webhook"]+"/ping", nil, "id")

	h.must("PATCH", "/api/v1/users/bob", map[string]any{"email": "bob@example.org"}, "")
	h.must("PUT", "/api/v1/teams/red/members/bob/roles/approver", nil, "")
	bundle, err := io.ReadAll(echoing.Tar(h.t))
	if err != nil {
		h.t.Fatal(err)
	}
	tar := []string{"Content-Type", "application/x-tar"}
	h.must("POST", "/api/v1/guardrails", bundle, "", tar...)
	h.must("POST", "/api/v1/guardrails/leaky/versions/1.0.0/activate", nil, "")
	h.must("POST", "/api/v1/projects/shop/environments", map[string]any{"name": "watched", "class": "production"}, "")
	h.must("PUT", "/api/v1/quotas", map[string]any{"team": "red", "metric": "count", "max": 100}, "")

	const where = "/api/v1/projects/shop/environments/watched"
	secret, next := "canary-before-an-approval", "canary-after-an-approval"
	h.secrets["a secret that is to be approved"], h.secrets["another that is"] = secret, next
	wanted := func(name string) map[string]any {
		return map[string]any{"name": name, "template": "leaky", "lease": "48h", "inputs": map[string]any{"password": secret}}
	}
	h.ask("POST", where+"/resources", wanted("denied"))
	h.ask("POST", where+"/plan", map[string]any{"resources": []any{wanted("kept")}})
	id := h.must("POST", where+"/resources", wanted("kept"), "id")
	h.until(where+"/resources/kept", "waiting")
	h.must("PATCH", where+"/resources/kept", map[string]any{"set": map[string]any{"password": next}}, "")
	h.eventually("an approval and its void predecessor", func() bool {
		_, _, out := h.ask("GET", "/api/v1/approvals?subject="+id, nil)
		params["approval"] = firstID(out)
		return bytes.Contains(out, []byte(`"void"`)) && bytes.Contains(out, []byte(`"pending"`))
	})
	h.must("POST", "/api/v1/approvals/"+params["approval"]+"/bypass", map[string]any{"reason": "nobody is there to ask"}, "")
	h.until(where+"/resources/kept", "ready")
	h.ask("GET", "/api/v1/approvals/"+params["approval"], nil)
	_, _, decisions := h.ask("GET", "/api/v1/decisions?limit=200", nil)
	params["decision"] = firstID(decisions)
	_, _, leases := h.ask("GET", "/api/v1/leases", nil)
	params["lease"] = firstID(leases)
	h.ask("POST", "/api/v1/guardrails/backtest", bundle, tar...)
	h.ask("POST", "/api/v1/guardrails/backtest?name=leaky&version=1.0.0", nil)
	h.ask("POST", "/api/v1/guardrails/test", bundle, tar...)
	h.ask("GET", where+"/resources/kept/why", nil)
	h.eventually("the mail server was given the password", mailed.Load)
	h.eventually("the receiver's answer was kept", func() bool {
		_, _, out := h.ask("GET", "/api/v1/deliveries/"+params["delivery"], nil)
		return bytes.Contains(out, []byte(`"lastCode":500`)) || bytes.Contains(out, []byte(`"lastCode": 500`))
	})
	h.ask("GET", "/api/v1/mail/deliveries", nil)
	return params
}

func (h *house) eventually(what string, f func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s", what)
		}
	}
}

func firstID(list []byte) string {
	var v struct{ Items []struct{ ID string } }
	if json.Unmarshal(list, &v) != nil || len(v.Items) == 0 {
		return ""
	}
	return v.Items[0].ID
}
