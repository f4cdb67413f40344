package notify

import (
	"strings"
	"testing"
	"unicode/utf8"

	"fairlead/internal/event"
)

// Whatever an event says in names, comments and messages of others, a mail
// about it has one line of subject, and each line of its text is one that
// Fairlead began.
func FuzzMail(f *testing.F) {
	for _, t := range []string{event.ApprovalRequested, event.RunFailed, "approval.*", ""} {
		f.Add(t, `{"time":"2026-01-02T03:04:05Z","subject":"res_1","data":{"resource":"orders","project":"web","environment":"dev","message":"a\r\nBcc: all@example.org\r\n\r\n.\r\nQUIT"}}`)
	}
	f.Add("lease.warned", `{"time":"2026-01-02T03:04:05Z","data":{"a\nNext: rm":["x\ny",{"\r":1},null],"kind":"resource","name":"$(id)"}}`)
	s := &Service{Options: Options{Source: "https://fairlead.example.org"}}
	f.Fuzz(func(t *testing.T, kind, payload string) {
		m, err := s.message(Delivery{EventType: clean(kind, 64), EventID: "evt_1", Recipient: "usr_1", Payload: payload})
		if err != nil {
			return
		}
		if strings.ContainsAny(m.Subject, "\r\n\x00") || len(m.Subject) > maxSubject+4 || !utf8.ValidString(m.Subject) || !strings.HasPrefix(m.Subject, "[fairlead]") {
			t.Errorf("the subject is %q", m.Subject)
		}
		if strings.ContainsAny(m.Text, "\r\x00") {
			t.Errorf("the text is %q", m.Text)
		}
		for _, line := range strings.Split(m.Text, "\n") {
			if line == "." || strings.HasPrefix(line, "Bcc") || strings.HasPrefix(line, "QUIT") {
				t.Errorf("a line of its own: %q", line)
			}
		}
	})
}
