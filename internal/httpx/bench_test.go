package httpx_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"fairlead/internal/httpx"
)

// BenchmarkGet compares an authenticated GET through the whole chain with bare
// net/http that writes the same bytes, over loopback with keep-alive.
func BenchmarkGet(b *testing.B) {
	api, s := httpx.New(httpx.Options{Auth: people, Rate: httpx.Rate{PerSecond: 1e6, Burst: 1 << 30}})
	mount(api)
	full := httptest.NewUnstartedServer(s)
	full.Config = s.HTTP()
	full.Start()
	defer full.Close()
	res, body := ask(b, full, "GET", "/api/v1/things/a", "", "Authorization", "Bearer ann")
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range res.Header {
			if k != "Date" && k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		_, _ = io.WriteString(w, body)
	}))
	defer bare.Close()
	for _, c := range []struct {
		name string
		ts   *httptest.Server
	}{{"bare", bare}, {"chain", full}} {
		b.Run(c.name, func(b *testing.B) {
			c.ts.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, _ := http.NewRequestWithContext(b.Context(), "GET", c.ts.URL+"/api/v1/things/a", nil)
					req.Header.Set("Authorization", "Bearer ann")
					res, err := c.ts.Client().Do(req)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			})
		})
	}
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkChain is the chain without a network.
func BenchmarkChain(b *testing.B) {
	api, s := httpx.New(httpx.Options{Auth: people, Rate: httpx.Rate{PerSecond: 1e6, Burst: 1 << 30}})
	mount(api)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", "/api/v1/things/a", nil)
		r.Header.Set("Authorization", "Bearer ann")
		s.ServeHTTP(&discard{http.Header{}}, r)
	}
}
