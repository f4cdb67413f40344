package audit_test

import (
	"fmt"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// BenchmarkAppend is 32 writers that append one record each and wait for its
// commit; BenchmarkInsert the same with a bare row in the closure.
func BenchmarkAppend(b *testing.B) { each(b, true) }

// BenchmarkInsert is what BenchmarkAppend is held against.
func BenchmarkInsert(b *testing.B) { each(b, false) }

func each(b *testing.B, chained bool) {
	for name, open := range map[string]func(testing.TB) *sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			if chained {
				audittest.New(b, db)
			} else if err := db.Write(b.Context(), "bench.table", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(b.Context(), `CREATE TABLE bench (at BIGINT, actor TEXT, action TEXT, target TEXT, details TEXT)`)
				return err
			}); err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(16) // on two cores
			b.RunParallel(func(pb *testing.PB) {
				ctx := as(b.Context(), ada)
				for i := 0; pb.Next(); i++ {
					err := db.Write(ctx, "bench.append", func(tx *sqldb.Tx) error {
						if chained {
							audit.Append(ctx, tx, entry(i))
							return nil
						}
						_, err := tx.ExecContext(ctx, `INSERT INTO bench (at, actor, action, target, details) VALUES ($1, $2, $3, $4, $5)`,
							tx.Now().UnixMicro(), ada.ID, string(access.ResourceCreate), fmt.Sprint("res_", i), `{"n":1}`)
						return err
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
