-- Where a compared answer stands in the log and in its sample, so that a million of them are weighed without
-- joining by ids: numbers of the call and of the answer, the batch, the beginning of the audit key as a number,
-- and what per-field evidence needs of `details`: JSON [[path, equal, control has it, critical], ...].
-- NULL where it was not known when the row was written; it is then looked up.
ALTER TABLE comparisons ADD COLUMN call_seq BIGINT;
ALTER TABLE comparisons ADD COLUMN observation_seq BIGINT;
ALTER TABLE comparisons ADD COLUMN batch INTEGER;
ALTER TABLE comparisons ADD COLUMN audit_order BIGINT;
ALTER TABLE comparisons ADD COLUMN parts VARCHAR;

UPDATE comparisons SET
    call_seq = found.call_seq, observation_seq = found.observation_seq, batch = found.batch,
    audit_order = found.audit_order, parts = found.parts
FROM (
    SELECT m.replay_id, m.call_id, m.repeat, m.evaluator_version, c.seq AS call_seq, o.seq AS observation_seq,
           p.batch, CASE WHEN length(p.audit_key) >= 15
                         THEN TRY_CAST('0x' || left(p.audit_key, 15) AS BIGINT) END AS audit_order,
           CASE WHEN json_type(m.details, '$.fields') = 'ARRAY' THEN CAST(to_json(list_transform(
               json_extract(m.details, '$.fields[*]'),
               lambda f: json_array(
                   json_extract(f, '$.path'), json_extract(f, '$.equal'),
                   coalesce(CAST(json_extract(f, '$.control') AS VARCHAR), '') <> '{"missing":true}',
                   coalesce(CAST(json_extract(f, '$.critical') AS BOOLEAN), false)))) AS VARCHAR)
                ELSE '[]' END AS parts
    FROM comparisons m
    JOIN calls c ON c.call_id = m.call_id
    JOIN observations o ON o.replay_id = m.replay_id AND o.call_id = m.call_id AND o.repeat = m.repeat
    JOIN replay_calls p ON p.replay_id = m.replay_id AND p.call_id = m.call_id
) found
WHERE comparisons.replay_id = found.replay_id AND comparisons.call_id = found.call_id
  AND comparisons.repeat = found.repeat AND comparisons.evaluator_version = found.evaluator_version;
