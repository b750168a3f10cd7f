-- Housekeeping finds the places of offers that ended long ago; BRIN costs a claim next to nothing.
CREATE INDEX open_offer_ends ON open_offer USING brin (expires_at);
