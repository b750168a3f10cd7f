-- A wish to end an order when its time is over waits in the inbox as well, which is found by this index.
DROP INDEX inbound_message_inbox;
CREATE INDEX inbound_message_inbox ON inbound_message (merchant_id, inbound_id)
    WHERE outcome IN ('asked', 'incomplete', 'repetition', 'disputed', 'cancel_requested', 'blocked', 'reassigned', 'start_refused')
      AND (label NOT IN ('help', 'start') OR outcome = 'start_refused');
