package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// directRow is a row as the driver gave it.
type directRow []driver.Value

// Scan implements Row, with database/sql's conversions.
func (r directRow) Scan(dest ...any) error {
	if len(dest) != len(r) {
		return fmt.Errorf("sqldb: %d destinations for %d columns", len(dest), len(r))
	}
	for i, v := range r {
		if err := assign(dest[i], v); err != nil {
			return fmt.Errorf("sqldb: column %d: %w", i, err)
		}
	}
	return nil
}

var errNull = errors.New("NULL where a value was expected")

func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *string:
		if v == nil {
			return errNull
		}
		*d = plainText(v)
		return nil
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *any:
		*d = v
		return nil
	case *[]byte:
		switch b, ok := v.([]byte); {
		case v == nil:
			*d = nil
		case ok:
			*d = b // a copy already
		default:
			*d = []byte(plainText(v))
		}
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	into := reflect.ValueOf(dest)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("a destination of type %T", dest)
	}
	return set(into.Elem(), v)
}

func set(into reflect.Value, v driver.Value) error {
	if into.Kind() == reflect.Pointer {
		if v == nil {
			into.SetZero()
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		return assign(into.Interface(), v)
	}
	if v == nil {
		return errNull
	}
	text := plainText(v)
	switch kind := into.Kind(); kind { //nolint:exhaustive // what a column can be read into
	case reflect.String:
		switch v.(type) {
		case string, []byte:
			into.SetString(text)
		default:
			return fmt.Errorf("a %T for a destination of type %s", v, into.Type())
		}
	case reflect.Bool:
		b, err := driver.Bool.ConvertValue(v)
		if err != nil {
			return err
		}
		into.SetBool(b == true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, into.Type().Bits())
		if err != nil {
			return err
		}
		into.SetInt(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, into.Type().Bits())
		if err != nil {
			return err
		}
		into.SetFloat(f)
	default:
		return fmt.Errorf("a destination of type %s", into.Type())
	}
	return nil
}

func plainText(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}
