-- +goose Up

-- Who claims looks at the first of each team.
CREATE INDEX queue_team ON queue (lane, team, due_at, key) WHERE due_at IS NOT NULL;

-- No query asks for the decisions of a run.
DROP INDEX decisions_run;

-- What is not to be looked at stands in no index for that: a resource that is
-- being made comes into it once, when it is ready.
DROP INDEX resources_observe;
CREATE INDEX resources_observe ON resources (observe_due_at) WHERE destroyed_at IS NULL AND observe_due_at IS NOT NULL;

-- +goose Down
DROP INDEX resources_observe;
CREATE INDEX resources_observe ON resources (observe_due_at) WHERE destroyed_at IS NULL;
CREATE INDEX decisions_run ON decisions (run_id) WHERE run_id <> '';
DROP INDEX queue_team;
