package resourcecli_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/clikit"
	"fairlead/internal/resource/resourcecli"
)

func TestSuspectsAreListedWithWhatToDo(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"": `{"items":[{"id":"sus_1","engine":"postgres","kind":"database","name":"orders_x7","host":"db:5432","resourceId":"res_1",
			"reason":"its resource was never recorded","foundAt":"2026-01-01T00:00:00Z"}],"next":"more"}`,
		"more": `{"items":[{"id":"sus_2","engine":"postgres","kind":"role","name":"orders_x8","reason":"its marker is damaged","foundAt":"2026-01-01T00:00:00Z"}]}`,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/suspects" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(pages[r.URL.Query().Get("cursor")]))
	}))
	defer srv.Close()
	env := map[string]string{"HOME": t.TempDir(), "FAIRLEAD_URL": srv.URL, "FAIRLEAD_TOKEN": "fl_pat_x"}
	for _, c := range []struct {
		why      string
		args     []string
		out, err string
	}{
		{"a person is told what to do", []string{"suspects"}, "orders_x8", "remove it with the engine's own tools"},
		{"the first page too", []string{"suspects", "-o", "table"}, "its resource was never recorded", ""},
		{"a program gets names", []string{"suspects", "-o", "name"}, "orders_x7\norders_x8\n", ""},
	} {
		var out, errOut bytes.Buffer
		cli := clikit.New(clikit.Options{In: strings.NewReader(""), Out: &out, Err: &errOut, Getenv: func(k string) string { return env[k] }, Version: "test"})
		root := cli.Root()
		root.AddCommand(resourcecli.Commands(cli)...)
		if code := cli.Execute(t.Context(), root, c.args); code != 0 || !strings.Contains(out.String(), c.out) || !strings.Contains(errOut.String(), c.err) {
			t.Errorf("%s: exit %d\n%s%s", c.why, code, out.String(), errOut.String())
		}
	}
}
