-- A shop's next campaign changes the row of each person who had an offer: with room in its page the row stays there, and no index
-- gets an entry for it (a heap-only tuple; what is changed is in no index but the BRIN one).
ALTER TABLE open_offer SET (fillfactor = 50);
