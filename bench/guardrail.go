package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/rego"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/template/bundle"
)

// decisionsWithGuardrails measures what every request passes: access and
// guardrails. The ten rules are everybody's; the rest are of other teams, in
// bundles as large as they may be.
func decisionsWithGuardrails(ctx context.Context, r *run, fewRules, manyRules, viaCasbin func(context.Context) error, big, times int) error {
	few, err := r.guarded(ctx, 10, fewRules)
	if err != nil {
		return err
	}
	many, err := r.guarded(ctx, big, manyRules)
	if err != nil {
		return err
	}
	raw, err := rawOPA(ctx)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		what, peer   string
		ours, theirs func(context.Context) error
		m            int
		target       float64
	}{
		{"access and guardrails, 10 rules", "OPA, prepared, the document at hand", few, raw, times, 1.1},
		{fmt.Sprintf("access and guardrails, %d rules", big), "OPA, prepared, the 10 that matter", many, raw, times, 1.1},
		{fmt.Sprintf("access and guardrails, %d rules", big), "Casbin", many, viaCasbin, 3, 0.01},
	} {
		if err := r.compare(ctx, comparison{
			bench: "10", what: c.what, peer: c.peer, ours: repeated(times, c.ours), theirs: repeated(c.m, c.theirs),
			stats: []statistic{{"mean", mean, c.target}}, scale: 1e6, unit: "µs",
		}); err != nil {
			return err
		}
	}
	return nil
}

// tenGuardrails is what people write: a field compared, a message made.
func tenGuardrails() string {
	var b strings.Builder
	b.WriteString("package common\n\n")
	for i := range 10 {
		fmt.Fprintf(&b, "deny contains sprintf(\"size %%v of %%s\", [input.inputs.size, input.resource.name]) if {\n\tinput.environment.class == \"class%d\"\n\tinput.inputs.size > %d\n}\n\n", i, i)
	}
	return b.String()
}

var requested = gate.Facts{
	Stage: gate.Request, Action: gate.Create, Principal: asker, Resource: "orders", Inputs: map[string]any{"size": 100, "name": "orders"},
	Environment: gate.Environment{ID: "env_1", Name: "dev", Class: "class7", ProjectID: "prj_1", Project: "web", TeamID: "team_1", Team: "one"},
	Template:    gate.Template{Name: "postgres", Version: "1.0.0", Engine: "postgres", Stateful: true},
}

// guarded asks check, and then the product's own guardrails on a store that
// holds n rules of them.
func (r *run) guarded(ctx context.Context, n int, check func(context.Context) error) (func(context.Context) error, error) {
	db, err := sqldb.Open(ctx, sqldb.Options{URL: "sqlite:" + filepath.Join(r.dir, fmt.Sprintf("guardrails-%d.db", n))})
	if err != nil {
		return nil, err
	}
	s := guardrail.New(guardrail.Options{DB: db, Access: allowAll{}, Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))})
	ctx = principal.With(ctx, principal.System)
	if err := enable(ctx, s, "common", map[string]string{"common.rego": tenGuardrails()}, "- {package: common, stage: request}\n"); err != nil {
		return nil, err
	}
	const packages = 190 // of a bundle, one a team
	for left, nr := n-10, 0; left > 0; nr++ {
		files, manifest := map[string]string{}, ""
		for i := 0; i < packages && left > 0; i++ {
			var src strings.Builder
			fmt.Fprintf(&src, "package t%d\n\n", i)
			for j := 0; j < 60 && left > 0; j++ {
				fmt.Fprintf(&src, "deny contains \"x%d\" if input.inputs.size > %d\n", j, 1000+j)
				left--
			}
			files[fmt.Sprintf("t%d.rego", i)] = src.String()
			manifest += fmt.Sprintf("- {package: t%d, stage: request, scope: {teams: [team-%d-%d]}}\n", i, nr, i)
		}
		if err := enable(ctx, s, fmt.Sprintf("of-teams-%d", nr), files, manifest); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		if err := check(ctx); err != nil {
			return err
		}
		verdicts, _, err := s.Evaluate(ctx, requested)
		if err == nil && (len(verdicts) != 1 || verdicts[0].Message != "size 100 of orders") {
			err = fmt.Errorf("the guardrails say %+v", verdicts)
		}
		return err
	}, nil
}

func enable(ctx context.Context, s *guardrail.Service, name string, files map[string]string, guardrails string) error {
	tree := fstest.MapFS{
		"policy.yaml":    {Data: []byte("apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: " + name + ", version: 1.0.0}\nguardrails:\n" + guardrails)},
		"some_test.rego": {Data: []byte("package some_test\n\ntest_nothing if true\n")},
	}
	for path, text := range files {
		tree[path] = &fstest.MapFile{Data: []byte(text)}
	}
	b, err := bundle.FromFS(tree)
	if err != nil {
		return err
	}
	if _, err := s.Push(ctx, bytes.NewReader(b.Archive()), "", ""); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	_, err = s.Activate(ctx, name, "1.0.0")
	return err
}

// rawOPA is OPA's own prepared query of the ten rules.
func rawOPA(ctx context.Context) (func(context.Context) error, error) {
	q, err := rego.New(rego.Module("common.rego", tenGuardrails()), rego.Query("x = data.common.deny")).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	document := requested.Document()
	return func(ctx context.Context) error {
		rs, err := q.Eval(ctx, rego.EvalInput(document))
		if err == nil && len(rs) != 1 {
			err = errors.New("OPA says nothing")
		}
		return err
	}, nil
}

var _ access.Authorizer = allowAll{}
