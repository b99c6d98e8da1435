-- Most entries have no end; those that do are looked for each hour.
CREATE INDEX room_users_by_end ON room_users (until_ms) WHERE until_ms IS NOT NULL;
CREATE INDEX app_entries_by_end ON app_entries (until_ms) WHERE until_ms IS NOT NULL;

-- Written and deleted at once, to find out whether a disk that was full has room again.
CREATE TABLE probe (
    id INTEGER NOT NULL PRIMARY KEY,
    filler BLOB NOT NULL
);
