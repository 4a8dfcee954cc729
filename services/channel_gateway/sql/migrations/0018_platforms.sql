-- Webhooks of the platforms that shops run on: 5 Shopify, 6 WooCommerce, 7 Segment. Those that are stored fit anyway.
ALTER TABLE webhook_inbox DROP CONSTRAINT webhook_inbox_source_check,
    ADD CONSTRAINT webhook_inbox_source_check CHECK (source BETWEEN 1 AND 7) NOT VALID;
