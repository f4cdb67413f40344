-- +goose Up

-- What else users choose of what they are told; both are JSON: patterns of types.
ALTER TABLE notify_mutes ADD COLUMN quiet TEXT NOT NULL DEFAULT '[]';  -- the bell does not ring for these
ALTER TABLE notify_mutes ADD COLUMN mailed TEXT NOT NULL DEFAULT '[]'; -- mail about these too

-- +goose Down
ALTER TABLE notify_mutes DROP COLUMN mailed;
ALTER TABLE notify_mutes DROP COLUMN quiet;
