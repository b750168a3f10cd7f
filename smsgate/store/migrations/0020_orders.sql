-- The whole of an order's life: second question, held stock, what comes by time, delivery and withdrawal; shops that are
-- out of reach.
ALTER TABLE offer_version
    ADD COLUMN ask_above_minor bigint CHECK (ask_above_minor >= 0),  -- a larger total is asked about first; NULL: never
    ADD COLUMN withdrawal boolean NOT NULL DEFAULT true;             -- false: the law excepts it
ALTER TABLE orders
    ADD COLUMN placed_at timestamptz,       -- the OK that binds; NULL: created_at
    ADD COLUMN stock_held boolean NOT NULL DEFAULT true,
    ADD COLUMN due_event text,              -- smsgate.campaigns.orders.DUE
    ADD COLUMN due_at timestamptz,
    ADD COLUMN delivered_at timestamptz;    -- the shop's word; the withdrawal period begins
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;

-- While its shop cannot be handed orders, a merchant's offers wait.
ALTER TABLE merchant
    ADD COLUMN shop_lost_at timestamptz,
    ADD COLUMN shop_probed_at timestamptz;
