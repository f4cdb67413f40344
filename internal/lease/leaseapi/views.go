package leaseapi

import (
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/lease"
)

// Lease is how long a resource or an environment may live.
type Lease struct {
	ID            string      `json:"id" example:"lea_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	Kind          string      `json:"kind" enum:"resource,environment"`
	SubjectID     string      `json:"subjectId" doc:"What it is of"`
	Name          string      `json:"name" doc:"The subject's"`
	Project       string      `json:"project"`
	Environment   string      `json:"environment"`
	EnvironmentID string      `json:"environmentId"`
	Class         string      `json:"class"`
	Team          string      `json:"team"`
	Template      string      `json:"template,omitempty"`
	Owner         string      `json:"owner" doc:"Name; they are warned"`
	OwnerID       string      `json:"ownerId"`
	BeginsAt      time.Time   `json:"beginsAt"`
	EndsAt        time.Time   `json:"endsAt"`
	Length        string      `json:"length" example:"8h" doc:"From beginning to end"`
	Extensions    int64       `json:"extensions" doc:"How often it was extended"`
	WarnAt        []time.Time `json:"warnAt" nullable:"false" doc:"When the owner is still to be warned"`
	Warned        []time.Time `json:"warned" nullable:"false" doc:"When they were"`
	State         string      `json:"state" enum:"active,ending,ended"`
	Reason        string      `json:"reason,omitempty" doc:"How it ended: expired, gone, removed"`
	Problem       string      `json:"problem,omitempty" doc:"What an ending waits for; it is tried again by itself"`
	EndingAt      *time.Time  `json:"endingAt,omitempty"`
	EndedAt       *time.Time  `json:"endedAt,omitempty"`
	Can           string      `json:"can,omitempty" doc:"Whether and how far it can be extended; not in lists"`
	Version       int64       `json:"version"`
}

func view(l lease.Lease) Lease {
	return Lease{ID: l.ID, Kind: string(l.Kind), SubjectID: l.SubjectID, Name: l.Subject, Project: l.Project, Environment: l.Environment, EnvironmentID: l.EnvironmentID,
		Class: l.Class, Team: l.Team, Template: l.Template, Owner: l.Owner, OwnerID: l.OwnerID, BeginsAt: l.BeginsAt, EndsAt: l.EndsAt, Length: lease.Text(l.Length()),
		Extensions: l.Extensions, WarnAt: times(l.WarnAt), Warned: times(l.Warned), State: string(l.State), Reason: l.Reason, Problem: l.Problem,
		EndingAt: httpx.Optional(l.EndingAt), EndedAt: httpx.Optional(l.EndedAt), Version: l.Version}
}

func times(l []time.Time) []time.Time {
	if l == nil {
		return []time.Time{}
	}
	return l
}

// LeaseProof says that what a lease was of is gone.
type LeaseProof struct {
	Lease     Lease           `json:"lease"`
	At        time.Time       `json:"at"`
	Resources []LeaseEvidence `json:"resources" nullable:"false"`
}

// LeaseEvidence is the proof for one resource.
type LeaseEvidence struct {
	ResourceID string        `json:"resourceId"`
	Resource   string        `json:"resource"`
	Template   string        `json:"template"`
	LookedFor  []LeaseObject `json:"lookedFor" nullable:"false"`
	Found      string        `json:"found" example:"nothing"`
	LookedAt   time.Time     `json:"lookedAt"`
	RunID      string        `json:"runId"`
	Snapshot   string        `json:"snapshot,omitempty" doc:"Where the last one is"`
	Cost       float64       `json:"cost" doc:"All that it cost"`
	Currency   string        `json:"currency,omitempty"`
	Record     int64         `json:"record" doc:"Number of the audit record that says so"`
	Hash       string        `json:"hash" doc:"Of that record"`
}

// LeaseObject is an external object that was looked for.
type LeaseObject struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Host string `json:"host,omitempty"`
}

func viewProof(l lease.Lease, p lease.Proof) LeaseProof {
	out := LeaseProof{Lease: view(l), At: p.At, Resources: []LeaseEvidence{}}
	for _, e := range p.Resources {
		v := LeaseEvidence{ResourceID: e.ResourceID, Resource: e.Resource, Template: e.Template, LookedFor: []LeaseObject{}, Found: e.Found, LookedAt: e.LookedAt,
			RunID: e.RunID, Snapshot: e.Snapshot, Cost: e.Cost, Currency: e.Currency, Record: e.Record, Hash: e.Hash}
		for _, o := range e.LookedFor {
			v.LookedFor = append(v.LookedFor, LeaseObject(o))
		}
		out.Resources = append(out.Resources, v)
	}
	return out
}

// LeaseRule says how long things of a class of environment may live.
type LeaseRule struct {
	ID string `json:"id"`
	LeaseRuleSetting
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Version   int64     `json:"version"`
}

// LeaseRuleSetting is a rule as somebody wants it.
type LeaseRuleSetting struct {
	Class         string   `json:"class" enum:"development,staging,production"`
	Kind          string   `json:"kind,omitempty" enum:"resource,environment" doc:"What it is for; both when absent"`
	Team          string   `json:"team,omitempty" maxLength:"64" doc:"Name or id; every team when absent"`
	Template      string   `json:"template,omitempty" maxLength:"64" doc:"Every template when absent"`
	Default       string   `json:"default,omitempty" maxLength:"20" example:"8h" doc:"Given to who asks for none"`
	Max           string   `json:"max,omitempty" maxLength:"20" example:"7d" doc:"Extensions included"`
	ExtendBy      string   `json:"extendBy,omitempty" maxLength:"20" example:"8h" doc:"At most, at a time"`
	MaxExtensions *int64   `json:"maxExtensions,omitempty" minimum:"0" doc:"As many as fit when absent"`
	WarnBefore    []string `json:"warnBefore,omitempty" maxItems:"10" doc:"24h and 1h when absent"`
	Required      bool     `json:"required,omitempty" doc:"Everything has a lease"`
}

func viewRule(r lease.Rule) LeaseRule {
	out := LeaseRule{ID: r.ID, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version, LeaseRuleSetting: LeaseRuleSetting{
		Class: r.Class, Kind: string(r.Kind), Team: r.Team, Template: r.Template, Default: text(r.Default), Max: text(r.Max), ExtendBy: text(r.ExtendBy), Required: r.Required}}
	if r.MaxExtensions >= 0 {
		out.MaxExtensions = &r.MaxExtensions
	}
	for _, d := range r.WarnBefore {
		out.WarnBefore = append(out.WarnBefore, lease.Text(d))
	}
	return out
}

func text(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return lease.Text(d)
}

func (s LeaseRuleSetting) rule() (lease.Rule, error) {
	r := lease.Rule{Class: s.Class, Kind: lease.Kind(s.Kind), Team: s.Team, Template: s.Template, Required: s.Required, MaxExtensions: -1}
	if s.MaxExtensions != nil {
		r.MaxExtensions = *s.MaxExtensions
	}
	for _, part := range []struct {
		field, text string
		into        *time.Duration
	}{{"/default", s.Default, &r.Default}, {"/max", s.Max, &r.Max}, {"/extendBy", s.ExtendBy, &r.ExtendBy}} {
		d, err := gate.ParseLength(part.text)
		if err != nil {
			return r, fault.From(err).WithField(part.field)
		}
		*part.into = d
	}
	r.WarnBefore = lease.DefaultWarnings
	if s.WarnBefore != nil {
		r.WarnBefore = nil
	}
	for _, text := range s.WarnBefore {
		d, err := gate.ParseLength(text)
		if err != nil {
			return r, fault.From(err).WithField("/warnBefore")
		}
		r.WarnBefore = append(r.WarnBefore, d)
	}
	return r, nil
}
