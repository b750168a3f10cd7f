-- A set of message ids: bit n is the nth of 1,024 neighbours (decision 0058). block_ids(n, 1) sets one bit in what it has; bit_or made
-- two sets of each row and walked both.
DO $$
BEGIN
    EXECUTE format('CREATE AGGREGATE block_ids(int, int) (SFUNC = set_bit, STYPE = bit, INITCOND = %L)', repeat('0', 1024));
END $$;
