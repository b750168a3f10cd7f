-- An offer may be withdrawn, and its stock changed (requirement 4.2). `stock` is pieces in all, sold ones included, so that
-- what a merchant says of it holds whatever was sold meanwhile; both NULL: not counted.
ALTER TABLE offer DROP CONSTRAINT offer_state_check;
UPDATE offer SET state = 'withdrawn' WHERE state = 'closed';
ALTER TABLE offer
    ADD CONSTRAINT offer_state_check CHECK (state IN ('live', 'withdrawn')),
    ADD COLUMN stock bigint;
UPDATE offer AS o
   SET stock = o.stock_remaining + coalesce((SELECT sum(r.quantity) FROM orders r WHERE r.merchant_id = o.merchant_id
                                                AND r.offer_id = o.offer_id AND r.stock_held), 0)
 WHERE o.stock_remaining IS NOT NULL;
ALTER TABLE offer ADD CONSTRAINT offer_stock CHECK (
    (stock IS NULL) = (stock_remaining IS NULL) AND stock_remaining <= stock);

-- What became of the offer of a campaign that its merchant did not cancel: smsgate.campaigns.offer_states.Drop.
ALTER TABLE campaign ADD COLUMN cancelled_for text;
CREATE INDEX campaign_of_offer ON campaign (merchant_id, offer_id) WHERE state IN ('draft', 'sending', 'paused');
