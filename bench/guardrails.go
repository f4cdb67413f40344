package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

// aMinute is the peer of work that has a bound instead of a rival.
func aMinute(context.Context) ([]float64, error) { return []float64{60}, nil }

// lookingBack measures a backtest of the shipped baseline over recorded
// requests and what stands there, and a compliance run with it in force: all
// of the server, over HTTP, on SQLite.
func lookingBack(ctx context.Context, r *run) error {
	n := 10_000
	if r.quick {
		n = 2_000
	}
	s := setup{dir: filepath.Join(r.dir, "guardrails"), postgres: "postgres://nobody@127.0.0.1:1/none"}
	f, err := r.fairlead(ctx, s)
	if err != nil {
		return err
	}
	if err = f.signIn(ctx); err == nil { // one real request, to make the others of
		err = f.do(ctx, "POST", inDev, map[string]any{"name": "first", "template": "null", "inputs": map[string]any{"value": "hello"}}, nil)
	}
	token := f.token
	f.stop()
	if err == nil {
		err = seedResources(ctx, s, n)
	}
	if err == nil {
		err = seedDecisions(ctx, s, n)
	}
	if err != nil {
		return err
	}
	if f, err = r.fairlead(ctx, s); err != nil {
		return err
	}
	defer f.stop()
	f.token = token
	if err := r.compare(ctx, comparison{bench: "17", what: fmt.Sprintf("backtest of %d requests and %d resources", n, n), peer: "a minute",
		ours: timed(func(ctx context.Context) error { return f.backtest(ctx, n) }), theirs: aMinute, stats: []statistic{{"time", mean, 1}}, scale: 1, unit: "s"}); err != nil {
		return err
	}
	if err := f.do(ctx, "POST", "/guardrails/baseline/versions/1.0.0/activate", map[string]any{}, nil); err != nil {
		return err
	}
	return r.compare(ctx, comparison{bench: "17", what: fmt.Sprintf("compliance of %d resources", n), peer: "a minute",
		ours: timed(func(ctx context.Context) error { return f.comply(ctx, n) }), theirs: aMinute, stats: []statistic{{"time", mean, 1}}, scale: 1, unit: "s"})
}

// comply runs compliance; what the activation began is waited for.
func (f *fairlead) comply(ctx context.Context, n int) error {
	for {
		var out struct{ Resources int }
		err := f.do(ctx, "POST", "/compliance/runs", map[string]any{}, &out)
		if err == nil && out.Resources < n {
			return fmt.Errorf("only %d resources were looked at", out.Resources)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// backtest tries the shipped baseline and reads the whole answer.
func (f *fairlead) backtest(ctx context.Context, n int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+"/api/v1/guardrails/backtest?name=baseline&since=30d", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var last struct {
		Summary *struct{ Decisions, Resources int }
		Detail  string
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			return err
		}
	}
	if last.Summary == nil || last.Summary.Decisions < n || last.Summary.Resources < n {
		return fmt.Errorf("the backtest ended with %s %+v", last.Detail, last.Summary)
	}
	return lines.Err()
}

// seedDecisions records n requests like the first one, a minute apart.
func seedDecisions(ctx context.Context, s setup, n int) error {
	db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(s.dir, "fairlead.db")))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO decisions (id, at, stage, action, outcome, principal_id, principal_name, request_id, run_id, resource_id, resource, revision,
			environment_id, project_id, team_id, template, template_version, policy, document, verdicts)
		SELECT 'dec_seed' || i, d.at - i * 60000000, stage, action, outcome, principal_id, principal_name, 'req_seed' || i, '', 'res_seed' || i, 's-' || i, 1,
			environment_id, project_id, team_id, template, template_version, policy, json_set(document, '$.resource.name', 's-' || i), verdicts
		FROM n, (SELECT * FROM decisions WHERE stage = 'request' LIMIT 1) d`, n)
	return err
}
