-- +goose Up
-- What several processes need: who holds what, what is switched off, what was
-- learned, and the columns matching looks at. Columns have defaults and none
-- is taken away, so that the version before this one runs beside it.

-- Who holds a duty. Times are the database's, in Unix milliseconds.
CREATE TABLE leases (
  name        TEXT PRIMARY KEY,
  holder      TEXT NOT NULL,
  epoch       BIGINT NOT NULL,
  until       BIGINT NOT NULL
);

CREATE TABLE settings (
  name        TEXT PRIMARY KEY,
  value       TEXT NOT NULL,
  at          BIGINT NOT NULL
);

-- What attempts really took, by function and class of size.
CREATE TABLE prices (
  fn          TEXT NOT NULL,
  class       TEXT NOT NULL,
  n           BIGINT NOT NULL,
  declared    DOUBLE PRECISION NOT NULL,
  actual      DOUBLE PRECISION NOT NULL,
  memory      BIGINT NOT NULL,
  at          BIGINT NOT NULL,
  PRIMARY KEY (fn, class)
);

ALTER TABLE tasks ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';

ALTER TABLE work ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE work ADD COLUMN size TEXT NOT NULL DEFAULT '';
ALTER TABLE work ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE work ADD COLUMN declared DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE work ADD COLUMN due BIGINT NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE work ADD COLUMN avoid TEXT NOT NULL DEFAULT '';

ALTER TABLE flows ADD COLUMN activated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN retired_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE flows ADD COLUMN author TEXT NOT NULL DEFAULT '';

DROP INDEX work_ready;
CREATE INDEX work_ready ON work (pool, tenant, priority DESC, due, id) WHERE state = 'ready';

-- +goose Down
DROP INDEX work_ready;
CREATE INDEX work_ready ON work (pool, priority, id) WHERE state = 'ready';
ALTER TABLE flows DROP COLUMN author;
ALTER TABLE flows DROP COLUMN retired_at;
ALTER TABLE flows DROP COLUMN activated_at;
ALTER TABLE work DROP COLUMN avoid;
ALTER TABLE work DROP COLUMN due;
ALTER TABLE work DROP COLUMN declared;
ALTER TABLE work DROP COLUMN class;
ALTER TABLE work DROP COLUMN size;
ALTER TABLE work DROP COLUMN kind;
ALTER TABLE tasks DROP COLUMN traceparent;
DROP TABLE prices;
DROP TABLE settings;
DROP TABLE leases;
