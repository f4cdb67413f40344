package resource

import (
	"context"
	"maps"

	"fairlead/internal/event"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// tell emits what happened at the edges of what is managed here: taken along,
// let go of, taken over. It goes to whoever made the resource, unless they did
// it. There is no secret and no input in it.
func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, kind string, r Resource, more map[string]any) error {
	who := principal.From(ctx)
	data := map[string]any{"resource": r.Name, "project": r.Project, "environment": r.Environment, "template": r.Template, "templateVersion": r.TemplateVersion, "by": who.Name}
	maps.Copy(data, more)
	var to []string
	if r.CreatedBy != "" && r.CreatedBy != who.ID {
		to = []string{r.CreatedBy}
	}
	return event.Emit(ctx, tx, event.Event{Type: kind, Subject: r.ID, TeamID: r.TeamID, ProjectID: r.ProjectID, EnvironmentID: r.EnvironmentID, To: to, Data: data})
}
