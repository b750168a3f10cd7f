-- Gateways that could not listen read everything anew (smsgate.store.notices); nobody reads endings by their instant any more.
DROP INDEX consent_event_ended;
