-- Marketing that waits: for the hours of a person's place, for a cap, for the answer to another offer.

ALTER TABLE subscriber
    ADD COLUMN region text NOT NULL DEFAULT '',     -- ISO 3166-2 without its country, by the person's address
    ADD COLUMN timezone text NOT NULL DEFAULT '',   -- IANA, where the shop knows it
    ADD COLUMN place text NOT NULL DEFAULT '';      -- smsgate.campaigns.hours.Place.key; '': the country alone

ALTER TABLE campaign_chunk
    ADD COLUMN members bigint[],            -- messages of the chunk where ids of others stand between them; NULL: all
    ADD COLUMN not_before timestamptz,      -- nobody takes it before
    ADD COLUMN hold text CHECK (hold IN ('quiet_hours', 'cap', 'open_offer')),
    ADD COLUMN hold_rule text;              -- an id of campaigns/law/hours.toml, of a cap, or open-offer

-- Other numbers that an offer may go out by, when an answer is waited for on the first.
ALTER TABLE offer_version ADD COLUMN sender_pool text[] NOT NULL DEFAULT '{}';

-- Marketing of the last 7 days to one person, over all merchants, oldest first. Written only while a cap is set.
CREATE TABLE marketing_contact (
    msisdn        bigint PRIMARY KEY,
    merchant_ids  bigint[] NOT NULL,
    at            timestamptz[] NOT NULL,
    last_at       timestamptz NOT NULL
);
CREATE INDEX marketing_contact_last ON marketing_contact USING brin (last_at);
