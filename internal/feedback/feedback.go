package feedback

import "time"

// Said is one person's word on one page.
type Said struct {
	ID      string
	Page    string // the route's pattern: /projects/{project}
	UserID  string
	User    string
	Version string // of Fairlead
	Helpful bool
	Words   string
	At      time.Time
}

// Opinion is what somebody says.
type Opinion struct {
	Page    string
	Helpful bool
	Words   string // of one line; "" leaves what they said before
}

// Sum is what all say of one page.
type Sum struct {
	Page         string
	Helpful, Not int64
	Words        int64 // how many said why
	Last         time.Time
}

// Filter narrows a list; the zero value is all.
type Filter struct {
	Page    string
	Version string
	Helpful *bool
	Words   bool // only with words
	Sort    string
}
