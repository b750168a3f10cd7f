-- A test merchant stands beside the merchant that a test key belongs to; its phones are simulated, 100 to a block of numbers.
ALTER TABLE merchant
    ADD COLUMN test_of bigint UNIQUE,
    ADD COLUMN test_block int UNIQUE CHECK (test_block BETWEEN 0 AND 999999),
    ADD CHECK ((test_of IS NULL) = (test_block IS NULL));
