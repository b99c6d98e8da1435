CREATE TABLE schema_version (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);

CREATE TABLE rooms (
    app TEXT NOT NULL,
    room TEXT NOT NULL,
    name TEXT NOT NULL,
    policy TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    by_server BOOLEAN NOT NULL,
    ends TEXT NOT NULL,
    attributes_version BIGINT NOT NULL,
    PRIMARY KEY (app, room)
);

-- What holds for a room whether it exists or not; no row: nothing does.
CREATE TABLE room_rules (
    app TEXT NOT NULL,
    room TEXT NOT NULL,
    muted BOOLEAN NOT NULL,
    stopped BOOLEAN NOT NULL,
    PRIMARY KEY (app, room)
);

CREATE TABLE room_users (
    app TEXT NOT NULL,
    room TEXT NOT NULL,
    list TEXT NOT NULL,
    user_id TEXT NOT NULL,
    until_ms BIGINT,
    since_ms BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (app, room, list, user_id)
);

CREATE TABLE room_attributes (
    app TEXT NOT NULL,
    room TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    goes_with_owner BOOLEAN NOT NULL,
    PRIMARY KEY (app, room, name)
);

CREATE TABLE app_entries (
    app TEXT NOT NULL,
    list TEXT NOT NULL,
    name TEXT NOT NULL,
    until_ms BIGINT,
    since_ms BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (app, list, name)
);
