package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// pocketbase is the peer of tools/peers/pocketbase, with a collection that only
// users may see and one user's token.
type pocketbase struct {
	*child
	token string
	one   string // a record
}

const pocketPassword = "not-a-secret-0123456789"

// pocketbase builds the peer once, into .cache, and starts it.
func (r *run) pocketbase(ctx context.Context, name string) (*pocketbase, error) {
	bin := filepath.Join(r.root, ".cache", "pocketbase")
	if _, err := os.Stat(bin); err != nil {
		fmt.Fprintln(os.Stderr, "  building PocketBase, once")
		if err := build(ctx, r.root, "tools/peers/pocketbase", ".", ".cache/pocketbase"); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "superuser", "upsert", "root@example.org", pocketPassword, "--dir", filepath.Join(dir, "data")) //nolint:gosec // our own arguments
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return r.startPocketbase(ctx, dir)
}

func (r *run) startPocketbase(ctx context.Context, dir string) (*pocketbase, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := launch(ctx, dir, "http://"+addr, "/api/health", nil, filepath.Join(r.root, ".cache", "pocketbase"), "serve", "--http", addr, "--dir", filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	return &pocketbase{child: c}, nil
}

// fill makes the collection, a user and n records, and signs the user in.
func (p *pocketbase) fill(ctx context.Context, n int) error {
	var auth struct{ Token string }
	signIn := func(collection, who string) error {
		err := p.do(ctx, "/api/collections/"+collection+"/auth-with-password", map[string]any{"identity": who, "password": pocketPassword}, &auth)
		p.token = auth.Token
		return err
	}
	if err := signIn("_superusers", "root@example.org"); err != nil {
		return err
	}
	onlyUsers := "@request.auth.id != ''"
	if err := p.do(ctx, "/api/collections", map[string]any{
		"name": "things", "type": "base", "listRule": onlyUsers, "viewRule": onlyUsers, "createRule": onlyUsers,
		"fields": []map[string]any{
			{"name": "name", "type": "text", "required": true}, {"name": "team", "type": "text"}, {"name": "template", "type": "text"},
			{"name": "phase", "type": "text"}, {"name": "inputs", "type": "json"}, {"name": "outputs", "type": "json"},
		},
		"indexes": []string{"CREATE UNIQUE INDEX things_name ON things (name)"},
	}, nil); err != nil {
		return err
	}
	if err := p.do(ctx, "/api/collections/users/records", map[string]any{
		"email": "ada@example.org", "password": pocketPassword, "passwordConfirm": pocketPassword,
	}, nil); err != nil {
		return err
	}
	if err := signIn("users", "ada@example.org"); err != nil {
		return err
	}
	for i := range n {
		var made struct{ ID string }
		if err := p.do(ctx, "/api/collections/things/records", map[string]any{
			"name": fmt.Sprintf("r-%d", i), "team": "shop", "template": "null", "phase": "ready",
			"inputs": map[string]any{"value": "hello"}, "outputs": map[string]any{"value": "hello"},
		}, &made); err != nil {
			return err
		}
		p.one = made.ID
	}
	return nil
}

func (p *pocketbase) do(ctx context.Context, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("POST %s: %s: %s", path, res.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
