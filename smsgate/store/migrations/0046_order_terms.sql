-- What was promised of an order with the offer that it answers (requirement 4.3), frozen with its text.
ALTER TABLE offer_version
    ADD COLUMN cancel_window_s int NOT NULL DEFAULT 3600 CHECK (cancel_window_s BETWEEN 0 AND 604800),  -- a plain no cancels
    ADD COLUMN shop_answer_s int NOT NULL DEFAULT 86400 CHECK (shop_answer_s BETWEEN 7200 AND 604800),  -- else it is cancelled
    ADD COLUMN confirm_by_sms boolean NOT NULL DEFAULT false;  -- the shop's confirmation is a text to the buyer, too
