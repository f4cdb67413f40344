package iac

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// door is what a run reaches from its closed network.
type door struct {
	ctx   context.Context // until the run has ended
	close func()
}

func newDoor() *door {
	ctx, cancel := context.WithCancel(context.Background())
	return &door{ctx, cancel}
}

func (d *door) open(e *Engine) func(string, net.Listener) {
	return func(address string, l net.Listener) {
		context.AfterFunc(d.ctx, func() { _ = l.Close() })
		switch address {
		case e.server.Address():
			e.server.ServeOn(l)
		case proxyAddress:
			go d.accept(l, func(inner net.Conn) { e.tunnel(d, inner) })
		default:
			p, _ := e.allow.at(address)
			go d.accept(l, func(inner net.Conn) { e.forward(d, p, inner) })
		}
	}
}

const maxConnections = 256 // of one listener at once

func (d *door) accept(l net.Listener, serve func(net.Conn)) {
	free := make(chan struct{}, maxConnections)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		free <- struct{}{}
		go func() {
			defer func() { _ = c.Close(); <-free }()
			serve(c)
		}()
	}
}

// forward carries a connection from a run to an allowed place. Where a name
// leads is judged when it is dialled: the open Internet, or what the
// configuration allows by its address.
func (e *Engine) forward(d *door, p place, inner net.Conn) {
	outer, err := e.egress.Dial(d.ctx, p.dial, p.name == "")
	if err != nil {
		e.o.Log.Warn("a run could not reach an allowed place", "place", p.dial, "error", err)
		return
	}
	defer func() { _ = outer.Close() }()
	d.join(inner, outer)
}

// tunnel is a proxy for `init`, which fetches providers and modules by https
// from the open Internet, and from what the configuration allows. Nothing of a
// module runs meanwhile, but the module says what is fetched.
func (e *Engine) tunnel(d *door, inner net.Conn) {
	_ = inner.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReaderSize(io.LimitReader(inner, 1<<16), 1<<12)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if req.Method != http.MethodConnect {
		_, _ = io.WriteString(inner, "HTTP/1.1 403 Only https is let out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	outer, err := e.egress.Dial(d.ctx, req.Host, false)
	if err != nil {
		e.o.Log.Warn("a module could not be fetched from there", "place", req.Host, "error", err)
		_, _ = io.WriteString(inner, "HTTP/1.1 403 Not a place that init may reach\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	defer func() { _ = outer.Close() }()
	if _, err := io.WriteString(inner, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	_ = inner.SetDeadline(time.Time{})
	early, _ := in.Peek(in.Buffered()) // sent before the answer
	if _, err := outer.Write(early); err != nil {
		return
	}
	d.join(inner, outer)
}

// join carries bytes both ways until both sides, or the run, have ended.
func (d *door) join(inner, outer net.Conn) {
	defer context.AfterFunc(d.ctx, func() { _ = inner.Close(); _ = outer.Close() })()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(outer, inner); halfClose(outer) }()
	_, _ = io.Copy(inner, outer)
	halfClose(inner)
	<-done
}

func halfClose(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}
