package httpx_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
)

type branch struct {
	Thing    Thing              `json:"thing"`
	Branches []branch           `json:"branches,omitempty"`
	Named    map[string]*branch `json:"named,omitempty"`
}

type branchInput struct {
	Kind string `query:"kind" enum:"oak,ash"`
	Body branch
}

// Operations are read when they are first asked for: all at once, from many
// sides, with the document in between, while others check what they are sent.
func TestOperationsThatAreAskedForAtOnce(t *testing.T) {
	t.Parallel()
	s, ts := serve(t, httpx.Options{})
	const n = 24
	for i := range n {
		httpx.Register(s.API(), huma.Operation{OperationID: fmt.Sprint("put-branch-", i), Method: http.MethodPut, Path: fmt.Sprint("/api/v1/branches/", i)},
			func(_ context.Context, in *branchInput) (*httpx.Body[branch], error) {
				return &httpx.Body[branch]{Body: in.Body}, nil
			})
	}
	documents := make([]string, 2)
	var start, all sync.WaitGroup
	start.Add(1)
	for i := range 4 * n {
		all.Go(func() {
			start.Wait()
			body, want := `{"thing":{"name":"a"},"branches":[{"thing":{"name":"b"}}],"named":{"c":{"thing":{"name":"c"}}}}`, http.StatusOK
			if i%2 == 1 { // wrong, three types deep
				body, want = strings.Replace(body, `"name":"b"`, `"name":"B9"`, 1), http.StatusUnprocessableEntity
			}
			res, said := ask(t, ts, http.MethodPut, fmt.Sprintf("/api/v1/branches/%d?kind=oak", i%n), body, "Authorization", "Bearer ann", "Content-Type", "application/json")
			if res.StatusCode != want {
				t.Errorf("%d: %d, want %d: %s", i, res.StatusCode, want, said)
			}
		})
	}
	for i := range documents {
		all.Go(func() {
			start.Wait()
			b, err := json.Marshal(s.API().OpenAPI())
			if err != nil {
				t.Error(err)
			}
			documents[i] = string(b)
		})
	}
	start.Done()
	all.Wait()
	if documents[0] != documents[1] || strings.Count(documents[0], `"put-branch-`) != n {
		t.Errorf("the documents differ, or lack operations: %d and %d bytes", len(documents[0]), len(documents[1]))
	}
}
