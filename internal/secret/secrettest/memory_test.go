package secrettest_test

import (
	"testing"

	"fairlead/internal/secret/secrettest"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestTheFakeKeepsTheContract(t *testing.T) {
	t.Parallel()
	secrettest.Run(t, sqldbtest.SQLite(t), &secrettest.Memory{})
}
