CREATE TABLE conversations (
    id BIGINT NOT NULL PRIMARY KEY,
    app TEXT NOT NULL,
    -- 0 one-to-one, 2 group, 3 discussion, 4 system, as on the wire.
    kind SMALLINT NOT NULL,
    -- What names it among those of its kind; see conversation/key.rs.
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    creator_id TEXT NOT NULL,
    notice TEXT NOT NULL,
    attributes TEXT NOT NULL,
    -- Of a discussion that can be found by its members: a digest of them. Gone once they change.
    members_digest TEXT,
    member_count BIGINT NOT NULL,
    -- Another one with each change of the members.
    members_version BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    muted BOOLEAN NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_message_id BIGINT NOT NULL,
    last_message_at_ms BIGINT NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX conversations_by_key ON conversations (app, kind, name_key);
CREATE INDEX conversations_by_members ON conversations (app, members_digest) WHERE members_digest IS NOT NULL;
CREATE INDEX conversations_muted ON conversations (app, kind, name_key) WHERE muted;
CREATE INDEX conversations_by_end ON conversations (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

CREATE TABLE conversation_members (
    conversation BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    app TEXT NOT NULL,
    role SMALLINT NOT NULL,
    joined_at_ms BIGINT NOT NULL,
    -- Messages from this one on are for this member.
    first_sequence BIGINT NOT NULL,
    delivered_sequence BIGINT NOT NULL,
    read_sequence BIGINT NOT NULL,
    -- Null: may send. The largest number: muted without end.
    muted_until_ms BIGINT,
    PRIMARY KEY (conversation, user_id)
) WITHOUT ROWID;

CREATE INDEX conversation_members_by_user ON conversation_members (app, user_id, conversation);

CREATE TABLE messages (
    conversation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    sent_at_ms BIGINT NOT NULL,
    sender_id TEXT NOT NULL,
    -- As on the wire.
    kind INTEGER NOT NULL,
    counts BOOLEAN NOT NULL,
    recalled BOOLEAN NOT NULL,
    -- The event that members got, encoded.
    event BLOB NOT NULL,
    PRIMARY KEY (conversation, sequence)
) WITHOUT ROWID;

-- Which messages were taken in whose name, for as long as repeats are recognised.
CREATE TABLE sent_messages (
    app TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    client_message_id TEXT NOT NULL,
    -- Of what was sent, to tell a repeat from another message.
    digest BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    sent_at_ms BIGINT NOT NULL,
    notice INTEGER NOT NULL,
    PRIMARY KEY (app, sender_id, client_message_id)
) WITHOUT ROWID;

-- What combined messages carry: a set of parts for each id that its owner has chosen.
CREATE TABLE combined_sets (
    app TEXT NOT NULL,
    user_id TEXT NOT NULL,
    combined_id TEXT NOT NULL,
    -- When its newest part was put.
    put_at_ms BIGINT NOT NULL,
    -- When a message last named it: then its parts do not change any more. Null: none did yet. 0: the messages that did were taken back.
    sent_at_ms BIGINT,
    parts BIGINT NOT NULL,
    -- The greatest number of a part: all are there if it is one less than there are parts.
    last_part BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    -- Messages that name it.
    messages BIGINT NOT NULL,
    PRIMARY KEY (app, user_id, combined_id)
) WITHOUT ROWID;

-- Over all sets, not those alone that were not sent: between the key and an index of a part, SQLite takes the key.
CREATE INDEX combined_sets_by_use ON combined_sets (app, user_id, sent_at_ms, bytes);

CREATE TABLE combined_parts (
    app TEXT NOT NULL,
    user_id TEXT NOT NULL,
    combined_id TEXT NOT NULL,
    part BIGINT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (app, user_id, combined_id, part)
) WITHOUT ROWID;

-- How far the numbers went of a group that is gone: the next with its id goes on behind them, so that no client takes a new message for an old one.
CREATE TABLE ended_groups (
    app TEXT NOT NULL,
    name_key TEXT NOT NULL,
    last_sequence BIGINT NOT NULL,
    PRIMARY KEY (app, name_key)
) WITHOUT ROWID;

-- Lists of users that a user has, and users of a conversation that are excepted from its mute, or muted should they come: until then.
CREATE TABLE user_lists (
    app TEXT NOT NULL,
    list TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (app, list, owner_id, user_id)
) WITHOUT ROWID;

CREATE INDEX user_lists_by_end ON user_lists (since_ms) WHERE list = 'left_muted';

-- The greatest id that was given to a conversation, a message or a version of members. One row.
CREATE TABLE greatest_ids (
    id SMALLINT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO greatest_ids (id, value) VALUES (1, 0);
