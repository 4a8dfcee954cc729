-- What was decided, whatever it was.

-- name: save_batch
SELECT save_batch_v4(:now, :customers, :contacts, :reports, :keys, :effects, :traits, :facts)
