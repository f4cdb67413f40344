package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// plain gives a value of any form as JSON has it.
func plain(v attr.Value) (any, error) {
	if v == nil || v.IsNull() {
		return nil, nil
	}
	if v.IsUnknown() {
		return nil, fmt.Errorf("a value is not known yet")
	}
	switch t := v.(type) {
	case basetypes.DynamicValue:
		return plain(t.UnderlyingValue())
	case basetypes.StringValue:
		return t.ValueString(), nil
	case basetypes.BoolValue:
		return t.ValueBool(), nil
	case basetypes.NumberValue:
		return json.Number(t.ValueBigFloat().Text('f', -1)), nil
	case basetypes.ObjectValue:
		return plainMap(t.Attributes())
	case basetypes.MapValue:
		return plainMap(t.Elements())
	case basetypes.ListValue:
		return plainList(t.Elements())
	case basetypes.SetValue:
		return plainList(t.Elements())
	case basetypes.TupleValue:
		return plainList(t.Elements())
	}
	return nil, fmt.Errorf("a value of type %s cannot be sent", v.Type(context.Background()))
}

func plainMap(m map[string]attr.Value) (any, error) {
	out := map[string]any{}
	for k, v := range m {
		p, err := plain(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		if p != nil { // null is not said
			out[k] = p
		}
	}
	return out, nil
}

func plainList(l []attr.Value) (any, error) {
	out := make([]any, 0, len(l))
	for i, v := range l {
		p, err := plain(v)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// value gives what came as JSON as a value of the program.
func value(v any) attr.Value {
	switch t := v.(type) {
	case string:
		return types.StringValue(t)
	case bool:
		return types.BoolValue(t)
	case json.Number:
		f, _, err := big.ParseFloat(t.String(), 10, 512, big.ToNearestEven)
		if err != nil {
			return types.StringValue(t.String())
		}
		return types.NumberValue(f)
	case map[string]any:
		kinds, values := map[string]attr.Type{}, map[string]attr.Value{}
		for k, x := range t {
			if x == nil {
				continue
			}
			values[k] = value(x)
			kinds[k] = values[k].Type(context.Background())
		}
		return types.ObjectValueMust(kinds, values)
	case []any:
		kinds, values := []attr.Type{}, []attr.Value{}
		for _, x := range t {
			e := value(x)
			kinds, values = append(kinds, e.Type(context.Background())), append(values, e)
		}
		return types.TupleValueMust(kinds, values)
	}
	return types.StringNull()
}

// object gives a JSON object as one value of any form.
func object(m map[string]any) types.Dynamic {
	if m == nil {
		m = map[string]any{}
	}
	return types.DynamicValue(value(m))
}
