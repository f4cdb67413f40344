package cost

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
	"fairlead/internal/yamlx"
)

const (
	// HoursPerMonth turns an hourly price into a monthly one, and a month's
	// into what has been spent so far.
	HoursPerMonth = 730
	maxDocument   = 1 << 20
	maxItems      = 5000
	maxPrice      = 1e9
	maxMonthly    = 1e12 // of one resource; what a budget can count
)

var (
	itemForm     = regex.Late(`^[a-z][a-z0-9_.-]{0,63}$`)
	currencyForm = regex.Late(`^[A-Z]{3}$`)
)

// Prices are what items cost.
type Prices struct {
	Currency string // ISO 4217
	Items    map[string]Price
	Digest   string // of currency and items, whatever the document looked like
}

// Price is what one of an item costs.
type Price struct {
	Monthly     float64
	Hourly      float64
	Unit        string // for people
	Description string
}

// Table is a version of the price table.
type Table struct {
	Prices
	Version   int64
	Count     int // items
	Document  string
	CreatedAt time.Time
	CreatedBy string // id

	RepricedAt time.Time // all that lives is priced by it since; zero: not yet
	Repriced   int64     // resources that came to another amount by it
}

// ParsePrices reads a price table:
//
//	currency: EUR
//	items:
//	  database: {monthly: 20, unit: a database, description: …}
//	  cpu: {hourly: 0.02, unit: a core}
//
// What is wrong is Invalid with the code "invalid_prices", file, line and
// field; a document past the bounds is refused unread.
func ParsePrices(src []byte) (Prices, error) {
	if len(src) > maxDocument {
		return Prices{}, fault.New(fault.TooLarge, "prices_too_large", "the price table is %d bytes long; %d are allowed", len(src), maxDocument)
	}
	doc, err := yamlx.DecodeOne(bytes.NewReader(src), yamlx.Limits{File: "prices"})
	if err != nil {
		return Prices{}, err
	}
	r := yamlx.NewReader("prices")
	top := r.Object(doc.Root, "currency", "items")
	p := Prices{Items: map[string]Price{}}
	if n := top.Need("currency"); n != nil {
		if p.Currency = top.String("currency"); !currencyForm().MatchString(p.Currency) {
			r.Fail(n, "must be a currency of three capital letters, such as EUR")
		}
	}
	if items := top.Need("items"); items != nil {
		if len(items.Fields) > maxItems {
			return Prices{}, fault.New(fault.Invalid, "invalid_prices", "the price table has more than %d items", maxItems).WithField("/items").
				WithHint("leave out what no template asks for")
		}
		p.items(r, items)
	}
	if err := r.Err("invalid_prices", "the price table is not valid"); err != nil {
		return Prices{}, fault.From(err).WithHint("see docs/cost.md for the form of a price table")
	}
	p.Digest, err = p.digest()
	return p, err
}

func (p Prices) items(r *yamlx.Reader, n *yamlx.Node) {
	if n.Kind != yamlx.Object {
		r.Fail(n, "must be an object from item to {monthly or hourly, unit, description}, is %s", n.Kind)
		return
	}
	for _, f := range n.Fields {
		if !itemForm().MatchString(f.Name) {
			r.FailAt(f.Line, f.Value.Pointer, "%s is no name for an item: use a-z, 0-9, _, . and -, starting with a letter", yamlx.Quote(f.Name))
		}
		o := r.Object(f.Value, "monthly", "hourly", "unit", "description")
		if f.Value.Kind != yamlx.Object {
			continue
		}
		price := Price{Unit: o.String("unit"), Description: o.String("description")}
		if len(price.Unit) > 100 || len(price.Description) > 500 {
			r.Fail(f.Value, "has a unit above 100 or a description above 500 bytes")
		}
		monthly, hourly := o.Node("monthly"), o.Node("hourly")
		switch {
		case (monthly == nil) == (hourly == nil):
			r.Fail(f.Value, "has one price: monthly or hourly")
		case monthly != nil:
			price.Monthly = amount(r, monthly)
			price.Hourly = price.Monthly / HoursPerMonth
		default:
			price.Hourly = amount(r, hourly)
			price.Monthly = price.Hourly * HoursPerMonth
		}
		p.Items[f.Name] = price
	}
}

func amount(r *yamlx.Reader, n *yamlx.Node) float64 {
	v, ok := number(n.Value())
	if !ok || !(v >= 0 && v <= maxPrice) {
		r.Fail(n, "must be a price: a number from 0 to %d", int64(maxPrice))
		return 0
	}
	return v
}

// number reads a number of YAML, JSON or Rego.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, !math.IsNaN(x) && !math.IsInf(x, 0)
	case json.Number:
		f, err := x.Float64()
		return f, err == nil && !math.IsInf(f, 0)
	}
	return 0, false
}

func (p Prices) digest() (string, error) {
	b, err := json.Marshal(map[string]any{"currency": p.Currency, "items": p.Items}) // keys come sorted
	if err != nil {
		return "", fmt.Errorf("price table: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// data is what rules see as data.prices.
func (p Prices) data() map[string]any {
	out := make(map[string]any, len(p.Items))
	for name, i := range p.Items {
		out[name] = map[string]any{"monthly": i.Monthly, "hourly": i.Hourly}
	}
	return map[string]any{"prices": out}
}

// millionths rounds an amount of money for keeping.
func millionths(v float64) int64 { return int64(math.Round(v * 1e6)) }
