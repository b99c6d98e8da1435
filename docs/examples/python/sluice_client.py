"""A client for Sluice over TCP and TLS: a small library and a command line.

It needs Python 3.11, the package protobuf, and the message classes made from the schema (README.md says how). The
library is the class `Client`:

    client = await Client.connect("127.0.0.1", 7400)
    await client.login("dev", "dora", token)
    await client.enter_room("lobby")
    await client.send_text("lobby", "hello")
    while event := await client.next_event():
        print(event)

One task reads and hands replies to those who wait for them, so commands may be sent from many tasks at once. It does
not connect again by itself: docs/protocol.md, "Reconnecting", says when to and how. A new client can go on with the
session of one that has lost its connection:

    again = await Client.connect("127.0.0.1", 7400)
    resumed = (await again.resume(client, "dev", "dora", token)).resumed

Messages to one user are kept by the server until they are acknowledged, and longer as history:

    async for message in client.sync():
        print(message)
    await client.send_text_to("erin", "hello")
    await client.ack("erin", delivered=message.sequence)
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import math
import ssl
import sys
import time
import tomllib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from sluice.v1 import conversation_pb2, frame_pb2, message_pb2, room_pb2, session_pb2

PROTOCOL_VERSION = 1
ALPN = "sluice/1"
TCP_PORT = 7400
TLS_PORT = 7401
SDK = "sluice-python-example/1"

# The longest frame a server sends. A longer one is refused before any of it is read.
SERVER_FRAME_BYTES_MAX = 1024 * 1024
# Of a length below 2^32; a longer varint is no length.
LENGTH_BYTES_MAX = 5
# The longest frame a client sends before the login's answer announces the limit that holds after it.
LOGIN_FRAME_BYTES_MAX = 4096
# What stands around a login in its frame, at most.
LOGIN_FRAME_OVERHEAD_BYTES = 16
# A command without a reply for so long counts as "may or may not have been done".
REPLY_TIMEOUT_S = 20
# Opening the transport, TLS handshake included, which the server gives up after 5 s.
CONNECT_TIMEOUT_S = 10
# Saying goodbye to the transport, to a server that may be dead.
CLOSE_TIMEOUT_S = 2
# A ping in each interval, with room to be late; whatever else is sent, so that there is always an answer to hear.
PING_INTERVALS = 0.8
# Both sides take the other for dead after so many intervals of silence.
SILENCE_INTERVALS = 2.5
# How long the number of a message may be missing before it is asked for: the reply to a message of this connection may be
# under way.
MISSING_S = 1
# Messages of each conversation that the command line asks for when it asks what was missed; the most there may be.
NEWEST_MAX = 100
# Events that wait for an app that does not take them. Replies come behind events, so the client has to go on reading;
# beyond this it ends the connection instead of filling the memory.
EVENTS_MAX = 10_000

LOGGED_OUT = 0
REQUEST_TIMEOUT = 5004
SEND_TOO_FAST = 20604
TOO_FREQUENT = 20607
SERVER_UNAVAILABLE = 31003
TOO_LARGE_TO_SEND = 30016
SOCKET_CREATE_FAILED = 30010
SOCKET_DISCONNECTED = 30011
PING_TIMEOUT = 30013
SLOW = 31011
MALFORMED_FRAME = 32002


# With these in a reply the same message may be sent again, under the same id.
FOR_A_WHILE = {REQUEST_TIMEOUT, SEND_TOO_FAST, TOO_FREQUENT, SERVER_UNAVAILABLE}


class SluiceError(Exception):
    """A command that failed, or a connection that ended. `code` is a number of docs/error-codes.md: decide on it and on
    `detail`; `message` is English for a log. `retry_after_ms` is 0 when the server gives no advice."""

    def __init__(self, code: int, detail: str = "", message: str = "", retry_after_ms: int = 0):
        super().__init__(code, detail, message, retry_after_ms)
        self.code = code
        self.detail = detail
        self.message = message
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.code}{detail}: {self.message}"


def encode_frame(frame: frame_pb2.Frame) -> bytes:
    """The frame as it travels: its length as a varint, and the message."""
    body = frame.SerializeToString()
    length = len(body)
    prefix = bytearray()
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + body


async def read_frame(reader: asyncio.StreamReader) -> frame_pb2.Frame:
    """The next frame. Raises `asyncio.IncompleteReadError` at the end of the stream, and `SluiceError` 32002 for bytes
    that make no frame."""
    length = 0
    for position in range(LENGTH_BYTES_MAX):
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            break
    else:
        raise SluiceError(MALFORMED_FRAME, message="a length of more than five bytes")
    if length == 0 or (byte == 0 and position > 0):
        raise SluiceError(MALFORMED_FRAME, message="a length of 0, or one that is not in its shortest form")
    if length > SERVER_FRAME_BYTES_MAX:
        raise SluiceError(MALFORMED_FRAME, message=f"a frame of {length} bytes")
    try:
        return frame_pb2.Frame.FromString(await reader.readexactly(length))
    except DecodeError as error:
        raise SluiceError(MALFORMED_FRAME, message=str(error)) from error


def make_token(secret: bytes, app_key: str, user_id: str, seconds: int = 3600) -> str:
    """A token as the app's own server issues them. A real client never has the secret: it asks that server."""
    now = int(time.time())
    return sign(secret, {"sub": user_id, "aud": app_key, "iat": now, "exp": now + seconds})


def sign(secret: bytes, claims: dict) -> str:
    """A JSON Web Token in compact form, signed with HS256."""

    def encode(part: bytes) -> bytes:
        return base64.urlsafe_b64encode(part).rstrip(b"=")

    header = {"alg": "HS256", "typ": "JWT"}
    text = b".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return (text + b"." + encode(hmac.new(secret, text, hashlib.sha256).digest())).decode()


def tls_context(ca: str | None = None) -> ssl.SSLContext:
    """Trusts the certificates in the file `ca`, or those of the system, and offers the protocol's name."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols([ALPN])
    return context


class Conversation:
    """Which messages of one conversation are here: docs/protocol.md, "Step by step", 7. Replies to messages of this connection
    have numbers too, and come in any order with events."""

    def __init__(self, last: int | None = None):
        # All up to this number is here, or in `missing`. None: nothing is known of the conversation.
        self.last = last
        # First and last number of each stretch that a page left out. `Client.history` has what is in it.
        self.missing: list[tuple[int, int]] = []
        # What came before its turn. None: a message of this connection, of which the reply came.
        self._aside: dict[int, conversation_pb2.ConversationMessage | None] = {}

    def take(self, message: conversation_pb2.ConversationMessage) -> list[conversation_pb2.ConversationMessage]:
        """A message of a page or an event. Returns what is to be shown now, in order."""
        if message.sequence == 0:  # not kept, and in no order
            return [message]
        if self.last is None:
            self._begin(message.sequence - 1)
        shown = []
        if message.history and message.sequence > self.last + 1:
            shown = self._skip_to(message.sequence)
        if message.sequence > self.last:
            self._aside.setdefault(message.sequence, message)
        return shown + self._drain()

    def sent(self, sequence: int) -> list[conversation_pb2.ConversationMessage]:
        """The reply to a message of this connection. What has a smaller number may still come, so it is never skipped for
        this one. Returns what is to be shown now."""
        if sequence == 0 or self.last is not None and sequence <= self.last:
            return []
        self._aside[sequence] = None
        return [] if self.last is None else self._drain()

    @property
    def waits(self) -> bool:
        """Whether something came of which something before is missing."""
        return self.last is not None and bool(self._aside)

    def _begin(self, last: int) -> None:
        self.last = last
        self._aside = {sequence: own for sequence, own in self._aside.items() if sequence > last}

    def _skip_to(self, sequence: int) -> list[conversation_pb2.ConversationMessage]:
        """A page goes on with this number. What is before it and not here is missing."""
        shown = []
        for before in sorted(one for one in self._aside if one < sequence) + [sequence]:
            if before > self.last + 1:
                self.missing.append((self.last + 1, before - 1))
                self.last = before - 1
            shown += self._drain()
        return shown

    def _drain(self) -> list[conversation_pb2.ConversationMessage]:
        shown = []
        while self.last + 1 in self._aside:
            self.last += 1
            message = self._aside.pop(self.last)
            if message is not None:
                shown.append(message)
        return shown


class Client:
    """One connection. Make it with `connect`, then `login`; end it with `logout`, or with `close` to come back later.

    Methods raise `SluiceError`: for a command that was refused, and for a connection that has ended, with why it did.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer
        self._request_ids = itertools.cycle(range(1, 2**32))
        self._replies: dict[int, asyncio.Future[frame_pb2.Reply]] = {}
        self._events: asyncio.Queue[frame_pb2.Frame | None] = asyncio.Queue()
        self._frame_bytes_max = LOGIN_FRAME_BYTES_MAX
        # What resumes this session: the newest secret, when it began, and the newest message known of each room.
        self._resume_secret = ""
        self._started_at_ms = 0
        self._cursors: dict[str, int] = {}
        # Where the cursor of a room is once all is there that is delivered again.
        self._cursors_after_replay: dict[str, int] = {}
        self._heard_at = time.monotonic()
        # Why the connection ended; None while it lives.
        self._ended: SluiceError | None = None
        self._reading = asyncio.create_task(self._read())
        self._heartbeat: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, host: str, port: int, tls: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> "Client":
        """Opens the transport. With `tls` the server's certificate must be for `server_name` (default: the host)."""
        name = (server_name or host) if tls else None
        try:
            opening = asyncio.open_connection(host, port, ssl=tls, server_hostname=name)
            reader, writer = await asyncio.wait_for(opening, CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise SluiceError(SOCKET_CREATE_FAILED, message=str(error) or "no answer in time") from error
        return cls(reader, writer)

    async def login(self, app_key: str, user_id: str, token: str, **fields) -> session_pb2.LoginResult:
        """Logs in; `fields` are more fields of `Login`, such as `user_name`."""
        login = session_pb2.Login(
            protocol_version=PROTOCOL_VERSION, app_key=app_key, user_id=user_id, token=token, sdk=SDK, **fields
        )
        # A room that is not named goes on from now.
        while login.resume_rooms and login.ByteSize() > LOGIN_FRAME_BYTES_MAX - LOGIN_FRAME_OVERHEAD_BYTES:
            del login.resume_rooms[-1], login.resume_sequences[-1]
        result = (await self._call(login=login)).login
        self._frame_bytes_max = result.limits.client_frame_bytes
        self._resume_secret = result.resume_secret
        self._started_at_ms = result.server_time_ms
        self._heartbeat = asyncio.create_task(self._beat(result.heartbeat_interval_ms / 1000))
        return result

    async def resume(
        self, lost: "Client", app_key: str, user_id: str, token: str, **fields
    ) -> session_pb2.LoginResult:
        """Logs in to go on with the session of a client that has lost its connection. Where `resumed` of the result is
        true, an event follows for each room it was inside, and what it missed; take what is left of the other's events
        first. Otherwise this is a new session: join the rooms again.

        Not to be done by itself after 31011 with the detail `resumed`: the session goes on with another client then."""
        self._cursors = dict(lost._cursors)  # before any event can move them
        result = await self.login(
            app_key,
            user_id,
            token,
            automatic=True,
            previous_session_started_at_ms=lost._started_at_ms,
            resume_secret=lost._resume_secret,
            resume_rooms=list(lost._cursors.keys()),
            resume_sequences=list(lost._cursors.values()),
            **fields,
        )
        if result.resumed:
            self._started_at_ms = lost._started_at_ms
        else:
            self._cursors.clear()
        return result

    async def renew_token(self, token: str) -> session_pb2.RenewTokenResult:
        """Replaces the session's token, which `TokenWillExpire` asks for. Use the newest for the next login."""
        return (await self._call(renew_token=session_pb2.RenewToken(token=token))).renew_token

    async def ping(self) -> session_pb2.Pong:
        """Asks for the server's time."""
        return (await self._call(ping=session_pb2.Ping())).pong

    async def enter_room(self, room_id: str, room_name: str = "") -> room_pb2.RoomEntered:
        """Joins a room, creating it if it does not exist. Brings no history."""
        return (await self._call(enter_room=room_pb2.EnterRoom(room_id=room_id, room_name=room_name))).room_entered

    async def join_chat_room(self, room_id: str, message_count: int = 0) -> room_pb2.RoomEntered:
        """Joins a chat room, creating it if it does not exist. The newest `message_count` messages (1 to 50; 0: 10; -1:
        none) follow as events with `history` set."""
        join = room_pb2.JoinChatRoom(room_id=room_id, message_count=message_count)
        return (await self._call(join_chat_room=join)).room_entered

    async def switch_room(self, leave_room_id: str, room_id: str, **fields) -> room_pb2.RoomEntered:
        """Leaves one room and enters another; where that is refused, stays where it is. `fields` are more fields of
        `SwitchRoom`, such as `create`."""
        switch = room_pb2.SwitchRoom(leave_room_id=leave_room_id, room_id=room_id, **fields)
        entered = (await self._call(switch_room=switch)).room_entered
        self._cursors.pop(leave_room_id, None)
        return entered

    async def members(self, room_id: str) -> AsyncIterator[room_pb2.RoomMember]:
        """The members of a room, those who came last first, asked for page after page."""
        cursor = ""
        while True:
            query = room_pb2.QueryRoomMembers(room_id=room_id, cursor=cursor)
            page = (await self._call(query_room_members=query)).room_members
            for member in page.members:
                yield member
            cursor = page.next_cursor
            if not cursor:
                return

    async def set_attributes(self, room_id: str, values: dict[str, str], **fields) -> room_pb2.RoomAttributesWritten:
        """Sets attributes of a room; `fields` are more fields of `SetRoomAttributes`, such as `force`. Keys that were refused
        are in `refused` of the result; when all were, that is the error 23428."""
        write = room_pb2.SetRoomAttributes(
            room_id=room_id, keys=list(values.keys()), values=list(values.values()), **fields
        )
        return (await self._call(set_room_attributes=write)).room_attributes_written

    async def attributes(self, room_id: str, *keys: str) -> room_pb2.RoomAttributes:
        """The attributes of a room with these keys, or all of them."""
        query = room_pb2.QueryRoomAttributes(room_id=room_id, keys=keys)
        return (await self._call(query_room_attributes=query)).room_attributes

    async def leave_room(self, room_id: str) -> None:
        """Leaves a room. None of its events arrives after this returns."""
        await self._call(leave_room=room_pb2.LeaveRoom(room_id=room_id))

    async def send_text(
        self, room_id: str, text: str, client_message_id: str | None = None
    ) -> message_pb2.SendMessageResult:
        """Sends a text to a room this session is inside. It comes back as an event, as to every member.

        After an error 5004, or the end of the connection, the message may or may not have been taken. Send it again
        with the same `client_message_id`: then it is not taken twice. Without one, each call is a new message.

        Where `distributed` of the result is false, the room had too much at once and gives it to nobody, this session
        included: a success all the same, and not to be sent again."""
        message = message_pb2.SendMessage(
            conversation_type=message_pb2.CONVERSATION_TYPE_ROOM,
            target_id=room_id,
            type=message_pb2.MESSAGE_TYPE_TEXT,
            content=text.encode(),
            client_message_id=client_message_id or str(uuid.uuid4()),
        )
        return (await self._call(send_message=message)).send_message

    async def send_text_to(
        self, user_id: str, text: str, client_message_id: str | None = None
    ) -> message_pb2.SendMessageResult:
        """Sends a text to one user. When this returns, the server has it on its disk. This connection gets no event of it;
        the other one does, and all other devices of both. The `sequence` of the result is its number: messages with smaller ones
        may still come, see `Conversation.sent`.

        After an error 5004, 31003 or 4200, or the end of the connection, the message may or may not have been taken. Send it
        again with the same `client_message_id`, and those behind it after it: docs/protocol.md, "Unknown outcomes"."""
        message = message_pb2.SendMessage(
            conversation_type=message_pb2.CONVERSATION_TYPE_PEER,
            target_id=user_id,
            type=message_pb2.MESSAGE_TYPE_TEXT,
            content=text.encode(),
            client_message_id=client_message_id or str(uuid.uuid4()),
        )
        return (await self._call(send_message=message)).send_message

    async def sync(
        self, newest: int = 0, known: dict[str, int] | None = None
    ) -> AsyncIterator[conversation_pb2.ConversationMessage]:
        """What came while this user was away, page after page: of each conversation the newest messages (1 to 100; 0: 20).
        `known` says of conversations with one user up to which sequence number they are here. Take all of it: only then
        events of conversations come, on this connection. Ask again after the event `conversations_lost`.

        What begins above what is known leaves a gap: `history` has what is in it. `Conversation` tells one."""
        known = known or {}
        sync = conversation_pb2.SyncConversations(
            newest=newest,
            known_types=[message_pb2.CONVERSATION_TYPE_PEER] * len(known),
            known_ids=list(known.keys()),
            known_sequences=list(known.values()),
        )
        while True:
            page = (await self._call(sync_conversations=sync)).sync_page
            for message in page.messages:
                yield message
            if not page.next_cursor:
                return
            sync = conversation_pb2.SyncConversations(newest=newest, cursor=page.next_cursor)

    async def ack(self, user_id: str, delivered: int = 0, read: int = 0) -> conversation_pb2.AckMessagesResult:
        """Says up to which sequence number of a conversation with one user messages are kept by this device, and up to which
        they have been read. What was delivered does not come again with the next `sync`. Call it once for many messages."""
        ack = conversation_pb2.AckMessages(
            type=message_pb2.CONVERSATION_TYPE_PEER, id=user_id, delivered_sequence=delivered, read_sequence=read
        )
        return (await self._call(ack_messages=ack)).ack_messages

    async def history(self, user_id: str, page_size: int = 0) -> AsyncIterator[conversation_pb2.ConversationMessage]:
        """The messages of a conversation with one user from the newest back, asked for `page_size` (1 to 1000; 0: 20) at a
        time."""
        beyond = 0
        while True:
            query = conversation_pb2.QueryMessages(
                type=message_pb2.CONVERSATION_TYPE_PEER, id=user_id, limit=page_size, message_id=beyond
            )
            page = (await self._call(query_messages=query)).messages
            for message in reversed(page.messages):
                yield message
            # Whether there is more does not depend on how much came.
            if not page.more:
                return
            beyond = page.beyond_message_id

    @property
    def has_ended(self) -> bool:
        """Whether the connection has ended. A code does not say so: 31003 is in replies too."""
        return self._ended is not None

    @property
    def events_wait(self) -> bool:
        """Whether `next_event` returns at once."""
        return not self._events.empty()

    async def next_event(self) -> frame_pb2.Frame | None:
        """What the server tells unasked, one after the other, and `None` after a logout. Any other end of the
        connection is raised."""
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)  # for who asks again
            if self._ended.code != LOGGED_OUT:
                raise self._ended
        return event

    async def logout(self) -> None:
        """Ends the session: others see the user leave on purpose. Waits for the server to end the connection."""
        await self._call(logout=session_pb2.Logout())
        await asyncio.wait([self._reading], timeout=REPLY_TIMEOUT_S)
        await self.close()

    async def close(self) -> None:
        """Ends the connection without a word. Others see the user go offline. Does nothing after the end."""
        self._end(SluiceError(SOCKET_DISCONNECTED, message="closed by this side"))
        self._reading.cancel()
        await asyncio.wait([self._reading])
        with contextlib.suppress(OSError):  # a timeout is one
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT_S)
        # Drops what a dead server did not take.
        self._writer.transport.abort()

    async def _call(self, **body) -> frame_pb2.Reply:
        """Sends one command and waits for its reply, whichever replies come before it."""
        if self._ended:
            raise self._ended
        request_id = self._next_request_id()
        frame = frame_pb2.Frame(request_id=request_id, **body)
        if frame.ByteSize() > self._frame_bytes_max:
            raise SluiceError(TOO_LARGE_TO_SEND, str(self._frame_bytes_max), "the frame is too long")
        waiting = self._replies[request_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                self._writer.write(encode_frame(frame))
                await self._writer.drain()
                reply = await waiting
        except TimeoutError as error:
            raise SluiceError(REQUEST_TIMEOUT, message="no reply in time") from error
        except OSError:
            # The last words of the server, which say why, are still to be read.
            reply = await waiting
        finally:
            self._replies.pop(request_id, None)
        if reply.code != 0:
            raise SluiceError(reply.code, reply.detail, reply.message, reply.retry_after_ms)
        return reply

    def _next_request_id(self) -> int:
        return next(number for number in self._request_ids if number not in self._replies)

    async def _read(self) -> None:
        """Reads until the end of the stream, and notes why it ended."""
        why = SluiceError(SOCKET_DISCONNECTED, message="the connection broke")
        try:
            while True:
                frame = await read_frame(self._reader)
                self._heard_at = time.monotonic()
                match frame.WhichOneof("body"):
                    case "reply":
                        self._note_reply(frame.reply)
                        waiting = self._replies.get(frame.request_id)
                        if waiting and not waiting.done():
                            waiting.set_result(frame.reply)
                    case "close":
                        close = frame.close
                        why = SluiceError(close.code, close.detail, close.message, close.retry_after_ms)
                    case None:
                        pass  # of a later protocol
                    case _ if self._events.qsize() < EVENTS_MAX:
                        self._note_event(frame)
                        self._events.put_nowait(frame)
                    case _:
                        raise SluiceError(SLOW, message=f"{EVENTS_MAX} events wait for the app")
        except (asyncio.IncompleteReadError, OSError):
            pass  # the end
        except SluiceError as error:
            why = error
        finally:
            self._end(why)

    def _note_reply(self, reply: frame_pb2.Reply) -> None:
        """Keeps the cursors that resuming needs: docs/protocol.md, "Resuming"."""
        match reply.WhichOneof("result"):
            case "room_entered" if not reply.room_entered.already_inside:
                self._cursors[reply.room_entered.room.room_id] = reply.room_entered.sequence
            case "leave_room":
                self._cursors.pop(reply.leave_room.room_id, None)

    def _note_event(self, frame: frame_pb2.Frame) -> None:
        match frame.WhichOneof("body"):
            case "room_message":
                message = frame.room_message
                reached = message.sequence
                if message.history and message.left == 0:
                    reached = self._cursors_after_replay.pop(message.room_id, reached)
                if message.room_id in self._cursors:
                    self._cursors[message.room_id] = max(self._cursors[message.room_id], reached)
            case "room_resumed":
                resumed = frame.room_resumed
                after = self._cursors_after_replay if resumed.replayed else self._cursors
                after[resumed.room_id] = resumed.sequence
            case "room_destroyed":
                self._cursors.pop(frame.room_destroyed.room_id, None)
            case "room_kicked_out":
                self._cursors.pop(frame.room_kicked_out.room_id, None)

    async def _beat(self, interval: float) -> None:
        """Lets the server hear something in every interval, and finds out when the server is silent."""
        while not self._ended:
            await asyncio.sleep(interval * PING_INTERVALS)
            if time.monotonic() - self._heard_at > interval * SILENCE_INTERVALS:
                self._end(SluiceError(PING_TIMEOUT, message="the server is silent"))
                return
            # Nobody waits for the reply: that something was heard is noted where it is read.
            ping = frame_pb2.Frame(request_id=self._next_request_id(), ping=session_pb2.Ping())
            self._writer.write(encode_frame(ping))

    def _end(self, why: SluiceError) -> None:
        if self._ended:
            return
        self._ended = why
        self._writer.close()
        if self._heartbeat:
            self._heartbeat.cancel()
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(why)
        self._events.put_nowait(None)


def printable(text: str) -> str:
    """What others wrote, without the control characters that would steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


LEAVE_REASONS = {
    room_pb2.LEAVE_REASON_LEFT: "left",
    room_pb2.LEAVE_REASON_LOGOUT: "logged out",
    room_pb2.LEAVE_REASON_OFFLINE: "went offline",
}


def show(frame: frame_pb2.Frame) -> None:
    """Prints an event as a line."""
    kind = frame.WhichOneof("body")
    event = getattr(frame, kind)
    match kind:
        case "room_message":
            text = event.content.decode(errors="replace")
            history = f" [history, {event.left} left]" if event.history else ""
            line = f"{event.sender.user_id}: {printable(text)}{history}"
        case "conversation_message":
            text = event.content.decode(errors="replace")
            line = f"{event.sender.user_id} to {event.target_id}: {printable(text)}"
        case "room_member_joined":
            line = f"* {names(event.members)} joined, {event.member_count} inside"
        case "room_member_left":
            reason = LEAVE_REASONS.get(event.reason, "left")
            line = f"* {names(event.members)} {reason}, {event.member_count} inside"
        case "room_member_digest":
            line = f"* {event.joined_count} joined, {event.left_count} left, {event.member_count} inside"
        case "room_member_count":
            line = f"* {event.member_count} inside"
        case "room_gap":
            missed = event.high + event.normal + event.low + event.barrage
            line = f"* {missed} messages missed, from {event.first_sequence} to {event.last_sequence}"
        case "room_resumed":
            line = f"* back in {event.room_id}, {event.replayed} messages follow, {event.missed} missed"
        case "room_kicked_out":
            line = f"* put out of {event.room_id}: {printable(event.extra)}"
        case "room_attributes_changed":
            changes = [f"{one.key} = {one.value}" for one in event.set] + [f"without {key}" for key in event.deleted]
            line = f"* {printable(', '.join(changes))}"
        case "system_message":
            line = f"* to everybody: {printable(event.content.decode(errors='replace'))}"
        case _:
            line = f"* {kind}"
    print(line, flush=True)


def names(users) -> str:
    return ", ".join(user.user_id for user in users)


async def until_taken(
    client: Client, send: Callable[[str], Awaitable[message_pb2.SendMessageResult]]
) -> message_pb2.SendMessageResult:
    """Sends a message again, under the same id, when the server says to, for as long as the connection lives."""
    client_message_id = str(uuid.uuid4())
    while True:
        try:
            return await send(client_message_id)
        except SluiceError as error:
            if client.has_ended or error.code not in FOR_A_WHILE:
                raise
            await asyncio.sleep(error.retry_after_ms / 1000)


class Chat:
    """What the command line does with a client."""

    def __init__(self, client: Client, options: argparse.Namespace):
        self.client = client
        self.options = options
        # Messages of others that came since entering the room, or of the one that we talk with.
        self.heard = 0
        # Which messages are here of the conversation with one user, and up to where that was said.
        self.conversation = Conversation()
        self.acked = 0
        # The highest sequence number that a message or a gap notice named, and which it would be if what came and what was
        # missed were all there is. Messages between the bounds of a gap that were not missed come after the notice, so when
        # the two are the same, nothing up to there is still to come.
        self.newest = 0
        self.known = 0

    async def run(self) -> None:
        """Logs in, enters the room, says and hears what the command line asks for, and logs out."""
        options = self.options
        await self.client.login(options.app, options.user, options.token or self.new_token(), user_name=options.name)
        if options.to:
            await self.talk(options.to)
            return
        if options.history is None:
            entered = await self.client.enter_room(options.room)
        else:
            entered = await self.client.join_chat_room(options.room, options.history)
        self.newest = self.known = entered.sequence
        print(f"* entered {options.room}, {entered.member_count} inside", flush=True)
        with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C: log out all the same
            said, _ = await asyncio.gather(self.say(), self.receive(lambda: self.heard >= options.wait))
            # A reply says that the room has the message; the message itself, or that it is missed, may come later.
            await self.receive(lambda: self.known >= self.newest >= said)
        await self.client.logout()

    async def talk(self, user_id: str) -> None:
        """Shows what was missed, says to one user what the command line asks for, and hears what that user says."""
        with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C: log out all the same
            await self.catch_up(user_id)
            for text in self.options.say:
                sent = await until_taken(
                    self.client, lambda name, text=text: self.client.send_text_to(user_id, text, name)
                )
                self.show_messages(self.conversation.sent(sent.sequence))
            while self.heard < self.options.wait:
                await self.hear(user_id)
        await self.client.logout()

    async def catch_up(self, user_id: str) -> None:
        """Shows what was missed. Then, and not before, events of conversations come."""
        last = self.conversation.last
        known = None if last is None else {user_id: last}
        missing = len(self.conversation.missing)
        async for message in self.client.sync(NEWEST_MAX, known):
            self.take(message)
        for first, last in self.conversation.missing[missing:]:
            print(f"* messages {first} to {last} are older, or deleted: ask for the history", flush=True)
        await self.ack(user_id)

    async def hear(self, user_id: str) -> None:
        """Waits for an event and shows it."""
        try:
            # A number that is missing is that of a message whose reply is under way, or of one that did not come.
            async with asyncio.timeout(MISSING_S if self.conversation.waits else None):
                frame = await self.client.next_event()
        except TimeoutError:
            await self.catch_up(user_id)
            return
        match frame.WhichOneof("body"):
            case "conversation_message":
                self.take(frame.conversation_message)
            case "conversations_lost":
                await self.catch_up(user_id)
            case "token_will_expire" if self.options.secret:
                await self.client.renew_token(self.new_token())
            case _:
                show(frame)
        if not self.client.events_wait:
            await self.ack(user_id)

    async def ack(self, user_id: str) -> None:
        """One for all that came: each is a write."""
        last = self.conversation.last or 0
        if last > self.acked:
            await self.client.ack(user_id, delivered=last, read=last)
            self.acked = last

    def take(self, message: conversation_pb2.ConversationMessage) -> None:
        """Shows a message, and what has waited for it. Of other conversations all is shown as it comes, and nothing
        acknowledged."""
        other, own = self.options.to, self.options.user
        is_peer = message.conversation_type == message_pb2.CONVERSATION_TYPE_PEER
        if is_peer and (message.sender.user_id, message.target_id) in [(other, own), (own, other)]:
            self.show_messages(self.conversation.take(message))
        else:
            show(frame_pb2.Frame(conversation_message=message))

    def show_messages(self, messages: list[conversation_pb2.ConversationMessage]) -> None:
        for message in messages:
            show(frame_pb2.Frame(conversation_message=message))
            self.heard += message.sender.user_id == self.options.to

    async def say(self) -> int:
        """Sends the texts one after the other, and returns the sequence number of the last. Where the server says when
        to try again (20604, too many in a second), the same message is sent again then, under the same id."""
        sequence = 0
        for text in self.options.say:
            sent = await until_taken(
                self.client, lambda name, text=text: self.client.send_text(self.options.room, text, name)
            )
            sequence = sent.sequence
            if not sent.distributed:
                # Not an error, and not to be sent again. A gap notice tells everybody of it.
                print(f"* the room is too busy to show: {printable(text)}", flush=True)
        return sequence

    async def receive(self, enough: Callable[[], bool]) -> None:
        """Shows events until there were enough."""
        while not enough():
            frame = await self.client.next_event()
            show(frame)
            match frame.WhichOneof("body"):
                case "room_message":
                    message = frame.room_message
                    if not message.history:
                        self.newest = max(self.newest, message.sequence)
                        self.known += 1
                        self.heard += message.sender.user_id != self.options.user
                case "room_gap":
                    gap = frame.room_gap
                    self.newest = max(self.newest, gap.last_sequence)
                    self.known += gap.high + gap.normal + gap.low + gap.barrage
                case "token_will_expire" if self.options.secret:
                    await self.client.renew_token(self.new_token())

    def new_token(self) -> str:
        return make_token(self.options.secret, self.options.app, self.options.user)


async def chat(options: argparse.Namespace) -> None:
    client = await Client.connect(options.host, options.port, tls_context(options.ca) if options.tls else None)
    try:
        await Chat(client, options).run()
    finally:
        await client.close()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Chats in a room of a Sluice gateway, or with one user, over TCP or TLS.")
    parser.add_argument("--user", required=True, metavar="ID")
    parser.add_argument("--name", default="", help="shown to others beside the id")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--room", metavar="ID", help="created if it does not exist")
    place.add_argument("--to", metavar="ID", help="a user to talk with in place of a room")
    parser.add_argument("--app", default="dev", metavar="KEY", help="the app key (default: dev)")
    parser.add_argument("--address", metavar="HOST:PORT", help="default: 127.0.0.1:7400, with --tls 127.0.0.1:7401")
    parser.add_argument("--tls", action="store_true", help="TLS in place of plain TCP")
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="certificates to trust (default: the system's; with a token made here DATA/certificate.pem)",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--token", help="from the app's server; without one, it is made here")
    source.add_argument("--secret-file", type=Path, metavar="FILE", help="the app's HS256 secret, to make a token with")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="data folder of a gateway in development mode (default: data)"
    )
    parser.add_argument(
        "--history", type=int, metavar="N", help="ask for the newest N messages (1 to 50; 0: 10; -1: none)"
    )
    parser.add_argument("--say", nargs="+", default=[], metavar="TEXT", help="messages to send")
    parser.add_argument(
        "--wait",
        type=int,
        metavar="N",
        help="end after N messages of others (default: with --say 0, else until Ctrl-C)",
    )
    options = parser.parse_args()
    host, colon, port = (options.address or f"127.0.0.1:{TLS_PORT if options.tls else TCP_PORT}").rpartition(":")
    if not colon or not port.isdecimal():
        parser.error("--address: not HOST:PORT")
    options.host, options.port = host.strip("[]"), int(port)
    if options.wait is None:
        options.wait = 0 if options.say else math.inf
    options.secret = None
    if not options.token:
        try:
            options.secret = read_secret(options)
        except (OSError, ValueError, LookupError) as error:
            parser.error(f"no --token, and no secret to make one with: {error}")
        certificate = options.data / "certificate.pem"
        options.ca = options.ca or (certificate if certificate.exists() else None)
    return options


def read_secret(options: argparse.Namespace) -> bytes:
    """The secret in its file, or that of the development app in the gateway's data folder."""
    if options.secret_file:
        return options.secret_file.read_bytes().rstrip(b"\r\n")
    apps = tomllib.loads((options.data / "app-dev.toml").read_text())["apps"]
    return apps[0]["keys"][0]["secret"].encode()


def main() -> int:
    options = parse_options()
    try:
        asyncio.run(chat(options))
    except SluiceError as error:
        print(f"error {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
