-- Empties the notes of one customer's entries and gives these and those after them the hashes that follow, and the account that of the last
-- one. It runs with its owner's rights, for a team to which the transaction is bound, and holds the account meanwhile.
CREATE OR REPLACE FUNCTION erase_notes(of_team uuid, of_customer uuid, sequences bigint[], hashes bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT platform.teams() @> ARRAY[of_team] THEN
        RETURN;
    END IF;
    PERFORM set_config('omnijourney.erasing_notes', 'on', true);
    UPDATE entry AS e
       SET note = CASE WHEN e.source = entry_source('MANUAL') THEN '' ELSE e.note END, hash = n.hash
      FROM unnest(sequences, hashes) AS n (sequence, hash)
     WHERE e.team_id = of_team AND e.customer_id = of_customer AND e.sequence = n.sequence;
    PERFORM set_config('omnijourney.erasing_notes', 'off', true);
    UPDATE account AS a SET last_hash = n.hash
      FROM unnest(sequences, hashes) AS n (sequence, hash)
     WHERE a.team_id = of_team AND a.customer_id = of_customer AND a.sequence = n.sequence;
END
$$;
