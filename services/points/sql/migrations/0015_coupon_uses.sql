-- Claims that were used in the shop, each once. Claims themselves never change nor go, so that no reference need hold them.
CREATE TABLE coupon_use (
    team_id  uuid NOT NULL,
    claim_id uuid NOT NULL,
    used_at  timestamptz NOT NULL
             CHECK (used_at >= '0001-01-02 00:00:00+00' AND used_at < '9999-12-31 00:00:00+00'),
    place    text NOT NULL CHECK (char_length(place) <= 100),
    actor    text NOT NULL CHECK (char_length(actor) <= 200),
    PRIMARY KEY (team_id, claim_id)
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON coupon_use
   FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT platform.hold_teams_apart('coupon_use');

-- What offered a coupon, as the message whose button was pressed: it is claimed once.
ALTER TABLE coupon_claim ADD COLUMN offer_id uuid;
CREATE UNIQUE INDEX coupon_claim_by_offer ON coupon_claim (team_id, customer_id, coupon_id, offer_id) WHERE offer_id IS NOT NULL;
