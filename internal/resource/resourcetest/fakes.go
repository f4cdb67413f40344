package resourcetest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/yamlx"
)

// environments finds environments in the database, by name or id.
type environments struct {
	db     *sqldb.DB
	access access.Authorizer
}

const environmentQuery = `SELECT e.id, e.name, e.class, p.id, p.name, t.id, t.name
	FROM environments e JOIN projects p ON p.id = e.project_id JOIN teams t ON t.id = p.team_id
	WHERE e.deleted_at IS NULL AND p.deleted_at IS NULL AND `

func scanEnvironment(r sqldb.Row) (e resource.Environment, err error) {
	return e, r.Scan(&e.ID, &e.Name, &e.Class, &e.ProjectID, &e.Project, &e.TeamID, &e.Team)
}

var errNoEnvironment = fault.New(fault.NotFound, "environment_not_found", "no such environment")

// Resolve implements resource.Environments.
func (f environments) Resolve(ctx context.Context, project, environment string) (resource.Environment, error) {
	e, err := scanEnvironment(f.db.Read().QueryRowContext(ctx, environmentQuery+`(p.name = $1 OR p.id = $1) AND (e.name = $2 OR e.id = $2)`, project, environment))
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoEnvironment
	}
	if err != nil {
		return e, err
	}
	_, err = f.access.Check(ctx, access.EnvironmentView, access.Target{Kind: "environment", ID: e.ID, Name: e.Name, TeamID: e.TeamID, ProjectID: e.ProjectID, EnvironmentID: e.ID})
	if fault.Is(err, fault.NotFound) {
		err = errNoEnvironment
	}
	return e, err
}

// Load implements resource.Environments.
func (f environments) Load(ctx context.Context, id string) (resource.Environment, error) {
	return scanEnvironment(f.db.Read().QueryRowContext(ctx, environmentQuery+`e.id = $1`, id))
}

// Templates knows the template "store" in versions 1.0.0 and 1.1.0, whose
// inputs are size (a number), label (a text), password (a secret) and list (of
// objects with a secret "token"); its outputs are name and the secret key.
// The template "orphan" has an engine that is not there; "careful" asks what
// becomes of what people change.
type Templates struct{}

type version struct{ info resource.TemplateInfo }

// Overlap is how long rotated credentials work.
var Overlap = 50 * time.Millisecond

// Find implements resource.Templates.
func (Templates) Find(_ context.Context, name, v string) (resource.Template, error) {
	if v == "" {
		v = "1.1.0"
	}
	if name != "store" && name != "orphan" && name != "careful" || v != "1.0.0" && v != "1.1.0" {
		return nil, fault.New(fault.NotFound, "unknown_template", "there is no template %s %s", name, v).WithField("/template")
	}
	engineName, how := "fake", drift.Policy{}
	if name == "careful" {
		how.Answers = map[engine.Cause]drift.Answer{engine.CausePerson: drift.Ask}
	}
	if name == "orphan" {
		engineName = "nowhere"
	}
	digest := "digest-of-" + name + v
	return version{resource.TemplateInfo{Name: name, Version: v, Digest: digest, Engine: engineName, Drift: how,
		Outputs: map[string]bool{"name": false, "key": true}, OutputTypes: map[string]string{"name": "string", "key": "string"},
		Gate: func(map[string]any) gate.Template {
			return gate.Template{Name: name, Version: v, Digest: digest, Engine: engineName}
		}}}, nil
}

// Load implements resource.Templates.
func (t Templates) Load(ctx context.Context, name, v string) (resource.Template, error) {
	return t.Find(ctx, name, v)
}

var reference = regexp.MustCompile(`^\$\{\{ *resources\.([a-z0-9-]+)\.outputs\.([a-z]+) *\}\}$`)

func walk(v any, at string, f func(at, s string) (any, error)) (any, error) {
	var err error
	switch c := v.(type) {
	case string:
		return f(at, c)
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(c)) {
			if out[k], err = walk(c[k], at+"/"+k, f); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(c))
		for i := range c {
			if out[i], err = walk(c[i], at+"/"+strconv.Itoa(i), f); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// References implements resource.Templates.
func (Templates) References(inputs map[string]any) (out []resource.Reference, err error) {
	_, err = walk(inputs, "", func(at, s string) (any, error) {
		if m := reference.FindStringSubmatch(s); m != nil {
			out = append(out, resource.Reference{Input: at, Resource: m[1], Output: m[2]})
		}
		return s, nil
	})
	return out, err
}

// Resolve implements resource.Templates.
func (Templates) Resolve(inputs map[string]any, value func(name, output string) (any, error)) (map[string]any, error) {
	out, err := walk(inputs, "", func(_, s string) (any, error) {
		if m := reference.FindStringSubmatch(s); m != nil {
			return value(m[1], m[2])
		}
		return s, nil
	})
	m, _ := out.(map[string]any)
	return m, err
}

// Info implements resource.Template.
func (v version) Info() resource.TemplateInfo { return v.info }

// Check implements resource.Template.
func (v version) Check(inputs map[string]any) (map[string]any, error) {
	out := maps.Clone(inputs)
	if out == nil {
		out = map[string]any{}
	}
	if out["size"] == nil {
		out["size"] = int64(1)
	}
	for k, x := range out {
		x = yamlx.Numbers(x)
		out[k] = x
		bad := fault.New(fault.Invalid, "invalid_inputs", "the input %s is not valid", k).WithField("/" + k)
		switch k {
		case "size":
			switch n := x.(type) {
			case int:
				out[k] = int64(n)
			case int64:
			case float64:
				out[k] = int64(n)
			default:
				if s, ok := x.(string); !ok || !reference.MatchString(s) {
					return nil, bad
				}
			}
		case "label", "password", "peer":
			if _, ok := x.(string); !ok {
				return nil, bad
			}
		case "list":
			if _, ok := x.([]any); !ok {
				return nil, bad
			}
		default:
			return nil, bad
		}
	}
	return out, nil
}

// CheckResolved implements resource.Template.
func (v version) CheckResolved(inputs map[string]any) error {
	_, err := v.Check(inputs)
	return err
}

// SecretInputs implements resource.Template.
func (v version) SecretInputs(inputs map[string]any) []string {
	var out []string
	if _, ok := inputs["password"]; ok {
		out = append(out, "/password")
	}
	list, _ := inputs["list"].([]any)
	for i := range list {
		if m, ok := list[i].(map[string]any); ok && m["token"] != nil {
			out = append(out, "/list/"+strconv.Itoa(i)+"/token")
		}
	}
	return out
}

// Render implements resource.Template.
func (v version) Render(inputs map[string]any, _ engine.Ref, _ string) (engine.Template, engine.LifeCycle, error) {
	spec, err := json.Marshal(inputs)
	return engine.Template{Name: v.info.Name, Version: v.info.Version, Digest: v.info.Digest, Spec: spec},
		engine.LifeCycle{Stateful: true, RotationOverlap: Overlap}, err
}

// secrets keeps secrets in the database, scrambled: no dump shows them.
type secrets struct{ db *sqldb.DB }

func scramble(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0x5a
	}
	return out
}

// Put implements resource.Secrets.
func (f secrets) Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO secrets (id, owner, name, key_id, wrapped_key, ciphertext, created_at) VALUES ($1, $2, $3, 'fake', $4, $5, $6)
		ON CONFLICT (owner, name) DO UPDATE SET ciphertext = excluded.ciphertext`,
		ident.New("sec"), owner, name, []byte{0}, scramble([]byte(value.Reveal())), tx.Now().UnixMicro())
	return err
}

// Get implements resource.Secrets.
func (f secrets) Get(ctx context.Context, owner, name string) (redact.Secret, error) {
	var b []byte
	err := f.db.Read().QueryRowContext(ctx, `SELECT ciphertext FROM secrets WHERE owner = $1 AND name = $2`, owner, name).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return redact.Secret{}, fault.New(fault.NotFound, "secret_not_found", "there is no such secret")
	}
	return redact.New(string(scramble(b))), err
}

// Delete implements resource.Secrets.
func (f secrets) Delete(ctx context.Context, tx *sqldb.Tx, owner string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM secrets WHERE owner = $1`, owner)
	return err
}

// Dump gives every row of every table as text, to look for what must not be
// there.
func Dump(ctx context.Context, db *sqldb.DB) (string, error) {
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	if db.Dialect() == sqldb.Postgres {
		query = `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`
	}
	tables, err := sqldb.Collect(ctx, db.Read(), func(r sqldb.Row) (s string, err error) { return s, r.Scan(&s) }, query)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, table := range tables {
		if err := dumpTable(ctx, db, table, &out); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

func dumpTable(ctx context.Context, db *sqldb.DB, table string, out *strings.Builder) error {
	rows, err := db.Read().QueryContext(ctx, `SELECT * FROM `+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		cells := make([]sql.RawBytes, len(columns))
		to := make([]any, len(columns))
		for i := range cells {
			to[i] = &cells[i]
		}
		if err := rows.Scan(to...); err != nil {
			return err
		}
		out.WriteString(table)
		for _, c := range cells {
			out.WriteString("\t")
			out.Write(c)
		}
		out.WriteString("\n")
	}
	return rows.Err()
}
