package quota

import (
	"math"
	"strconv"

	"fairlead/internal/fault"
)

// Amount is how much of a metric, in millionths.
type Amount int64

const (
	unit = 1_000_000
	// mostUnits bounds one amount. Sums are refused beyond mostUsed, which
	// leaves room for one amount more in 64 bits.
	mostUnits = 1e12
	mostUsed  = 8_000_000_000_000_000_000
)

// ToAmount rounds v to millionths. What is negative, not a number, or above a
// million millions is Invalid with the code "invalid_amount".
func ToAmount(v float64) (Amount, error) {
	if !(v >= 0 && v <= mostUnits) { // NaN too
		return 0, fault.New(fault.Invalid, "invalid_amount", "an amount is a number from 0 to %s", strconv.FormatFloat(mostUnits, 'f', 0, 64)).
			WithHint("choose a larger unit: GiB instead of bytes")
	}
	return Amount(math.Round(v * unit)), nil
}

// Float is the amount as a number.
func (a Amount) Float() float64 { return float64(a) / unit }

// String writes the amount without trailing zeros.
func (a Amount) String() string { return strconv.FormatFloat(a.Float(), 'f', -1, 64) }
