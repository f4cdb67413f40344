package httpx_test

import (
	"net"
	"net/http/httptest"
	"testing"
)

func dial(t testing.TB, ts *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
