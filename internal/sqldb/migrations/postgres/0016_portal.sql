-- +goose Up
-- A page of all resources by name, and what needs somebody, whatever there is besides.
CREATE INDEX resources_by_name ON resources (name, id) WHERE destroyed_at IS NULL;
CREATE INDEX resources_attention ON resources (updated_at, id) WHERE phase IN ('failed', 'lost', 'waiting', 'retrying', 'canceled') AND destroyed_at IS NULL;

-- +goose Down
DROP INDEX resources_attention;
DROP INDEX resources_by_name;
