package quota_test

import (
	"log/slog"
	"testing"

	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func BenchmarkReserve(b *testing.B) {
	for name, db := range map[string]*sqldb.DB{"sqlite": sqldbtest.SQLite(b), "postgres": sqldbtest.Postgres(b)} {
		iw := identitytest.New(b, db)
		svc := quota.New(quota.Options{DB: db, Access: iw.Access, Log: slog.New(slog.DiscardHandler)})
		f := gate.Facts{Action: gate.Create, Environment: gate.Environment{ID: "e", ProjectID: "p", TeamID: "t", Class: "development"}, Template: gate.Template{Name: "x", Units: map[string]float64{"cpu": 1}}}
		for _, limited := range []bool{false, true} {
			n := name
			if limited {
				n += "-limited"
				for _, m := range []string{"count", "cpu", "memory"} {
					if _, err := svc.Set(iw.Admin, quota.Setting{Metric: m, Max: 1e9, Enforce: true}, 0); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.Run(n, func(b *testing.B) {
				for i := 0; i < b.N; i += 200 {
					err := db.Write(b.Context(), "bench", func(tx *sqldb.Tx) error {
						for range 200 {
							f := f
							f.ResourceID = ident.New("res")
							if err := svc.Reserve(b.Context(), tx, f); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
