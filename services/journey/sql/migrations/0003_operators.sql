-- A draining worker hands back its partitions and takes no others.
ALTER TABLE lease_worker ADD COLUMN draining boolean NOT NULL DEFAULT false;
