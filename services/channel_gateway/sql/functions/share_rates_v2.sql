-- Renews a process's shares of accounts' rates, each for `length`; returns them with the accounts' versions, by their places from 1.
-- A share is what the weights of those who use the account make of its rate, but never more than the others leave: of what a process
-- holds (`held`: what it still uses while this answer is on its way) nobody else gets anything before it says that it holds less.
-- Takes what channels asked this process to wait for (`new_places`, `new_recipients`, `new_s` seconds from now; an empty recipient:
-- everybody), and returns what any process was asked: seconds that are left, by recipients, the `hold_max` longest.
CREATE OR REPLACE FUNCTION share_rates_v2(
    own uuid, teams uuid[], account_ids uuid[], weights smallint[], held double precision[], length interval,
    new_places integer[], new_recipients text[], new_s double precision[], hold_max integer
) RETURNS TABLE (place integer, version bigint, share double precision, recipients text[], left_s double precision[])
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    asked record;
    stands record;
    others record;
    now_time timestamptz;
BEGIN
    PERFORM platform.bind(teams);
    FOR asked IN
        SELECT w.* FROM unnest(teams, account_ids, weights, held) WITH ORDINALITY AS w (team, account, weight, held, place)
         ORDER BY hashtext(w.account::text), w.place
    LOOP
        -- In one order, so that no two processes wait for each other.
        PERFORM pg_advisory_xact_lock(7317, hashtext(asked.account::text));
        now_time := clock_timestamp();
        SELECT a.version, a.rate_per_second INTO stands
          FROM account AS a WHERE a.team_id = asked.team AND a.account_id = asked.account;
        CONTINUE WHEN NOT FOUND;
        DELETE FROM account_share AS s
         WHERE s.team_id = asked.team AND s.account_id = asked.account AND s.until_time < now_time;
        SELECT coalesce(sum(s.share), 0) AS share, coalesce(sum(s.weight), 0) AS weight INTO others
          FROM account_share AS s
         WHERE s.team_id = asked.team AND s.account_id = asked.account AND s.sender <> own;
        place := asked.place;
        version := stands.version;
        share := greatest(0, least(stands.rate_per_second * asked.weight::double precision / (asked.weight + others.weight),
                                   stands.rate_per_second - others.share));
        INSERT INTO account_share AS s (team_id, account_id, sender, share, weight, until_time)
        VALUES (asked.team, asked.account, own, greatest(share_rates_v2.share, asked.held), asked.weight, now_time + length)
        ON CONFLICT (team_id, account_id, sender)
        DO UPDATE SET share = excluded.share, weight = excluded.weight, until_time = excluded.until_time;
        IF asked.place = ANY (new_places) THEN
            INSERT INTO account_hold AS h (team_id, account_id, recipient, until_time)
            SELECT asked.team, asked.account, t.recipient, now_time + make_interval(secs => max(t.seconds))
              FROM unnest(new_places, new_recipients, new_s) AS t (place, recipient, seconds)
             WHERE t.place = asked.place GROUP BY t.recipient
            ON CONFLICT (team_id, account_id, recipient) DO UPDATE SET until_time = greatest(h.until_time, excluded.until_time);
        END IF;
        DELETE FROM account_hold AS h
         WHERE h.team_id = asked.team AND h.account_id = asked.account AND h.until_time < now_time;
        SELECT array_agg(f.recipient), array_agg(extract(epoch FROM f.until_time - now_time)::double precision) INTO recipients, left_s
          FROM (
            SELECT h.recipient, h.until_time FROM account_hold AS h
             WHERE h.team_id = asked.team AND h.account_id = asked.account
             ORDER BY h.recipient <> '', h.until_time DESC LIMIT hold_max
          ) AS f;
        RETURN NEXT;
    END LOOP;
END
$$;
