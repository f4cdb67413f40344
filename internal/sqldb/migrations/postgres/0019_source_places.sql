-- +goose Up

-- A source can lead elsewhere: the place that it leads to has a number, and
-- what was seen has the number of the place where it was.
ALTER TABLE template_sources ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
ALTER TABLE template_source_tags ADD COLUMN place BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE template_source_tags DROP COLUMN place;
ALTER TABLE template_sources DROP COLUMN place;
