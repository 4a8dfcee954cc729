-- Appends rows to the history, in their order; last thing in a transaction, since it locks the heads of their partitions.
CREATE OR REPLACE FUNCTION append_history(facts history_row[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO history (partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body)
    SELECT f.partition, f.position, f.team_id, f.journey_id, f.customer_id, f.enrolment_id, f.at, f.kind, f.body
      FROM ROWS FROM (unnest(facts), unnest(allocate_positions(ARRAY(SELECT r.partition FROM unnest(facts) AS r))))
           AS f (partition, team_id, journey_id, customer_id, enrolment_id, at, kind, body, position);
END
$$;
