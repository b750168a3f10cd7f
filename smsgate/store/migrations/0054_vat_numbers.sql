-- The VAT number that category AE stood on, with the days that are charged so: a merchant that loses it within a month gets a document
-- that names it. Entries from before take the one of the profile.
ALTER TABLE billing_vat ADD COLUMN vat_number text NOT NULL DEFAULT '';
UPDATE billing_vat v SET vat_number = p.vat_number FROM billing_profile p WHERE p.merchant_id = v.merchant_id AND v.category = 'AE';
