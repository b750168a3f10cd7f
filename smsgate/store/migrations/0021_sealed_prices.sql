-- Published prices are proved unchanged: what a version holds is hashed when it is published. Versions that stand already are
-- sealed as they are now; '' is a version that nobody sealed. The text is smsgate.billing.price_seals.sealed_text.
ALTER TABLE price_version ADD COLUMN items_sha256 bytea NOT NULL DEFAULT '';
UPDATE price_version SET items_sha256 = sealed.sha256
FROM (
    SELECT v.price_list_id, v.version, sha256(convert_to(
        format(E'%s %s %s\n', l.side, l.currency, (extract(epoch FROM v.effective_from) * 1000000)::bigint)
        || string_agg(format(E'%s %s %s %s %s %s\n', i.item_id, i.direction, i.network, i.unit_micros, i.basis,
                             coalesce(i.ladder::text, '-')), '' ORDER BY i.item_id), 'UTF8')) AS sha256
    FROM price_version v
    JOIN price_list l ON l.price_list_id = v.price_list_id
    JOIN price_item i ON i.price_list_id = v.price_list_id AND i.version = v.version
    GROUP BY v.price_list_id, v.version, l.side, l.currency, v.effective_from
) AS sealed
WHERE sealed.price_list_id = price_version.price_list_id AND sealed.version = price_version.version;
