-- What was paid in has a document of its own (386), and invoices deduct it. docs/decisions: prepaid in documents.

ALTER TABLE document DROP CONSTRAINT document_doc_type_check;
ALTER TABLE document ADD CONSTRAINT document_doc_type_check CHECK (doc_type IN ('380', '381', '386', '389', '503'));
ALTER TABLE document_line DROP CONSTRAINT document_line_kind_check;
ALTER TABLE document_line ADD CONSTRAINT document_line_kind_check CHECK (kind IN ('usage', 'commitment', 'prepayment'));

-- What a document deducts, VAT included; and its posting of the ledger, which so far was found by its place alone.
ALTER TABLE document ADD COLUMN paid_minor bigint NOT NULL DEFAULT 0
    CHECK (paid_minor >= 0 AND paid_minor <= greatest(0, gross_minor));
ALTER TABLE document ADD COLUMN posting_id bigint;
UPDATE document d SET posting_id = p.posting_id
FROM (
    SELECT merchant_id, document_id, row_number() OVER (PARTITION BY merchant_id ORDER BY document_id) AS place
    FROM document WHERE gross_minor <> 0 OR rounding_micros <> 0
) o
JOIN (
    SELECT merchant_id, posting_id, row_number() OVER (PARTITION BY merchant_id ORDER BY posting_id) AS place
    FROM ledger_entry WHERE direction = 'document' GROUP BY merchant_id, posting_id
) p USING (merchant_id, place)
WHERE d.merchant_id = o.merchant_id AND d.document_id = o.document_id;
UPDATE document SET posting_id = 0 WHERE posting_id IS NULL;  -- moved nothing
ALTER TABLE document ALTER COLUMN posting_id SET NOT NULL;

-- Which prepayment invoices (386) a document deducts, or pays back.
CREATE TABLE document_advance (
    merchant_id   bigint NOT NULL,
    document_id   bigint NOT NULL,
    advance_id    bigint NOT NULL,           -- a document of type 386
    gross_minor   bigint NOT NULL CHECK (gross_minor > 0),
    vat_minor     bigint NOT NULL,           -- of it
    PRIMARY KEY (merchant_id, document_id, advance_id)
);
CREATE INDEX document_advance_used ON document_advance (merchant_id, advance_id);

ALTER TABLE budget_topup ADD COLUMN document_id bigint;  -- its 386; NULL: not written yet
ALTER TABLE budget ADD COLUMN drawn_micros bigint NOT NULL DEFAULT 0;     -- of what was paid in: deducted on invoices
ALTER TABLE budget ADD COLUMN refunded_micros bigint NOT NULL DEFAULT 0;  -- of what was paid in: paid back
ALTER TABLE budget ADD COLUMN adjusted_micros bigint NOT NULL DEFAULT 0;  -- what closes added to what leases spent

CREATE OR REPLACE FUNCTION budget_is_short(b budget) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(b.short_micros > least(
        CASE WHEN b.prepaid THEN b.paid_in_micros - b.refunded_micros - b.spent_micros - b.leased_micros END,
        CASE WHEN b.month_ends_at <= now() THEN b.month_cap_micros
             ELSE b.month_cap_micros - b.month_spent_micros - b.month_leased_micros END), false)
$$;

ALTER TABLE document_advance ENABLE ROW LEVEL SECURITY;
ALTER TABLE document_advance FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON document_advance
    USING (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint))
    WITH CHECK (merchant_id = (SELECT nullif(current_setting('app.merchant', true), '')::bigint));
