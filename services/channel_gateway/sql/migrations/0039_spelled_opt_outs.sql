-- Who refused on WhatsApp by a number with a plus, as identities could be written before, is known by the number as the channel writes it, too.
-- (2 is WhatsApp.) The later word counts. The old rows stay for sends that are under way to the old spelling.
INSERT INTO opt_out AS known (team_id, channel, external_id, withdrawn, source, changed_at)
SELECT o.team_id, o.channel, substr(o.external_id, 2), o.withdrawn, o.source, o.changed_at
  FROM opt_out AS o WHERE o.channel = 2 AND o.external_id ~ '^\+[1-9][0-9]{6,14}$'
ON CONFLICT (team_id, channel, external_id) DO UPDATE
   SET withdrawn = EXCLUDED.withdrawn, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at
 WHERE known.changed_at < EXCLUDED.changed_at;
