-- Loaded before a script: a collector that starts its next cycle at once and
-- takes a large step for every few bytes, so that whatever is not held is
-- gone before it is used.
collectgarbage("incremental", 1, 1000, 8)
