-- Audiences by profile and purchases.
ALTER TABLE campaign
    ADD COLUMN audience_fields jsonb,           -- who has all of these fields with these values
    ADD COLUMN audience_bought bigint[],        -- offers, of which the person ordered one
    ADD COLUMN audience_not_bought bigint[];    -- offers, of which the person ordered none
CREATE INDEX orders_subscriber ON orders (merchant_id, subscriber_id, offer_id);
