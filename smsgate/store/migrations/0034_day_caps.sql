-- A cap on each day of the merchant's zone, beside that of the month (R4, R14). What a lease may cost counts on the day on which
-- it was taken, and what comes back of it comes back to that day.
ALTER TABLE budget
    ADD COLUMN day_cap_micros bigint CHECK (day_cap_micros >= 0),                   -- NULL: none
    ADD COLUMN day date NOT NULL DEFAULT '-infinity',                               -- of the next four
    ADD COLUMN day_ends_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN day_before_micros bigint NOT NULL DEFAULT 0,                         -- of what was spent: by no lease
    ADD COLUMN day_spent_micros bigint NOT NULL DEFAULT 0,
    ADD COLUMN day_leased_micros bigint NOT NULL DEFAULT 0;
ALTER TABLE budget_lease ADD COLUMN day date NOT NULL DEFAULT '-infinity';
ALTER TABLE budget_lease ALTER COLUMN day DROP DEFAULT;
ALTER TABLE budget_charge ADD COLUMN day date;                                      -- NULL: of no lease, or of a day long gone

CREATE OR REPLACE FUNCTION budget_is_short(b budget) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(b.short_micros > least(
        CASE WHEN b.prepaid THEN b.paid_in_micros - b.refunded_micros - b.spent_micros - b.leased_micros END,
        CASE WHEN b.month_ends_at <= now() THEN b.month_cap_micros
             ELSE b.month_cap_micros - b.month_spent_micros - b.month_leased_micros END,
        CASE WHEN b.day_ends_at <= now() THEN b.day_cap_micros
             ELSE b.day_cap_micros - b.day_spent_micros - b.day_leased_micros END), false)
$$;
