package resource

import (
	"time"

	"fairlead/internal/sqldb"
)

var resources = sqldb.List[Resource]{
	Select: `SELECT ` + resourceColumns, Scan: scanResource, Default: "name",
	Orders: sqldb.Named("r", func(r Resource) (string, string, time.Time) { return r.ID, r.Name, r.UpdatedAt }),
}

var revisions = sqldb.List[Revision]{
	Select: `SELECT ` + revisionColumns, Scan: scanRevision, Default: "-number",
	Orders: map[string]sqldb.Order[Revision]{"number": {Columns: []string{"v.number"}, Key: func(v Revision) []any { return []any{v.Number} }}},
}

var runs = sqldb.List[Run]{
	Select: `SELECT ` + runColumns, Scan: scanRun, Default: "-number",
	Orders: map[string]sqldb.Order[Run]{"number": {Columns: []string{"u.number"}, Key: func(v Run) []any { return []any{v.Number} }}},
}
