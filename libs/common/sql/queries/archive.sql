-- Whether PostgreSQL archives its log, for backups that lead to any moment.

-- name: archive_state
-- Of `pg_stat_archiver`: failing is who failed after the last success, or leaves more segments waiting than it takes to be at work on one.
SELECT s.on_at_all, s.archived_count, s.failed_count, s.last_archived_time, s.last_failed_wal,
       s.on_at_all AND (s.last_failed_time > coalesce(s.last_archived_time, '-infinity') OR s.waiting > :waiting_max) AS failing,
       extract(epoch FROM clock_timestamp() - coalesce(s.last_archived_time, pg_postmaster_start_time()))::float8 AS age_s
  FROM (
    SELECT a.*, current_setting('archive_mode') <> 'off' AS on_at_all,
           CASE WHEN a.last_archived_wal ~ '^[0-9A-F]{24}' AND NOT pg_is_in_recovery()
                THEN div(pg_current_wal_lsn() - '0/0', size.bytes)
                     - (('x' || substr(a.last_archived_wal, 9, 8))::bit(32)::bigint * (4294967296 / size.bytes)
                        + ('x' || substr(a.last_archived_wal, 17, 8))::bit(32)::bigint) - 1
                ELSE 0 END AS waiting
      FROM pg_stat_archiver AS a, (SELECT pg_size_bytes(current_setting('wal_segment_size')) AS bytes) AS size
  ) AS s
