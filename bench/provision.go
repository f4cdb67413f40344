package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// provisioning is a server of ours and one PostgreSQL server, on which both
// sides make databases.
type provisioning struct {
	f     *fairlead
	admin *pgxpool.Pool // the hand's connections
	url   string
	n     atomic.Int64
	end   func()
}

func (r *run) provisioning(ctx context.Context, name string, pool int) (*provisioning, error) {
	url, end, err := r.postgres(ctx, name+"-pg")
	if err != nil {
		return nil, err
	}
	p := &provisioning{url: url, end: end}
	if p.f, err = r.fairlead(ctx, setup{dir: filepath.Join(r.dir, name), postgres: url, pool: pool}); err != nil {
		end()
		return nil, err
	}
	p.end = func() { p.admin.Close(); p.f.stop(); end() }
	cfg, err := pgxpool.ParseConfig(url)
	if err == nil {
		cfg.MaxConns, cfg.MinConns = 8, 8
		p.admin, err = pgxpool.NewWithConfig(ctx, cfg)
	}
	if err == nil {
		err = p.f.signIn(ctx)
	}
	if err != nil {
		p.f.stop()
		end()
		return nil, err
	}
	return p, nil
}

// byAPI is what a developer does: ask, wait until it is settled, fetch the
// credentials, log in.
func (p *provisioning) byAPI(ctx context.Context) error {
	type view struct {
		Phase   string
		Message string
	}
	var v view
	name := fmt.Sprintf("db-%d", p.n.Add(1))
	if err := p.f.do(ctx, "POST", inDev, map[string]any{"name": name, "template": "postgres"}, &v); err != nil {
		return err
	}
	for v.Phase != "ready" {
		if v.Phase == "failed" || v.Phase == "lost" {
			return fmt.Errorf("%s: %s: %s", name, v.Phase, v.Message)
		}
		if err := p.f.do(ctx, "GET", inDev+"/"+name+"?wait=20&until=settled", nil, &v); err != nil {
			return err
		}
	}
	var c struct{ Outputs map[string]any }
	if err := p.f.do(ctx, "POST", inDev+"/"+name+"/credentials", nil, &c); err != nil {
		return err
	}
	url, _ := c.Outputs["url"].(string)
	return logIn(ctx, url)
}

// byHand is the same with pgx on a connection that is there already.
func (p *provisioning) byHand(ctx context.Context) error {
	name := fmt.Sprintf("hand_%d", p.n.Add(1))
	password := rand.Text()
	for _, sql := range []string{
		`CREATE ROLE ` + name + ` LOGIN PASSWORD '` + password + `' CONNECTION LIMIT 20`,
		`CREATE DATABASE ` + name + ` OWNER ` + name,
		`REVOKE ALL ON DATABASE ` + name + ` FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE ` + name + ` TO ` + name,
	} {
		if _, err := p.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	cfg, err := pgx.ParseConfig(p.url)
	if err != nil {
		return err
	}
	return logIn(ctx, fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", name, password, cfg.Host, cfg.Port, name))
}

func logIn(ctx context.Context, url string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	var one int
	return c.QueryRow(ctx, `SELECT 1`).Scan(&one)
}

// sequence makes n, one after the other: a sample each.
func sequence(n int, do func(context.Context) error) side {
	return func(ctx context.Context) ([]float64, error) {
		out := make([]float64, 0, n)
		for range n {
			began := time.Now()
			if err := do(ctx); err != nil {
				return nil, err
			}
			out = append(out, time.Since(began).Seconds())
		}
		return out, nil
	}
}

// burst makes n, some at a time: one sample, of all.
func burst(n, atOnce int, do func(context.Context) error) side {
	return timed(func(ctx context.Context) error {
		var all sync.WaitGroup
		var left atomic.Int64
		left.Store(int64(n))
		errs := make(chan error, atOnce)
		for range atOnce {
			all.Go(func() {
				for left.Add(-1) >= 0 {
					if err := do(ctx); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		all.Wait()
		close(errs)
		return <-errs
	})
}

func coldProvision(ctx context.Context, r *run) error {
	p, err := r.provisioning(ctx, "cold", 0)
	if err != nil {
		return err
	}
	defer p.end()
	n := 25 // A B B A: 50 of each in a round
	if r.quick {
		n = 5
	}
	return r.compare(ctx, comparison{
		bench: "1", what: "POST → the credentials log in, in sequence", peer: "pgx by hand", before: p.settled(0),
		ours: sequence(n, p.byAPI), theirs: sequence(n, p.byHand), stats: []statistic{{"p50", p50, 1.15}, {"p99", p99, 1.25}},
	})
}

func warmProvision(ctx context.Context, r *run) error {
	n := 20
	if r.quick {
		n = 5
	}
	p, err := r.provisioning(ctx, "warm", n+5)
	if err != nil {
		return err
	}
	defer p.end()
	return r.compare(ctx, comparison{
		bench: "2", what: "the same from a warm pool", peer: "pgx by hand", before: p.settled(n + 5),
		ours: sequence(n, p.byAPI), theirs: sequence(n, p.byHand), stats: []statistic{{"p50", p50, 0.25}, {"p99", p99, 0}},
	})
}

func parallelProvision(ctx context.Context, r *run) error {
	p, err := r.provisioning(ctx, "parallel", 0)
	if err != nil {
		return err
	}
	defer p.end()
	n := 40
	if r.quick {
		n = 16
	}
	return r.compare(ctx, comparison{
		bench: "3", what: "40 provisions, 8 at a time", peer: "8 pgx connections by hand", before: p.settled(0),
		ours: burst(n, 8, p.byAPI), theirs: burst(n, 8, p.byHand), stats: []statistic{{"time", mean, 1.10}},
	})
}

// settled waits until the pool is full, and lets PostgreSQL write out what the
// block before has left behind, so that no block pays for another.
func (p *provisioning) settled(pool int) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			var n int
			if err := p.admin.QueryRow(ctx, `SELECT count(*) FROM pg_database WHERE datname LIKE 'fl\_pool\_%' AND NOT datallowconn`).Scan(&n); err != nil {
				return err
			}
			if n >= pool {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
		_, err := p.admin.Exec(ctx, `CHECKPOINT`)
		return err
	}
}
