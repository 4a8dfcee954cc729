-- Writes the facts of settled sends, last thing in a transaction; the positions that they took. `mail_numbers` is null where
-- nobody waits for mail: the answer to the call was the outcome.
CREATE OR REPLACE FUNCTION write_settled(
    domain_now timestamptz, settled delivery[], partitions smallint[], event_ids uuid[], mail_numbers bigint[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    positions bigint[] := allocate_positions(partitions);
BEGIN
    INSERT INTO history (
        partition, position, team_id, customer_id, kind, occurred_at, event_id, mail_number, depth, effect_key, enrolment_id,
        journey_id, node_id, channel, account_id, outcome, reason, messages, micros, currency)
    SELECT partitions[s.ordinality::integer], positions[s.ordinality::integer], s.team_id, s.customer_id, 1, domain_now,
           event_ids[s.ordinality::integer], mail_numbers[s.ordinality::integer], s.depth, s.effect_key, s.enrolment_id,
           s.journey_id, s.node_id, s.channel, s.account_id, s.state, s.reason, s.messages, s.messages * s.price_micros,
           s.currency
      FROM unnest(settled) WITH ORDINALITY AS s;
    RETURN positions;
END
$$;
