-- What a simulation under way has counted so far, for those who watch it: null before its first counts and once it has ended. It is shown, and
-- never gone on from.
ALTER TABLE simulation ADD COLUMN counts bytea;
