package iacstate_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/sqldb/sqldbtest"
)

type client struct {
	t                 *testing.T
	addr, user, token string
}

func (c client) do(method, path, body string, header ...string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addr+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func serve(t *testing.T) *iacstate.Server {
	t.Helper()
	s, err := iacstate.Serve(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestTheBackendProtocol(t *testing.T) {
	t.Parallel()
	store, srv := open(t, sqldbtest.SQLite(t)), serve(t)
	token, end := srv.Admit(claim(t, store, "res_a"))
	c := client{t, srv.Address(), iacstate.User, token.Reveal()}
	path := iacstate.Path("res_a")
	body := string(state(1, "lin", "", 1))
	sum := md5.Sum([]byte(body))
	good := base64.StdEncoding.EncodeToString(sum[:])
	for i, row := range []struct {
		why, method, path, body string
		header                  []string
		want                    int
	}{
		{"no state yet", "GET", path, "", nil, 404},
		{"a write before the lock", "POST", path + "?ID=l1", body, nil, 409},
		{"the lock", "LOCK", path, `{"ID":"l1","Operation":"apply","Who":"me"}`, nil, 200},
		{"another lock", "LOCK", path, `{"ID":"l2"}`, nil, 423},
		{"a lock that is none", "LOCK", path, `hello`, nil, 400},
		{"a wrong checksum", "POST", path + "?ID=l1", body, []string{"Content-MD5", "AAAA"}, 400},
		{"another's lock id", "POST", path + "?ID=l2", body, nil, 409},
		{"the write", "POST", path + "?ID=l1", body, []string{"Content-MD5", good}, 200},
		{"the same again: its answer was lost", "POST", path + "?ID=l1", body, nil, 200},
		{"another lineage", "POST", path + "?ID=l1", string(state(2, "other", "", 1)), nil, 409},
		{"a lower serial", "POST", path + "?ID=l1", string(state(0, "lin", "", 1)), nil, 409},
		{"the same serial with something else", "POST", path + "?ID=l1", string(state(1, "lin", "x", 1)), nil, 409},
		{"no JSON", "POST", path + "?ID=l1", "state", nil, 400},
		{"no lineage", "POST", path + "?ID=l1", `{"version":4,"serial":2}`, nil, 400},
		{"the state", "GET", path, "", nil, 200},
		{"its deletion", "DELETE", path, "", nil, 405},
		{"unlock with another id", "UNLOCK", path, `{"ID":"l2"}`, nil, 423},
		{"force-unlock sends an id alone", "UNLOCK", path, `{"ID":"l1"}`, nil, 200},
		{"another state", "GET", iacstate.Path("res_b"), "", nil, 403},
		{"another path", "GET", "/", "", nil, 403},
		{"a way around", "GET", "/state/../state/res_b", "", nil, 403},
	} {
		got, text := c.do(row.method, row.path, row.body, row.header...)
		if got != row.want {
			t.Errorf("%d %s: %d %s, want %d", i, row.why, got, text, row.want)
		}
		if got == http.StatusLocked {
			var l iacstate.Lock
			if err := json.Unmarshal([]byte(text), &l); err != nil || l.ID != "l1" || l.Who != "me" {
				t.Errorf("%s: the holder is not told: %s", row.why, text)
			}
		}
	}
	end()
	if got, _ := c.do("GET", path, ""); got != http.StatusUnauthorized {
		t.Errorf("the token outlived its run: %d", got)
	}
}

// Fifty megabytes are a state like any other; more than the limit is refused
// without being kept in memory twice.
func TestALargeState(t *testing.T) {
	t.Parallel()
	store, srv := open(t, sqldbtest.SQLite(t)), serve(t)
	token, end := srv.Admit(claim(t, store, "res_a"))
	defer end()
	c := client{t, srv.Address(), iacstate.User, token.Reveal()}
	path := iacstate.Path("res_a")
	if got, text := c.do("LOCK", path, `{"ID":"l1"}`); got != 200 {
		t.Fatal(text)
	}
	word := "0123456789abcdefghijklmnopqrstuvwxyz-of-an-attribute "
	large := string(state(1, "lin", strings.Repeat(word, 50<<20/len(word)), 100))
	if got, text := c.do("POST", path+"?ID=l1", large); got != 200 {
		t.Fatalf("%d %s", got, text)
	}
	if got, text := c.do("GET", path, ""); got != 200 || text != large {
		t.Fatalf("%d, %d bytes of %d", got, len(text), len(large))
	}
	if got, text := c.do("POST", path+"?ID=l1", string(state(2, "lin", strings.Repeat("x", iacstate.MaxSize), 1))); got != http.StatusRequestEntityTooLarge || !strings.Contains(text, "larger than") {
		t.Fatalf("%d %s", got, text)
	}
	if v, err := store.Version(t.Context(), "res_a", 1); err != nil || v.Size != int64(len(large)) {
		t.Fatalf("%+v %v", v, err)
	}
}

// CVE-2021-36230, CVE-2023-3114.
func TestARunTokenIsOfNoUseOutsideItsRun(t *testing.T) {
	t.Parallel()
	store, srv := open(t, sqldbtest.SQLite(t)), serve(t)
	mine, theirs := claim(t, store, "res_mine"), claim(t, store, "res_theirs")
	must(t, theirs, state(1, "lin", "their secret", 1))
	token, end := srv.Admit(mine)
	defer end()
	reading, stop := srv.Admit(store.Open("res_mine", "plan"))
	defer stop()
	replaced, over := srv.Admit(theirs)
	defer over()
	claim(t, store, "res_theirs")
	dead, ended := srv.Admit(mine)
	ended()
	for _, row := range []struct {
		why, user, token, method, path, body string
		want                                 int
	}{
		{"another run's state", iacstate.User, token.Reveal(), "GET", iacstate.Path("res_theirs"), "", 403},
		{"no token", "", "", "GET", iacstate.Path("res_mine"), "", 401},
		{"an empty token", iacstate.User, "", "GET", iacstate.Path("res_mine"), "", 401},
		{"a guess", iacstate.User, strings.Repeat("A", 52), "GET", iacstate.Path("res_mine"), "", 401},
		{"a run that is over", iacstate.User, dead.Reveal(), "GET", iacstate.Path("res_mine"), "", 401},
		{"another name", "admin", token.Reveal(), "GET", iacstate.Path("res_mine"), "", 401},
		{"a plan that locks", iacstate.User, reading.Reveal(), "LOCK", iacstate.Path("res_mine"), `{"ID":"x"}`, 403},
		{"a plan that writes", iacstate.User, reading.Reveal(), "POST", iacstate.Path("res_mine") + "?ID=x", string(state(9, "lin", "", 1)), 403},
		{"a run that was replaced", iacstate.User, replaced.Reveal(), "LOCK", iacstate.Path("res_theirs"), `{"ID":"x"}`, 409},
	} {
		if got, text := (client{t, srv.Address(), row.user, row.token}).do(row.method, row.path, row.body); got != row.want || strings.Contains(text, "their secret") {
			t.Errorf("%s: %d %s, want %d", row.why, got, text, row.want)
		}
	}
}
