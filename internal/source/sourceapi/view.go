package sourceapi

import (
	"time"

	"fairlead/internal/httpx"
	"fairlead/internal/source"
)

// TemplateSource is where a template's versions come from.
type TemplateSource struct {
	ID           string                 `json:"id"`
	Name         string                 `json:"name" doc:"The template's"`
	Kind         string                 `json:"kind" enum:"folder,file,https,ssh"`
	URL          string                 `json:"url"`
	Path         string                 `json:"path,omitempty"`
	Refs         string                 `json:"refs,omitempty"`
	Release      string                 `json:"release,omitempty"`
	Credential   string                 `json:"credential,omitempty" doc:"password or key; it is shown to nobody"`
	Webhook      bool                   `json:"webhook" doc:"It takes signed pushes"`
	EverySeconds int64                  `json:"everySeconds"`
	DueAt        *time.Time             `json:"dueAt,omitempty" doc:"Of the next look; absent: when asked"`
	SyncedAt     *time.Time             `json:"syncedAt,omitempty" doc:"The last look that succeeded"`
	Failures     int64                  `json:"failures" doc:"In a row"`
	Problem      *TemplateSourceProblem `json:"problem,omitempty" doc:"Of the last look"`
	Wanted       int64                  `json:"wanted" doc:"Counts the looks that were asked for"`
	Looked       int64                  `json:"looked" doc:"The wanted that the last finished look began with"`
	CreatedAt    time.Time              `json:"createdAt"`
	CreatedBy    string                 `json:"createdBy"`
	Version      int64                  `json:"version"`
}

// TemplateSourceProblem is why something did not go well.
type TemplateSourceProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// NewTemplateSource is a source with what is shown this once.
type NewTemplateSource struct {
	TemplateSource
	Secret string `json:"secret,omitempty" doc:"What pushes are signed with; only of a source with webhook"`
}

// TemplateSourceTag is a tag and what became of it.
type TemplateSourceTag struct {
	Tag     string                 `json:"tag" example:"bucket/v1.2.0"`
	Version string                 `json:"version" example:"1.2.0"`
	Commit  string                 `json:"commit"`
	MovedTo string                 `json:"movedTo,omitempty" doc:"Where the tag leads now, which is refused"`
	Status  string                 `json:"status" enum:"imported,broken,moved"`
	Digest  string                 `json:"digest,omitempty" doc:"Of the version"`
	Problem *TemplateSourceProblem `json:"problem,omitempty"`
	SeenAt  time.Time              `json:"seenAt"`
}

func viewSource(v source.Source) TemplateSource {
	return TemplateSource{
		ID: v.ID, Name: v.Name, Kind: string(v.Kind), URL: v.URL, Path: v.Path, Refs: v.Refs, Release: v.Release, Credential: v.Credential, Webhook: v.Hooked,
		EverySeconds: int64(v.Every.Seconds()), DueAt: httpx.Optional(v.DueAt), SyncedAt: httpx.Optional(v.SyncedAt), Failures: v.Failures, Problem: viewProblem(v.Problem),
		Wanted: v.Wanted, Looked: v.Looked, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy, Version: v.Version,
	}
}

func viewProblem(p source.Problem) *TemplateSourceProblem {
	if p.Code == "" {
		return nil
	}
	out := TemplateSourceProblem(p)
	return &out
}

func viewTag(t source.Tag) TemplateSourceTag {
	return TemplateSourceTag{Tag: t.Name, Version: t.Release, Commit: t.Commit, MovedTo: t.MovedTo, Status: string(t.Status), Digest: t.Digest, Problem: viewProblem(t.Problem), SeenAt: t.SeenAt}
}
