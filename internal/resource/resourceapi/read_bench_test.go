package resourceapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"fairlead/internal/httpx"
	"fairlead/internal/resource/resourceapi"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb/sqldbtest"
)

// BenchmarkReads is what one resource and a page of fifty cost with all of the
// API around them but the network.
func BenchmarkReads(b *testing.B) {
	db := sqldbtest.SQLite(b)
	bench := resourcetest.New(b, db)
	for i := range 60 {
		bench.Create(fmt.Sprintf("r-%d", i), map[string]any{"size": int64(2)})
	}
	api, srv := httpx.New(httpx.Options{Auth: people{"ann": resourcetest.Ann}, DB: db, Rate: httpx.Rate{PerSecond: -1}})
	resourceapi.Register(api, bench.Svc)
	for name, path := range map[string]string{"get": "/resources/r-1", "list": "/resources?limit=50"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, env+path, nil)
				r.Header.Set("Authorization", "Bearer ann")
				w := httptest.NewRecorder()
				if srv.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
