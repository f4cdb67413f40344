-- +goose Up

-- What exists already can become a resource's, and a resource can be let go of.
ALTER TABLE resources ADD COLUMN adopted TEXT NOT NULL DEFAULT '';      -- KIND/NAME of the object that it adopted, or "state"; '' when it was made
ALTER TABLE resources ADD COLUMN letting_go INTEGER NOT NULL DEFAULT 0; -- 1: its end leaves all that it has where it is

-- Two states of one lineage name the same objects: one of them is managed.
CREATE UNIQUE INDEX iac_states_lineage ON iac_states (lineage) WHERE version > 0;

-- +goose Down
DROP INDEX iac_states_lineage;
ALTER TABLE resources DROP COLUMN letting_go;
ALTER TABLE resources DROP COLUMN adopted;
