-- Secrets are sealed: encrypted, with their row as associated data (libs/common/sealing.py). What a release before wrote in clear
-- is sealed by the gateway when it starts; `connection` keeps what is no secret.
ALTER TABLE account ADD COLUMN sealed bytea CHECK (length(sealed) BETWEEN 37 AND 65536);

-- The release before writes `secret` and knows no other column.
ALTER TABLE shop_key ADD COLUMN sealed bytea CHECK (length(sealed) BETWEEN 37 AND 256),
    ALTER COLUMN secret DROP NOT NULL,
    ADD CONSTRAINT shop_key_in_one_form CHECK (num_nonnulls(secret, sealed) = 1);

-- Answers of CreateShopKey that are kept for repetitions held the key; from now on it is read again where it is stored. A key in
-- text, its length in the byte before it, gives way to as many asterisks, so that the answer remains one.
UPDATE request_log
   SET answer = overlay(answer PLACING convert_to(repeat('*', found.length), 'UTF8') FROM found.start FOR found.length)
  FROM (
    SELECT l.ctid AS row, position('whsec_'::bytea IN l.answer) AS start,
           get_byte(l.answer, position('whsec_'::bytea IN l.answer) - 2) AS length
      FROM request_log AS l
     WHERE position('whsec_'::bytea IN l.answer) > 1
  ) AS found
 WHERE request_log.ctid = found.row AND found.length BETWEEN 38 AND 94
   AND found.start + found.length - 1 <= length(answer);
