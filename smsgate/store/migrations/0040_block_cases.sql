-- The inbox has cases too: a block, a number that is another person's, and who asks to come back from a block.
DROP INDEX inbound_message_inbox;
CREATE INDEX inbound_message_inbox ON inbound_message (merchant_id, inbound_id)
    WHERE outcome IN ('asked', 'incomplete', 'repetition', 'disputed', 'blocked', 'reassigned', 'start_refused')
      AND (label NOT IN ('help', 'start') OR outcome = 'start_refused');
