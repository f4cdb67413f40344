package embedded

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"fairlead/internal/fault"
	"fairlead/internal/keyfile"
)

const (
	// KeyFile is the ring's file in the key folder. A backup holds it.
	KeyFile = "master.key"
	// KeyVariable is the environment variable in the file's stead.
	KeyVariable = "FAIRLEAD_MASTER_KEY"

	keySize = 32
)

// key is one AES-256 key. Its id tells nothing about it.
type key struct {
	id   string
	raw  []byte
	aead cipher.AEAD
}

func newKey(raw []byte) (key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, err
	}
	sum := sha256.Sum256(append([]byte("fairlead master key id\n"), raw...))
	return key{hex.EncodeToString(sum[:8]), raw, aead}, nil
}

func generateKey() (key, error) {
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails: crypto/rand aborts the process by itself
	return newKey(raw)
}

// seal encrypts under a fresh nonce, which it puts first.
func (k key) seal(plain, bound []byte) []byte {
	nonce := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	rand.Read(nonce)
	return k.aead.Seal(nonce, nonce, plain, bound)
}

func (k key) open(sealed, bound []byte) ([]byte, error) {
	n := k.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("too short")
	}
	return k.aead.Open(nil, sealed[:n], sealed[n:], bound)
}

// ring holds the master keys that this process has.
type ring struct {
	dir     string // of the file; "" when the keys are the environment's
	mu      sync.RWMutex
	keys    map[string]key
	first   string // of the environment's: the one to be active
	unsaved bool   // learnt from the store, not yet in the file
}

// ringFile is the file's JSON.
type ringFile struct {
	Format string   `json:"format"`
	Keys   []string `json:"keys"` // base64
}

const ringFormat = "fairlead-master-key/v1"

func parseKeys(encoded []string, where string) ([]key, error) {
	damaged := fault.New(fault.Invalid, "master_key_damaged", "%s holds no master key", where).
		WithHint("put the original back, for instance from a backup; nothing was changed")
	var keys []key
	for _, e := range encoded {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(e))
		if err != nil || len(raw) != keySize {
			return nil, damaged
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, damaged
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, damaged
	}
	return keys, nil
}

// openRing reads the environment's keys, or else the file's. With neither the
// ring is empty.
func openRing(dir, environment string) (*ring, error) {
	r := &ring{keys: map[string]key{}}
	if environment != "" {
		keys, err := parseKeys(strings.Split(environment, ","), KeyVariable)
		if err != nil {
			return nil, err
		}
		r.first = keys[0].id
		r.put(keys...)
		return r, nil
	}
	r.dir = dir
	keys, err := r.load()
	r.put(keys...)
	return r, err
}

func (r *ring) path() string { return filepath.Join(r.dir, KeyFile) }

func (r *ring) where() string {
	if r.dir == "" {
		return KeyVariable
	}
	return r.path()
}

func (r *ring) load() ([]key, error) {
	data, err := keyfile.Load(r.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f ringFile
	if err := json.Unmarshal(data, &f); err != nil || f.Format != ringFormat {
		f.Keys = nil
	}
	return parseKeys(f.Keys, r.path())
}

// reload adds what the file has by now.
func (r *ring) reload() error {
	if r.dir == "" {
		return nil
	}
	keys, err := r.load()
	r.put(keys...)
	return err
}

func encodeRing(keys []key) ([]byte, error) {
	f := ringFile{Format: ringFormat}
	for _, k := range keys {
		f.Keys = append(f.Keys, base64.StdEncoding.EncodeToString(k.raw))
	}
	data, err := json.MarshalIndent(f, "", "  ")
	return append(data, '\n'), err
}

func (r *ring) get(id string) (key, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[id]
	return k, ok
}

func (r *ring) put(keys ...key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range keys {
		r.keys[k.id] = k
	}
}

// learn adds a key that came from the store; save writes it down.
func (r *ring) learn(k key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.keys[k.id]; !known {
		r.keys[k.id] = k
		r.unsaved = r.dir != ""
	}
}

func (r *ring) needsSaving() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.unsaved
}

// encoded gives the ring as its file would be.
func (r *ring) encoded() ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return encodeRing(r.sorted())
}

func (r *ring) sorted() []key {
	var keys []key
	for _, k := range r.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.id, b.id) })
	return keys
}

// update changes the file under a lock that processes sharing the folder
// honour: what they added stays, what drop names goes.
func (r *ring) update(drop func(id string) bool) error {
	if r.dir == "" {
		return nil
	}
	onDisk, err := r.load()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range onDisk {
		r.keys[k.id] = k
	}
	for id := range r.keys {
		if drop(id) {
			delete(r.keys, id)
		}
	}
	data, err := encodeRing(r.sorted())
	if err != nil {
		return err
	}
	if err := keyfile.Replace(r.path(), data); err != nil {
		return err
	}
	r.unsaved = false
	return nil
}

// hasOther tells whether a key is in the ring that is not among known.
func (r *ring) hasOther(known map[string]bool) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id := range r.keys {
		if !known[id] {
			return true
		}
	}
	return false
}

// forget takes one key back that was just made; an emptied file goes.
func (r *ring) forget(id string) error {
	r.mu.Lock()
	delete(r.keys, id)
	empty := len(r.keys) == 0
	r.mu.Unlock()
	if empty {
		return os.Remove(r.path())
	}
	return r.update(func(k string) bool { return k == id })
}

// lock keeps other processes from changing the ring file.
func (r *ring) lock() (unlock func(), err error) {
	if r.dir == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, lockFailed(r.dir, err)
	}
	f, err := os.OpenFile(r.path()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, lockFailed(r.dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, lockFailed(r.dir, err)
	}
	return func() { f.Close() }, nil
}

func lockFailed(dir string, err error) error {
	return fault.New(fault.Unavailable, "key_file_unwritable", "the key folder %s cannot be locked", dir).
		WithHint("check the folder's owner and the free space").WithCause(err)
}
