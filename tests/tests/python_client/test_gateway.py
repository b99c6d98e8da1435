"""The example client as a library against a gateway: HOST PORT CERTIFICATE TOKEN, with an empty CERTIFICATE for TCP."""

import sys
import unittest
import uuid

from sluice_client import Client, SluiceError, tls_context

APP_KEY = "test"
HOST, PORT, CERTIFICATE, TOKEN = sys.argv[1:]
del sys.argv[1:]


class Library(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.tls = tls_context(CERTIFICATE) if CERTIFICATE else None
        self.client = await Client.connect(HOST, int(PORT), self.tls)
        self.room = f"room-{uuid.uuid4().hex[:8]}"

    async def asyncTearDown(self):
        await self.client.close()

    async def login(self):
        return await self.client.login(APP_KEY, "erin", TOKEN, user_name="Erin")

    async def fails(self, awaitable) -> tuple[int, str]:
        with self.assertRaises(SluiceError) as raised:
            await awaitable
        return raised.exception.code, raised.exception.detail

    async def test_a_session_from_login_to_logout(self):
        client = self.client
        session = await self.login()
        self.assertEqual((session.user_id, len(session.session_id)), ("erin", 32))
        self.assertEqual(session.limits.server_frame_bytes, 1024 * 1024)

        entered = await client.enter_room(self.room, "A room")
        self.assertEqual((entered.created, entered.member_count, entered.sequence), (True, 1, 0))
        self.assertTrue((await client.enter_room(self.room)).already_inside)

        sent = await client.send_text(self.room, "hello", "m-1")
        self.assertEqual((sent.sequence, sent.client_message_id, sent.duplicate), (1, "m-1", False))
        again = await client.send_text(self.room, "hello", "m-1")
        self.assertEqual((again.message_id, again.duplicate), (sent.message_id, True))
        self.assertEqual(await self.fails(client.send_text(self.room, "other", "m-1")), (33003, "duplicate_id"))

        message = (await client.next_event()).room_message
        self.assertEqual((message.content, message.sender.user_name), (b"hello", "Erin"))
        self.assertEqual((message.message_id, message.client_message_id), (sent.message_id, "m-1"))

        await client.leave_room(self.room)
        self.assertEqual(await self.fails(client.leave_room(self.room)), (23406, ""))
        # It ended with its last member.
        self.assertEqual(await self.fails(client.send_text(self.room, "hello")), (23410, ""))

        renewed = await client.renew_token(TOKEN)
        self.assertEqual(renewed.token_expires_at_ms, session.token_expires_at_ms)
        self.assertGreaterEqual((await client.ping()).server_time_ms, session.server_time_ms)
        await client.logout()
        self.assertIsNone(await client.next_event())
        self.assertEqual(await self.fails(client.ping()), (0, ""))

    async def test_rooms_are_asked_about_and_switched(self):
        client = self.client
        await self.login()
        await client.enter_room(self.room)
        members = [member.user_id async for member in client.members(self.room)]
        self.assertEqual(members, ["erin"])

        written = await client.set_attributes(self.room, {"topic": "tea", "mood": "calm"})
        changed = (await client.next_event()).room_attributes_changed
        self.assertEqual((changed.version, len(changed.set)), (written.version, 2))
        attributes = (await client.attributes(self.room)).attributes
        self.assertEqual({one.key: one.value for one in attributes}, {"topic": "tea", "mood": "calm"})
        attributes = (await client.attributes(self.room, "mood")).attributes
        self.assertEqual([one.owner_id for one in attributes], ["erin"])

        other = f"{self.room}-other"
        self.assertEqual(await self.fails(client.switch_room(self.room, other)), (23410, ""))
        self.assertTrue((await client.switch_room(self.room, other, create=True)).created)
        self.assertEqual(await self.fails(client.leave_room(self.room)), (23406, ""))
        await client.leave_room(other)

    async def test_a_session_goes_on_with_another_connection(self):
        session = await self.login()
        await self.client.enter_room(self.room)
        await self.client.send_text(self.room, "one")
        self.assertEqual((await self.client.next_event()).room_message.sequence, 1)
        lost, self.client = self.client, await Client.connect(HOST, int(PORT), self.tls)
        await lost.close()
        result = await self.client.resume(lost, APP_KEY, "erin", TOKEN, user_name="Erin")
        self.assertEqual((result.resumed, result.session_id), (True, session.session_id))
        resumed = (await self.client.next_event()).room_resumed
        self.assertEqual((resumed.sequence, resumed.replayed, resumed.missed), (1, 0, 0))
        await self.client.send_text(self.room, "two")
        self.assertEqual((await self.client.next_event()).room_message.sequence, 2)
        await self.client.logout()

    async def test_what_is_said_to_one_user_is_kept(self):
        await self.login()
        other = f"u-{uuid.uuid4().hex[:8]}"
        name = str(uuid.uuid4())
        first = await self.client.send_text_to(other, "one", name)
        again = await self.client.send_text_to(other, "one", name)
        self.assertEqual((first.sequence, again.message_id, again.duplicate), (1, first.message_id, True))
        await self.client.send_text_to(other, "two")
        await self.client.send_text_to(other, "three")
        history = [message.content async for message in self.client.history(other, 2)]
        self.assertEqual(history, [b"three", b"two", b"one"])
        position = await self.client.ack(other, delivered=2, read=1)
        self.assertEqual((position.delivered_sequence, position.read_sequence), (2, 1))
        self.assertEqual(await self.fails(self.client.send_text_to("erin", "me")), (33003, "target_id"))

    async def test_what_was_missed_comes_until_it_is_acknowledged(self):
        await self.login()
        other = f"u-{uuid.uuid4().hex[:8]}"
        for text in ("one", "two", "three"):
            await self.client.send_text_to(other, text)
        # One's own messages of another connection are missed too.
        missed = [one async for one in self.client.sync() if one.target_id == other]
        self.assertEqual([one.sequence for one in missed], [1, 2, 3])
        known = [one async for one in self.client.sync(known={other: 2}) if one.target_id == other]
        self.assertEqual([one.content for one in known], [b"three"])
        await self.client.ack(other, delivered=3)
        missed = [one async for one in self.client.sync() if one.target_id == other]
        self.assertEqual(missed, [])

    async def test_commands_wait_for_a_login_and_one_is_enough(self):
        self.assertEqual(await self.fails(self.client.enter_room(self.room)), (6000121, ""))
        await self.login()
        self.assertEqual(await self.fails(self.login()), (34001, ""))
        await self.client.ping()

    async def test_the_largest_text_goes_through_and_one_byte_more_does_not(self):
        limits = (await self.login()).limits
        await self.client.enter_room(self.room)
        await self.client.send_text(self.room, "x" * limits.text_bytes)
        error = await self.fails(self.client.send_text(self.room, "x" * (limits.text_bytes + 1)))
        self.assertEqual(error, (20115, str(limits.text_bytes)))
        message = (await self.client.next_event()).room_message
        self.assertEqual(len(message.content), limits.text_bytes)


if __name__ == "__main__":
    unittest.main()
