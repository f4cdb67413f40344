package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets
var assetFS embed.FS

var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

type asset struct {
	contentType   string
	plain, zipped []byte
}

type assetSet struct {
	tag   string // of all of them: part of each address, so that a new release is never mixed with an old one
	files map[string]asset
}

// assets are read and packed once.
var assets = sync.OnceValue(func() assetSet {
	set := assetSet{files: map[string]asset{}}
	entries, err := assetFS.ReadDir("assets")
	if err != nil {
		panic(err) // what is embedded cannot be missing
	}
	sum := sha256.New()
	for _, e := range entries {
		plain, err := assetFS.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		var z bytes.Buffer
		w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
		_, _ = w.Write(plain)
		_ = w.Close()
		set.files[e.Name()] = asset{assetTypes[path.Ext(e.Name())], plain, z.Bytes()}
		sum.Write([]byte(e.Name()))
		sum.Write(plain)
	}
	set.tag = hex.EncodeToString(sum.Sum(nil))[:12]
	return set
})

// Asset gives the address of an embedded file.
func Asset(name string) string { return "/assets/" + assets().tag + "/" + name }

// serveAsset answers for one file. Its address changes with its content, so
// that whoever has it never needs to ask again.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	f, ok := assets().files[r.PathValue("name")]
	if !ok || f.contentType == "" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Vary", "Accept-Encoding")
	if r.PathValue("tag") == assets().tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(f.zipped)
		return
	}
	_, _ = w.Write(f.plain)
}
