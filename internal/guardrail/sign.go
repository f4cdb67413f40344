package guardrail

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// signer vouches for what is stored: whoever can write to the database cannot
// change a policy, or what is in force, without its being noticed.
type signer struct{ key ed25519.PrivateKey }

func (s signer) sign(parts ...string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, payload(parts)))
}

func (s signer) holds(signature string, parts ...string) bool {
	raw, err := base64.StdEncoding.DecodeString(signature)
	public, ok := s.key.Public().(ed25519.PublicKey)
	return err == nil && ok && ed25519.Verify(public, payload(parts), raw)
}

// payload keeps the parts apart whatever is in them.
func payload(parts []string) []byte {
	out := []byte("fairlead guardrails 1\n")
	for _, p := range parts {
		out = append(out, strconv.Itoa(len(p))+":"+p+"\n"...)
	}
	return out
}

func (s signer) signBundle(v Summary) string {
	return s.sign("bundle", v.Name, v.Version, v.Digest, v.CreatedBy)
}

func (s signer) bundleHolds(v Summary) bool {
	return s.holds(v.signature, "bundle", v.Name, v.Version, v.Digest, v.CreatedBy)
}

// state makes the signed record of what is in force after n changes.
func (s signer) state(n int64, list []version) (state, error) {
	slices.SortFunc(list, func(a, b version) int { return strings.Compare(a.Name, b.Name) })
	raw, err := json.Marshal(append([]version{}, list...))
	if err != nil {
		return state{}, err
	}
	return state{n, string(raw), s.sign("state", strconv.FormatInt(n, 10), string(raw))}, nil
}

func (s signer) stateHolds(st state) bool {
	if st.version == 0 {
		return st.list == "[]" // as the migration made it
	}
	return s.holds(st.signature, "state", strconv.FormatInt(st.version, 10), st.list)
}
