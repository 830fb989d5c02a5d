-- Why attempts at a call were given up before the one that counts, such as rate_limited,timeout.
ALTER TABLE observations ADD COLUMN retried VARCHAR;
