-- The history that other services read.

-- name: append_records
SELECT append_records(:commit_key, :records);

-- name: read_records
-- Records of all teams after the positions, at most `row_max`. Columns in the order of `libs.common.feeds.rows.RecordRow`; `first`
-- is the number of shard 0 in feeds.
SELECT shard + :first AS partition, position, uuid_send(team_id) AS team, body
  FROM history_record_page(:shards::smallint[], :after::bigint[], :row_max);

-- name: has_records
SELECT EXISTS (SELECT FROM record_head WHERE position > 0);
