-- Who asks for access or erasure by a number is looked for among all whom time removed.
CREATE INDEX person_gone_hash ON person_gone (merchant_id, hash);
