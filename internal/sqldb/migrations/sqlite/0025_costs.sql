-- +goose Up

-- Reports of costs are summed from these alone. The columns stand in the order
-- in which what goes on is summed.
CREATE INDEX cost_spans_now ON cost_spans (team_id, project_id, environment_id, currency, template, started_at, monthly, ended_at) WHERE ended_at IS NULL;
CREATE INDEX cost_spans_past ON cost_spans (ended_at, started_at, monthly, team_id, project_id, environment_id, currency, template, resource_id) WHERE ended_at IS NOT NULL;
DROP INDEX cost_spans_team;

-- +goose Down
CREATE INDEX cost_spans_team ON cost_spans (team_id);
DROP INDEX cost_spans_past;
DROP INDEX cost_spans_now;
