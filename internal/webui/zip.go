package webui

import (
	"compress/gzip"
	"net/http"
	"sync"
)

var zippers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

// zip sends a page packed. Pages hold no secret beside text that somebody else
// chose and can ask for again and again: credentials are shown by a POST of
// our own pages alone.
func zip(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z, _ := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(w)
	_, _ = z.Write(body)
	_ = z.Close()
}
