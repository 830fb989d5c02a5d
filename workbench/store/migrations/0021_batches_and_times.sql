-- Answers of a provider's batches are billed at the price's batch_discount; those that came before the mark was
-- given get it. What `vllm run-batch` answered has no such price.
UPDATE controls SET marks = list_append(marks, 'batch_price')
WHERE NOT list_contains(marks, 'batch_price') AND input_tokens IS NOT NULL AND call_id IN (
    SELECT call_id FROM calls
    WHERE contains(attributes, '"batch_request_id"')
      AND json_extract_string(attributes, '$.batch_request_id') NOT LIKE 'vllm-%'
);

-- A time more than a day after its import is no time.
UPDATE calls SET occurred_at = NULL, marks = list_append(calls.marks, 'future_time')
FROM manifests m WHERE m.manifest_id = calls.manifest_id AND calls.occurred_at > m.created_at + INTERVAL 1 DAY;
