-- +goose Up

-- A source can lead elsewhere: the place that it leads to has a number, and
-- what was seen has the number of the place where it was.
ALTER TABLE template_sources ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
ALTER TABLE template_source_tags ADD COLUMN place BIGINT NOT NULL DEFAULT 0;

-- Which claim wrote a version of a state: what a run left behind that has been
-- overtaken since does not come over it.
ALTER TABLE iac_state_versions ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0; -- 0: before this was noted

-- +goose Down
ALTER TABLE iac_state_versions DROP COLUMN epoch;
ALTER TABLE template_source_tags DROP COLUMN place;
ALTER TABLE template_sources DROP COLUMN place;
