-- Who wrote from a sender number, asked when a STOP comes to it (smsgate.store.inbound_consents.read_writers).
CREATE INDEX offer_version_sender ON offer_version (merchant_id, sender);
CREATE INDEX offer_version_pool ON offer_version (merchant_id) WHERE sender_pool <> '{}';

-- The inbox shows who asked to be erased, too.
DROP INDEX inbound_message_inbox;
CREATE INDEX inbound_message_inbox ON inbound_message (merchant_id, inbound_id)
    WHERE outcome IN ('asked', 'incomplete', 'repetition', 'disputed', 'cancel_requested', 'blocked', 'reassigned', 'start_refused',
                      'erasure_requested')
      AND (label NOT IN ('help', 'start') OR outcome = 'start_refused');
