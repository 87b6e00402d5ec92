-- +goose Up
CREATE TABLE tasks (
  id          TEXT PRIMARY KEY,
  tenant      TEXT NOT NULL,
  msg_id      TEXT NOT NULL,
  digest      TEXT NOT NULL,
  cmd         TEXT NOT NULL,
  flow        TEXT NOT NULL,
  flow_ver    TEXT NOT NULL,
  generation  INTEGER NOT NULL,
  priority    INTEGER NOT NULL,
  request     TEXT NOT NULL,
  state       TEXT NOT NULL,
  ending      TEXT NOT NULL,
  status      TEXT NOT NULL,
  call_slots  TEXT NOT NULL,
  ret_slots   TEXT NOT NULL,
  outputs     TEXT,
  report      TEXT,
  error       TEXT,
  usage       TEXT,
  reply_to    TEXT NOT NULL,
  version     BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,
  started_at  BIGINT NOT NULL,
  ended_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX tasks_msg ON tasks (tenant, msg_id);
CREATE INDEX tasks_state ON tasks (state, id);
CREATE INDEX tasks_tenant ON tasks (tenant, id);

CREATE TABLE work (
  id          TEXT PRIMARY KEY,
  task_id     TEXT NOT NULL,
  component   TEXT NOT NULL,
  ord         INTEGER NOT NULL,
  tenant      TEXT NOT NULL,
  priority    INTEGER NOT NULL,
  pool        TEXT NOT NULL,
  fn          TEXT NOT NULL,
  fn_version  TEXT NOT NULL,
  state       TEXT NOT NULL,
  attempt     INTEGER NOT NULL,
  failures    INTEGER NOT NULL,
  losses      INTEGER NOT NULL,
  lost_by     TEXT NOT NULL,
  trace       TEXT NOT NULL,
  worker      TEXT NOT NULL,
  price       TEXT NOT NULL,
  job         TEXT,
  outputs     TEXT,
  facts       TEXT,
  usage       TEXT,
  error       TEXT,
  fail_limit  INTEGER NOT NULL,
  timeout     BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,
  not_before  BIGINT NOT NULL,
  started_at  BIGINT NOT NULL,
  lease_till  BIGINT NOT NULL,
  deadline    BIGINT NOT NULL,
  ended_at    BIGINT NOT NULL
);
CREATE INDEX work_task ON work (task_id);
CREATE INDEX work_ready ON work (pool, priority, id) WHERE state = 'ready';
CREATE INDEX work_waiting ON work (not_before) WHERE state = 'waiting';
CREATE INDEX work_lease ON work (lease_till) WHERE state = 'running';

-- One row an ended attempt, whatever its end was.
CREATE TABLE traces (
  id          TEXT PRIMARY KEY,
  work_id     TEXT NOT NULL,
  task_id     TEXT NOT NULL,
  attempt     INTEGER NOT NULL,
  worker      TEXT NOT NULL,
  outcome     TEXT NOT NULL,
  error       TEXT,
  usage       TEXT,
  started_at  BIGINT NOT NULL,
  ended_at    BIGINT NOT NULL
);
CREATE INDEX traces_task ON traces (task_id);

-- What must still happen outside the database because of a committed change.
CREATE TABLE outbox (
  id          TEXT PRIMARY KEY,
  task_id     TEXT NOT NULL,
  kind        TEXT NOT NULL,
  body        TEXT NOT NULL,
  target      TEXT NOT NULL,
  attempt     INTEGER NOT NULL,
  not_before  BIGINT NOT NULL,
  created_at  BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (kind, not_before);

-- The log of webhook deliveries.
CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY,
  task_id     TEXT NOT NULL,
  webhook_id  TEXT NOT NULL,
  url         TEXT NOT NULL,
  attempt     INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  error       TEXT NOT NULL,
  at          BIGINT NOT NULL,
  took        BIGINT NOT NULL
);
CREATE INDEX deliveries_task ON deliveries (task_id);

-- Decisions that were not the plain path: retries, losses, cancels, pushes.
CREATE TABLE history (
  id          TEXT PRIMARY KEY,
  task_id     TEXT NOT NULL,
  work_id     TEXT NOT NULL,
  kind        TEXT NOT NULL,
  detail      TEXT NOT NULL,
  at          BIGINT NOT NULL
);
CREATE INDEX history_task ON history (task_id);

CREATE TABLE flows (
  name        TEXT NOT NULL,
  version     TEXT NOT NULL,
  body        TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (name, version)
);

-- +goose Down
DROP TABLE flows;
DROP TABLE history;
DROP TABLE deliveries;
DROP TABLE outbox;
DROP TABLE traces;
DROP TABLE work;
DROP TABLE tasks;
