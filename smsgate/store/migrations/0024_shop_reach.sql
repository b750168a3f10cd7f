-- Since when an endpoint takes no orders, and how many attempts failed since: a merchant of whom no endpoint takes any
-- offers nothing meanwhile (merchant.shop_lost_at).
ALTER TABLE webhook_endpoint
    ADD COLUMN failing_since timestamptz,
    ADD COLUMN failures int NOT NULL DEFAULT 0 CHECK ((failures = 0) = (failing_since IS NULL));
