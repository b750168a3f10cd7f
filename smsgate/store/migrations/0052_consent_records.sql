-- Texts about a consent, taken along when the day of their partition is dropped (docs/decisions/0054): found by the person.
CREATE INDEX kept_message_consent ON kept_message (merchant_id, subscriber_id) WHERE order_id IS NULL AND campaign_id IS NULL;
