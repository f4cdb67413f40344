package pgserver

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"fairlead/internal/fault"
)

// account is whom the server runs as. PostgreSQL refuses to run as root.
type account struct {
	Name string `json:"name"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	drop bool   // we are root and must become this account
}

// chooseAccount gives the present account, or when that is root an
// unprivileged one.
func chooseAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{UID: os.Geteuid(), GID: os.Getegid(), Name: strconv.Itoa(os.Geteuid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid != 0 {
			return account{Name: name, UID: uid, GID: gid, drop: true}, nil
		}
	}
	return account{}, fault.New(fault.Unavailable, "postgres_no_account", "PostgreSQL does not run as root, and this machine has neither a postgres nor a nobody account").
		WithHint("run Fairlead as an ordinary user, or add an account named postgres")
}

// attributes makes a child run as the account, in a session of its own: a
// Ctrl-C at Fairlead's terminal must not reach the server.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	}
	return attr
}

// reaches tells whether the account may pass through every folder above dir.
func (a account) reaches(dir string) bool {
	if !a.drop {
		return true
	}
	for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil {
			return false
		}
		mode := info.Mode().Perm()
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case mode&0o001 != 0:
		case ok && int(st.Uid) == a.UID && mode&0o100 != 0:
		case ok && int(st.Gid) == a.GID && mode&0o010 != 0:
		default:
			return false
		}
		if p == filepath.Dir(p) {
			return true
		}
	}
}

// fallback is where the data lives when the account cannot reach dir: named
// by dir, so that two installations never share it.
func fallback(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "/var/lib/fairlead-" + hex.EncodeToString(sum[:6])
}
