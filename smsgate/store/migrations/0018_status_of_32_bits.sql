-- command_status has 32 bits without a sign, and vendors use what they like of them; -1 and -2 stay ours.
ALTER TABLE sent ALTER COLUMN status TYPE bigint;
