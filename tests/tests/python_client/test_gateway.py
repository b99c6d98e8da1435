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
        tls = tls_context(CERTIFICATE) if CERTIFICATE else None
        self.client = await Client.connect(HOST, int(PORT), tls)
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
        self.assertEqual(await self.fails(client.send_text(self.room, "hello")), (23406, ""))

        renewed = await client.renew_token(TOKEN)
        self.assertEqual(renewed.token_expires_at_ms, session.token_expires_at_ms)
        self.assertGreaterEqual((await client.ping()).server_time_ms, session.server_time_ms)
        await client.logout()
        self.assertIsNone(await client.next_event())
        self.assertEqual(await self.fails(client.ping()), (0, ""))

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
