"""The example client against a server that is written down here, for what a real one does not do when asked."""

import asyncio
import unittest
from unittest import mock

import sluice_client
from sluice.v1 import conversation_pb2, frame_pb2, room_pb2, session_pb2
from sluice_client import Client, Conversation, SluiceError, encode_frame, read_frame, until_taken


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


class Framing(unittest.IsolatedAsyncioTestCase):
    async def test_frames_are_read_one_after_the_other(self):
        frames = [frame_pb2.Frame(request_id=id, ping=session_pb2.Ping()) for id in (1, 2)]
        long = frame_pb2.Frame(room_message={"content": b"x" * 100_000})
        reader = reader_of(b"".join(map(encode_frame, [*frames, long])))
        for frame in [*frames, long]:
            self.assertEqual(await read_frame(reader), frame)
        with self.assertRaises(asyncio.IncompleteReadError):
            await read_frame(reader)

    async def test_bytes_that_make_no_frame_are_refused(self):
        wrong = {
            "a length of 0": "00",
            "a length of 0 in two bytes": "80 00",
            "a length in a longer form": "85 00 08 03 92 01 00",
            "a length of six bytes": "81 80 80 80 80 00",
            "one byte more than a server sends": "81 80 40",
            "a body that is not protobuf": "02 ff ff",
        }
        for what, digits in wrong.items():
            with self.subTest(what), self.assertRaises(SluiceError) as raised:
                await read_frame(reader_of(bytes.fromhex(digits)))
            self.assertEqual(raised.exception.code, 32002, what)

    async def test_the_longest_frame_of_a_server_is_waited_for(self):
        with self.assertRaises(asyncio.IncompleteReadError):
            await read_frame(reader_of(bytes.fromhex("80 80 40")))


class Numbers(unittest.TestCase):
    def take(self, conversation: Conversation, *sequences: int, history: bool = False) -> list[int]:
        shown = []
        for sequence in sequences:
            message = conversation_pb2.ConversationMessage(sequence=sequence, history=history)
            shown += conversation.take(message)
        return [message.sequence for message in shown]

    def test_messages_are_shown_once_and_in_order(self):
        conversation = Conversation(4)
        self.assertEqual(self.take(conversation, 3, 4, 5, 6, history=True), [5, 6])
        self.assertEqual(self.take(conversation, 6, 7, 0, 7, 0), [7, 0, 0])
        self.assertEqual((conversation.last, conversation.waits), (7, False))

    def test_a_reply_hides_nothing_that_was_said_before(self):
        for conversation in (Conversation(), Conversation(499)):
            self.assertEqual(conversation.sent(501), [])
            self.assertIn(conversation.last, (None, 499))
            self.assertEqual(self.take(conversation, 500, 502), [500, 502])
            self.assertEqual((conversation.last, conversation.waits), (502, False))

    def test_a_reply_may_come_behind_what_was_said_after_it(self):
        conversation = Conversation(10)
        self.assertEqual(self.take(conversation, 12), [])
        self.assertTrue(conversation.waits)
        self.assertEqual([message.sequence for message in conversation.sent(11)], [12])
        self.assertEqual(conversation.sent(5), [])
        self.assertEqual((conversation.last, conversation.waits), (12, False))

    def test_the_first_message_is_where_a_conversation_begins(self):
        conversation = Conversation()
        conversation.sent(300)
        self.assertEqual(self.take(conversation, 502, 503), [502, 503])
        self.assertEqual((conversation.missing, conversation.waits), ([], False))

    def test_a_page_that_begins_further_leaves_a_gap(self):
        conversation = Conversation(10)
        conversation.sent(15)
        self.assertEqual(self.take(conversation, 13), [])
        self.assertEqual(self.take(conversation, 20, 21, history=True), [13, 20, 21])
        self.assertEqual(conversation.missing, [(11, 12), (14, 14), (16, 19)])
        self.assertEqual((conversation.last, conversation.waits), (21, False))


class Last(bytes):
    """Bytes to send, and then the end of the connection."""


class Script:
    """A server for one client. It answers the login, and sends what `answer` returns for each later command."""

    def __init__(self, answer, interval_ms: int = 60_000):
        self.answer = answer
        self.interval_ms = interval_ms
        self.commands = []
        self.logins = []

    async def __aenter__(self) -> Client:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        self.client = await Client.connect(host, port)
        await self.client.login("dev", "dora", "a.b.c")
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()
        self.server.close()

    async def serve(self, reader, writer):
        try:
            login = await read_frame(reader)
            self.logins.append(login.login)
            result = {"heartbeat_interval_ms": self.interval_ms, "limits": {"client_frame_bytes": 1000}}
            result |= {"resume_secret": f"secret-{len(self.logins)}", "server_time_ms": len(self.logins)}
            result |= {"resumed": bool(login.login.resume_secret)}
            writer.write(encode_frame(reply(login, login=result)))
            while True:
                command = await read_frame(reader)
                self.commands.append(command.WhichOneof("body"))
                data = self.answer(command)
                writer.write(data)
                if isinstance(data, Last):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def reply(command: frame_pb2.Frame, **fields) -> frame_pb2.Frame:
    return frame_pb2.Frame(request_id=command.request_id, reply=fields)


def pong(command: frame_pb2.Frame, server_time_ms: int = 0) -> bytes:
    return encode_frame(reply(command, pong={"server_time_ms": server_time_ms}))


class Behaviour(unittest.IsolatedAsyncioTestCase):
    async def fails(self, awaitable) -> SluiceError:
        with self.assertRaises(SluiceError) as raised:
            await awaitable
        return raised.exception

    async def test_replies_are_matched_by_number_and_not_by_order(self):
        waiting = []

        def answer(command):
            waiting.append(command)
            backwards = [pong(command, command.request_id) for command in reversed(waiting)]
            return b"".join(backwards) if len(waiting) == 3 else b""

        async with Script(answer) as client:
            pongs = await asyncio.gather(client.ping(), client.ping(), client.ping())
            self.assertEqual([pong.server_time_ms for pong in pongs], [2, 3, 4])

    async def test_what_a_later_protocol_adds_is_skipped(self):
        body_of_event_126 = bytes.fromhex("05 f2 07 02 08 01")
        field_99_of_a_ping = bytes.fromhex("98 06 01")

        def answer(command):
            known = reply(command, pong={}).SerializeToString() + field_99_of_a_ping
            return body_of_event_126 + bytes([len(known)]) + known

        async with Script(answer) as client:
            await client.ping()

    async def test_a_code_that_it_does_not_know_is_handed_on(self):
        def answer(command):
            return encode_frame(reply(command, code=98765, detail="later", retry_after_ms=7))

        async with Script(answer) as client:
            error = await self.fails(client.enter_room("lobby"))
            self.assertEqual((error.code, error.detail, error.retry_after_ms), (98765, "later", 7))

    async def test_the_end_says_why_to_commands_and_to_the_reader_of_events(self):
        def answer(command):
            joined = frame_pb2.Frame(room_member_joined=room_pb2.RoomMemberJoined(room_id="lobby"))
            close = frame_pb2.Frame(close=frame_pb2.Close(code=31003, detail="shutdown", retry_after_ms=1500))
            return Last(encode_frame(joined) + encode_frame(close))

        async with Script(answer) as client:
            under_way = await self.fails(client.ping())
            self.assertEqual((await client.next_event()).room_member_joined.room_id, "lobby")
            for error in [under_way, await self.fails(client.next_event()), await self.fails(client.ping())]:
                self.assertEqual((error.code, error.detail, error.retry_after_ms), (31003, "shutdown", 1500))

    async def test_an_end_without_a_word_is_30011(self):
        async with Script(lambda command: Last()) as client:
            self.assertEqual((await self.fails(client.ping())).code, 30011)
            self.assertEqual((await self.fails(client.next_event())).code, 30011)

    async def test_it_pings_when_there_is_nothing_else_to_say(self):
        pinged = asyncio.Event()

        def answer(command):
            pinged.set()
            return pong(command)

        script = Script(answer, interval_ms=20)
        async with script:
            await asyncio.wait_for(pinged.wait(), timeout=20)
            self.assertEqual(set(script.commands), {"ping"})

    async def test_a_server_that_is_silent_is_taken_for_dead(self):
        async with Script(lambda command: b"", interval_ms=20) as client:
            self.assertEqual((await self.fails(client.next_event())).code, 30013)

    async def test_a_reply_that_does_not_come_is_5004_and_the_connection_lives_on(self):
        def answer(command):
            return b"" if command.WhichOneof("body") == "leave_room" else pong(command)

        async with Script(answer) as client:
            with mock.patch.object(sluice_client, "REPLY_TIMEOUT_S", 0.05):
                self.assertEqual((await self.fails(client.leave_room("lobby"))).code, 5004)
            await client.ping()

    async def test_a_message_is_sent_again_under_its_name_when_the_server_says_to(self):
        codes, names = iter([31003, 20604, 0, 22408]), []

        def answer(command):
            names.append(command.send_message.client_message_id)
            return encode_frame(reply(command, code=next(codes), retry_after_ms=1))

        async with Script(answer) as client:
            await until_taken(client, lambda name: client.send_text_to("bob", "hello", name))
            error = await self.fails(until_taken(client, lambda name: client.send_text_to("bob", "again", name)))
        self.assertEqual(error.code, 22408, "it would be waited for in vain")
        self.assertEqual(names[:3], [names[0]] * 3)
        self.assertNotEqual(names[3], names[0])

    async def test_an_end_with_a_code_of_replies_is_an_end(self):
        close = frame_pb2.Frame(close={"code": 31003, "detail": "full", "retry_after_ms": 1})
        async with Script(lambda _: Last(encode_frame(close))) as client:
            error = await self.fails(until_taken(client, lambda name: client.send_text_to("bob", "hello", name)))
        self.assertEqual((error.code, client.has_ended), (31003, True))

    async def test_a_frame_over_the_limit_of_the_login_is_not_sent(self):
        script = Script(pong)
        async with script as client:
            self.assertEqual((await self.fails(client.send_text("lobby", "x" * 1000))).code, 30016)
            await client.ping()
            self.assertEqual(script.commands, ["ping"])

    async def test_an_app_that_takes_no_events_ends_its_connection(self):
        event = encode_frame(frame_pb2.Frame(room_member_count=room_pb2.RoomMemberCount(room_id="lobby")))
        async with Script(lambda command: event * (sluice_client.EVENTS_MAX + 1)) as client:
            self.assertEqual((await self.fails(client.ping())).code, 31011)
            events = 0
            with self.assertRaises(SluiceError):
                while await client.next_event():
                    events += 1
            self.assertEqual(events, sluice_client.EVENTS_MAX)

    async def test_it_leaves_a_server_that_takes_nothing(self):
        async def serve(_reader, writer):
            try:
                await gone.wait()
            finally:
                writer.close()

        gone = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = await Client.connect(*server.sockets[0].getsockname())
        # More than the buffers of both sides hold.
        client._writer.write(bytes(64 * 1024 * 1024))
        with mock.patch.object(sluice_client, "CLOSE_TIMEOUT_S", 0.05):
            await asyncio.wait_for(client.close(), timeout=20)
        gone.set()
        server.close()

    async def test_a_session_goes_on_from_the_newest_message_that_came(self):
        def message(sequence: int, **fields) -> bytes:
            return encode_frame(frame_pb2.Frame(room_message={"room_id": "lobby", "sequence": sequence, **fields}))

        def answer(command):
            match command.WhichOneof("body"):
                case "enter_room":
                    entered = reply(command, room_entered={"room": {"room_id": "lobby"}, "sequence": 40})
                    # A gap up to 45 does not mean that 43 will not come.
                    gap = frame_pb2.Frame(room_gap={"room_id": "lobby", "first_sequence": 42, "last_sequence": 45})
                    return encode_frame(entered) + message(41) + encode_frame(gap)
                case "ping":
                    resumed = {"room_id": "lobby", "sequence": 50, "replayed": 2}
                    again = encode_frame(frame_pb2.Frame(room_resumed=resumed)) + message(43, history=True, left=1)
                    return again + pong(command)
                case "leave_room":
                    return message(46, history=True, left=0) + encode_frame(
                        reply(command, leave_room={"room_id": "elsewhere"})
                    )

        async def again(lost: Client) -> Client:
            client = await Client.connect(*script.server.sockets[0].getsockname())
            self.addAsyncCleanup(client.close)
            self.assertTrue((await client.resume(lost, "dev", "dora", "a.b.c")).resumed)
            return client

        script = Script(answer)
        async with script as first:
            await first.enter_room("lobby")
            for _ in range(2):
                await first.next_event()
            second = await again(first)
            await second.ping()
            third = await again(second)
            await third.ping()
            await third.leave_room("elsewhere")
            await again(third)
        logins = [(login.resume_secret, list(login.resume_sequences)) for login in script.logins[1:]]
        self.assertEqual(logins, [("secret-1", [41]), ("secret-2", [43]), ("secret-3", [50])])
        for login in script.logins[1:]:
            self.assertEqual(list(login.resume_rooms), ["lobby"])
            self.assertEqual((login.automatic, login.previous_session_started_at_ms), (True, 1))

    async def test_rooms_that_do_not_fit_into_a_login_are_left_out(self):
        script = Script(lambda command: b"")
        async with script as lost:
            lost._cursors = {f"{number:0128}": 2**64 - 1 for number in range(100)}
            client = await Client.connect(*script.server.sockets[0].getsockname())
            self.addAsyncCleanup(client.close)
            await client.resume(lost, "dev", "dora", "a" * 2048)
        login = script.logins[1]
        self.assertEqual(len(login.resume_rooms), len(login.resume_sequences))
        bytes_of_frame = frame_pb2.Frame(request_id=2**32 - 1, login=login).ByteSize()
        self.assertTrue(4096 - 128 - 32 < bytes_of_frame <= 4096, bytes_of_frame)

    async def test_members_are_asked_for_page_after_page(self):
        cursors = []

        def answer(command):
            cursors.append(command.query_room_members.cursor)
            user, following = [("carol", "next"), ("bob", "")][len(cursors) - 1]
            page = {"members": [{"user_id": user}], "next_cursor": following}
            return encode_frame(reply(command, room_members=page))

        async with Script(answer) as client:
            self.assertEqual([member.user_id async for member in client.members("lobby")], ["carol", "bob"])
            self.assertEqual(cursors, ["", "next"])

    async def test_nobody_at_the_address_is_30010(self):
        self.assertEqual((await self.fails(Client.connect("127.0.0.1", 1))).code, 30010)


if __name__ == "__main__":
    unittest.main()
