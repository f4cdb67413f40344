package app

import (
	"context"

	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/sqldb"
	"fairlead/internal/state"
)

func (a *App) buildStates(context.Context) error {
	a.states = state.New(state.Options{DB: a.db, Access: a.access, Resources: a.resources, Environments: environments{a.projects}, Keeper: stateKeeper{a.iacStates}})
	return nil
}

// stateKeeper fits the iac engine's store to what state asks of it.
type stateKeeper struct{ store *iacstate.Store }

func stateOf(m iacstate.Meta) state.State {
	s := state.State{Version: m.Version, Serial: m.Serial, Lineage: m.Lineage, Objects: m.Objects, UpdatedAt: m.UpdatedAt}
	if l := m.Lock; l != nil {
		s.Lock = &state.Lock{ID: l.ID, Operation: l.Operation, Who: l.Who, Program: l.Version, Since: l.Created}
	}
	return s
}

func stateVersionOf(v iacstate.Version) state.Version {
	return state.Version{Version: v.Version, Serial: v.Serial, Lineage: v.Lineage, Size: v.Size, By: v.Run, CreatedAt: v.CreatedAt}
}

func (k stateKeeper) Current(ctx context.Context, id string) (state.State, error) {
	m, err := k.store.Meta(ctx, id)
	return stateOf(m), err
}

func (k stateKeeper) Versions(ctx context.Context, id string, p sqldb.Page) ([]state.Version, string, error) {
	list, next, err := k.store.Versions(ctx, id, p)
	out := make([]state.Version, len(list))
	for i, v := range list {
		out[i] = stateVersionOf(v)
	}
	return out, next, err
}

func (k stateKeeper) Read(ctx context.Context, id string, version int64) ([]byte, state.Version, error) {
	v, err := k.store.Version(ctx, id, version)
	if err != nil {
		return nil, state.Version{}, err
	}
	body, err := k.store.ReadVersion(ctx, id, version)
	return body, stateVersionOf(v), err
}

func (k stateKeeper) Rollback(ctx context.Context, id string, version int64, then func(*sqldb.Tx, state.State) error) (state.State, error) {
	m, err := k.store.Rollback(ctx, id, version, func(tx *sqldb.Tx, made iacstate.Meta) error { return then(tx, stateOf(made)) })
	return stateOf(m), err
}
