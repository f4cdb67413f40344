package httpx_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/httpx/httpxtest"
)

type logLine struct {
	Line string `json:"line"`
}

func streamServer(t *testing.T, o httpx.Options, run func(ctx context.Context, after int64, out *httpx.Events) error) (*httpx.Server, *httptest.Server) {
	t.Helper()
	o.Auth = people
	api, s := httpx.New(o)
	httpx.Register(api, huma.Operation{OperationID: "follow", Method: "GET", Path: "/api/v1/log"},
		func(_ context.Context, in *httpx.StreamInput) (*huma.StreamResponse, error) {
			after, err := in.After()
			if err != nil {
				return nil, err
			}
			return httpx.Stream(func(ctx context.Context, out *httpx.Events) error { return run(ctx, after, out) }), nil
		})
	ts := httptest.NewUnstartedServer(s)
	ts.Config = s.HTTP()
	ts.Start()
	t.Cleanup(func() { s.Drain(); ts.Close() })
	return s, ts
}

func count(from int64) func(context.Context, int64, *httpx.Events) error {
	return func(_ context.Context, after int64, out *httpx.Events) error {
		for i := after + 1; i <= from; i++ {
			if err := out.SendNumbered(i, "log", logLine{"a\nb"}); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestStreamsGoOnAfterTheLastEvent(t *testing.T) {
	t.Parallel()
	_, ts := streamServer(t, httpx.Options{}, count(3))
	for _, c := range []struct{ why, last, want string }{
		{"from the start", "", ": open\n\nid: 1\nevent: log\ndata: {\"line\":\"a\\nb\"}\n\nid: 2\nevent: log\ndata: {\"line\":\"a\\nb\"}\n\nid: 3\nevent: log\ndata: {\"line\":\"a\\nb\"}\n\nevent: end\ndata: {}\n\n"},
		{"after a break", "2", ": open\n\nid: 3\nevent: log\ndata: {\"line\":\"a\\nb\"}\n\nevent: end\ndata: {}\n\n"},
		{"nothing is left", "3", ": open\n\nevent: end\ndata: {}\n\n"},
	} {
		h := []string{"Authorization", "Bearer ann"}
		if c.last != "" {
			h = append(h, "Last-Event-ID", c.last)
		}
		res, body := ask(t, ts, "GET", "/api/v1/log", "", h...)
		if body != c.want || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %q %v", c.why, body, res.Header)
		}
	}
	for _, bad := range []string{"x", "-1", "01", "9223372036854775808"} {
		res, body := ask(t, ts, "GET", "/api/v1/log", "", "Authorization", "Bearer ann", "Last-Event-ID", bad)
		if p := problem(t, res, body); p.Code != "invalid_last_event_id" {
			t.Errorf("%q: %s", bad, body)
		}
	}
	if res, _ := ask(t, ts, "GET", "/api/v1/log", ""); res.StatusCode != 401 {
		t.Errorf("a stranger got %d", res.StatusCode)
	}
}

func TestStreamsSayHowTheyEnd(t *testing.T) {
	t.Parallel()
	_, ts := streamServer(t, httpx.Options{}, func(context.Context, int64, *httpx.Events) error {
		return errors.Join(fault.New(fault.NotFound, "run_gone", "the run is gone"), errors.New("cause"))
	})
	_, body := ask(t, ts, "GET", "/api/v1/log", "", "Authorization", "Bearer ann")
	if !strings.Contains(body, "event: error\ndata: {") || !strings.Contains(body, "run_gone") || strings.Contains(body, "cause") {
		t.Errorf("got %s", body)
	}
}

func TestStreamsOutliveTheTimeLimitsAndEndWithTheServer(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s, ts := streamServer(t, httpx.Options{RequestTimeout: 50 * time.Millisecond, BodyTimeout: 50 * time.Millisecond, Heartbeat: 60 * time.Millisecond},
		func(ctx context.Context, _ int64, _ *httpx.Events) error {
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		})
	req, _ := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/api/v1/log", nil)
	req.Header.Set("Authorization", "Bearer ann")
	res, err := ts.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	beats := 0
	for beats < 4 && lines.Scan() { // 240 ms: past every limit
		if lines.Text() == ": still here" {
			beats++
		}
	}
	s.Drain()
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "event:") {
			t.Errorf("a stream that was cut says %s", lines.Text())
		}
	}
	<-ended
	if beats != 4 || lines.Err() != nil {
		t.Errorf("%d beats, %v", beats, lines.Err())
	}
}

func TestOpenStreamsAreCounted(t *testing.T) {
	t.Parallel()
	_, ts := streamServer(t, httpx.Options{}, func(ctx context.Context, _ int64, _ *httpx.Events) error {
		<-ctx.Done()
		return nil
	})
	open := func() *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/api/v1/log", nil)
		req.Header.Set("Authorization", "Bearer ann")
		res, err := ts.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	first := open()
	for range 63 {
		defer open().Body.Close()
	}
	res, body := ask(t, ts, "GET", "/api/v1/log", "", "Authorization", "Bearer ann")
	if p := problem(t, res, body); p.Code != "too_many_streams" || res.StatusCode != 429 {
		t.Errorf("got %s", body)
	}
	first.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		res := open() // the server needs a moment to see that one has gone
		defer res.Body.Close()
		if res.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a closed stream is still counted")
		}
	}
}

func TestPollLooksAtEachWakeUpAndWhenTimeIsOver(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	looks := 0
	look := func(context.Context) (int, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		looks++
		return looks, looks >= 3, nil
	}
	wake := make(chan string, 2)
	wake <- ""
	wake <- ""
	if v, err := httpx.Poll(t.Context(), time.Minute, wake, look); v != 3 || err != nil {
		t.Errorf("%d %v", v, err)
	}
	never := func(context.Context) (int, bool, error) { return 7, false, nil }
	if v, err := httpx.Poll(t.Context(), time.Millisecond, nil, never); v != 7 || err != nil {
		t.Errorf("%d %v", v, err)
	}
	if v, err := httpx.Poll(t.Context(), 0, nil, never); v != 7 || err != nil {
		t.Errorf("%d %v", v, err)
	}
}

func TestEveryRouteCanBeTried(t *testing.T) {
	t.Parallel()
	s, ts := serve(t, httpx.Options{})
	all := httpxtest.EveryRoute(s.API(), map[string]string{"name": "a"})
	if len(all) != 6 {
		t.Errorf("%d routes", len(all))
	}
	for _, r := range all {
		h := []string{"Content-Type", r.ContentType}
		res, body := ask(t, ts, r.Method, r.Target, string(r.Body), h...)
		if (res.StatusCode == 401) == r.Public {
			t.Errorf("%s %s as nobody: %d %s", r.Method, r.Target, res.StatusCode, body)
		}
		res, body = ask(t, ts, r.Method, r.Target, string(r.Body), append(h, "Authorization", "Bearer ann")...)
		if res.StatusCode >= 300 {
			t.Errorf("%s %s %s: the example is refused: %d %s", r.Method, r.Target, r.Body, res.StatusCode, body)
		}
	}
}
