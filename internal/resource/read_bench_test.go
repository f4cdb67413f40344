package resource_test

import (
	"fmt"
	"testing"

	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// BenchmarkReads is what one resource and a page of fifty cost, without HTTP.
func BenchmarkReads(b *testing.B) {
	bench := resourcetest.New(b, sqldbtest.SQLite(b))
	for i := range 60 {
		bench.Create(fmt.Sprintf("r-%d", i), map[string]any{"size": int64(2)})
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := bench.Svc.Get(bench.Ctx, resourcetest.Where("r-1")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			list, _, err := bench.Svc.List(bench.Ctx, resource.Filter{Project: "shop", Environment: "dev"}, sqldb.Page{Limit: 50})
			if err != nil || len(list) != 50 {
				b.Fatal(len(list), err)
			}
		}
	})
}
