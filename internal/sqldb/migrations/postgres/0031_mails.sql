-- +goose Up

-- Somebody's mails, and those that went wrong, however many did not.
CREATE INDEX deliveries_recipient ON deliveries (recipient, id) WHERE recipient <> '';
CREATE INDEX deliveries_failed ON deliveries (target, id) WHERE status = 'failed';
CREATE INDEX deliveries_skipped ON deliveries (target, id) WHERE status = 'skipped';

-- +goose Down
DROP INDEX deliveries_skipped;
DROP INDEX deliveries_failed;
DROP INDEX deliveries_recipient;
