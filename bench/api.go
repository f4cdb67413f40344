package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const connections = 64

// bareCommand makes this program the bare peer: net/http that writes the same
// bytes and does nothing else.
const bareCommand = "serve-bare"

// bareServer answers with the replies in a file: status, headers and body by
// the path.
func bareServer(args []string) {
	b, err := os.ReadFile(args[1])
	if err != nil {
		panic(err)
	}
	var replies map[string]reply
	if err := json.Unmarshal(b, &replies); err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	for path, re := range replies {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			h := w.Header()
			for k, v := range re.Header {
				h[k] = v
			}
			w.WriteHeader(re.Status)
			_, _ = w.Write(re.Body)
		})
	}
	panic(http.ListenAndServe(args[0], mux)) //nolint:gosec // a peer in a bench
}

// reply is an answer as it was on the wire.
type reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// question is one kind of request to one server.
type question struct {
	method, path, token string
	body                func(i int64) string
}

func (q question) bytes(host string, i int64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", q.method, q.path, host, q.token)
	if q.body != nil {
		body := q.body(i)
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	} else {
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// connection is a client that costs little: the servers shall have the
// machine. It understands what these servers answer.
type connection struct {
	net.Conn
	in *bufio.Reader
}

func connect(base string, n int) ([]*connection, error) {
	host := strings.TrimPrefix(base, "http://")
	all := make([]*connection, n)
	for i := range all {
		c, err := net.Dial("tcp", host)
		if err != nil {
			return nil, err
		}
		all[i] = &connection{c, bufio.NewReaderSize(c, 64<<10)}
	}
	return all, nil
}

func (c *connection) ask(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || line[9] != '2' {
		return fmt.Errorf("answer %q", line)
	}
	length, chunked := 0, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if len(line) > 16 && bytes.EqualFold(line[:16], []byte("Content-Length: ")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[16:]))); err != nil {
				return err
			}
		}
		chunked = chunked || bytes.EqualFold(bytes.TrimSpace(line), []byte("Transfer-Encoding: chunked"))
	}
	for chunked {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := c.in.Discard(int(size) + 2); err != nil {
			return err
		}
		chunked = size > 0
	}
	_, err = c.in.Discard(length)
	return err
}

// asking sends n requests over all connections: a sample, of all. Connections
// are made anew for each block and not timed.
func asking(base string, q question, n int, ids *atomic.Int64) side {
	host := strings.TrimPrefix(base, "http://")
	return func(context.Context) ([]float64, error) {
		all, err := connect(base, connections)
		if err != nil {
			return nil, err
		}
		defer func() {
			for _, c := range all {
				c.Close()
			}
		}()
		same := q.bytes(host, 0)
		began := time.Now()
		err = each(connections, func(i int) error {
			for range n / connections {
				request := same
				if q.body != nil {
					request = q.bytes(host, ids.Add(1))
				}
				if err := all[i].ask(request); err != nil {
					return err
				}
			}
			return nil
		})
		return []float64{time.Since(began).Seconds() / float64(n/connections*connections)}, err
	}
}

// record asks once with a common client and keeps the answer for the bare peer.
func record(base string, q question, i int64) (reply, error) {
	var body io.Reader
	if q.body != nil {
		body = strings.NewReader(q.body(i))
	}
	req, err := http.NewRequest(q.method, base+q.path, body) //nolint:noctx // once
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+q.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", q.method, q.path, res.Status, b)
	}
	res.Header.Del("Date")
	return reply{res.StatusCode, res.Header, b}, err
}

func apiLoad(ctx context.Context, r *run) error {
	f, err := r.apiServer(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	p, err := r.pocketbase(ctx, "pocketbase")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.fill(ctx, 60); err != nil {
		return err
	}
	questions := []struct {
		name         string
		ours, theirs question
		n            int
		bare, pocket float64
	}{
		{"GET one", question{method: "GET", path: "/api/v1" + inDev + "/r-1", token: f.token},
			question{method: "GET", path: "/api/collections/things/records/" + p.one, token: p.token}, 12_800, 0.5, 1.5},
		{"list of 50", question{method: "GET", path: "/api/v1" + inDev + "?limit=50", token: f.token},
			question{method: "GET", path: "/api/collections/things/records?perPage=50", token: p.token}, 2_560, 0, 1.5},
		{"create", question{method: "POST", path: "/api/v1/projects", token: f.token, body: func(i int64) string {
			return fmt.Sprintf(`{"name":"p-%d","team":"shop"}`, i)
		}}, question{method: "POST", path: "/api/collections/things/records", token: p.token, body: func(i int64) string {
			return fmt.Sprintf(`{"name":"p-%d","team":"shop"}`, i)
		}}, 2_560, 0, 1.5},
	}
	replies := map[string]reply{}
	for i, q := range questions {
		re, err := record(f.base, q.ours, int64(-1-i)&0xffff)
		if err != nil {
			return err
		}
		path, _, _ := strings.Cut(q.ours.path, "?")
		replies[q.ours.method+" "+path] = re
	}
	bare, err := r.bare(ctx, replies)
	if err != nil {
		return err
	}
	defer bare.stop()
	var ids atomic.Int64
	ids.Store(100_000)
	for _, q := range questions {
		if r.quick {
			q.n /= 4
		}
		for _, peer := range []struct {
			name, base string
			q          question
			target     float64
		}{{"bare net/http, the same bytes", bare.base, q.ours, q.bare}, {"PocketBase", p.base, q.theirs, q.pocket}} {
			if err := r.compare(ctx, comparison{
				bench: "9", what: q.name + ", 64 connections", peer: peer.name, rate: true, scale: 1e6, unit: "µs each",
				ours: asking(f.base, q.ours, q.n, &ids), theirs: asking(peer.base, peer.q, q.n, &ids), stats: []statistic{{"rate", mean, peer.target}},
			}); err != nil {
				return fmt.Errorf("%s against %s: %w", q.name, peer.name, err)
			}
		}
	}
	return nil
}

// apiServer is a server of ours with 60 resources.
func (r *run) apiServer(ctx context.Context) (*fairlead, error) {
	// A server for databases that is never asked: nothing of this bench needs it.
	f, err := r.fairlead(ctx, setup{dir: filepath.Join(r.dir, "api"), postgres: "postgres://nobody@127.0.0.1:1/none"})
	if err != nil {
		return nil, err
	}
	if err = f.signIn(ctx); err == nil {
		for i := range 60 {
			if err = f.do(ctx, "POST", inDev, map[string]any{"name": fmt.Sprintf("r-%d", i), "template": "null", "inputs": map[string]any{"value": "hello"}}, nil); err != nil {
				break
			}
		}
	}
	var v struct{ Phase string }
	for err == nil && v.Phase != "ready" {
		err = f.do(ctx, "GET", inDev+"/r-59?wait=5", nil, &v)
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

func (r *run) bare(ctx context.Context, replies map[string]reply) (*child, error) {
	b, err := json.Marshal(replies)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.dir, "replies.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return launch(ctx, filepath.Join(r.dir, "bare"), "http://"+addr, "/ready", nil, self, bareCommand, addr, file)
}
