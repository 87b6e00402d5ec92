-- +goose Up
-- Files on their way into a bucket, the pieces of them that have arrived, and
-- the tasks that name them. Times are Unix milliseconds.
CREATE TABLE uploads (
  id          TEXT PRIMARY KEY,
  tenant      TEXT NOT NULL,
  cloud       TEXT NOT NULL,
  bucket      TEXT NOT NULL,
  object      TEXT NOT NULL,
  meta        TEXT NOT NULL,
  mime        TEXT NOT NULL,
  size        BIGINT NOT NULL,
  arrived     BIGINT NOT NULL,
  state       TEXT NOT NULL,
  concat      TEXT NOT NULL,
  index_at    BIGINT NOT NULL,
  why         TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  whole_at    BIGINT NOT NULL,
  touched_at  BIGINT NOT NULL,
  cleared     INTEGER NOT NULL
);
CREATE INDEX uploads_tenant ON uploads (tenant, state);
CREATE INDEX uploads_touched ON uploads (cleared, touched_at);

CREATE TABLE upload_pieces (
  upload_id   TEXT NOT NULL,
  begins      BIGINT NOT NULL,
  size        BIGINT NOT NULL,
  object      TEXT NOT NULL,
  PRIMARY KEY (upload_id, begins)
);
CREATE INDEX upload_pieces_object ON upload_pieces (object);

CREATE TABLE upload_tasks (
  upload_id   TEXT NOT NULL,
  task_id     TEXT NOT NULL,
  PRIMARY KEY (upload_id, task_id)
);

-- +goose Down
DROP TABLE upload_tasks;
DROP TABLE upload_pieces;
DROP TABLE uploads;
