"""The bytes and the token that docs/protocol.md shows, against the classes made from the schema."""

import re
import sys
import unittest
from pathlib import Path
from unittest import mock

import sluice_client
from google.protobuf.unknown_fields import UnknownFieldSet
from sluice.v1 import frame_pb2

PAGE = Path(sys.argv.pop()).read_text()


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {title!r}"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def example() -> list[tuple[bytes, list[str]]]:
    """The frames of the worked examples, each with the remarks beside its bytes. A line is bytes, and then three spaces
    or more and a remark."""
    bytes_and_remarks = []
    for block in blocks(section("A worked example") + section("Missed messages"), "text"):
        for line in block.splitlines():
            digits, _, remark = re.match(r"[→←]? *((?:[0-9a-f]{2} {1,2})*[0-9a-f]{2})?(   +(.*))?$", line).groups()
            bytes_and_remarks.append((bytes.fromhex(digits or ""), (remark or "").strip()))
    stream = b"".join(part for part, _ in bytes_and_remarks)
    frames, position = [], 0
    while position < len(stream):
        length, after = varint(stream, position)
        frames.append((stream[position : after + length], []))
        position = after + length
    # A remark belongs to the frame in which its bytes begin.
    index, end, position = 0, len(frames[0][0]), 0
    for part, remark in bytes_and_remarks:
        if part and position >= end:
            index += 1
            end += len(frames[index][0])
        if remark:
            frames[index][1].append(remark)
        position += len(part)
    return frames


def varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def fields(message) -> list[tuple[str, str, str, int]]:
    """Number, name, value as the page writes it, and bytes of each field that is set, in the order they travel; those
    of an inner message, which has no value of its own, come behind it."""
    found = []
    assert not len(UnknownFieldSet(message)), f"bytes that the schema does not know in {message}"
    for field, value in message.ListFields():
        number = str(field.number)
        if field.message_type:
            found += [(number, field.name, "", value.ByteSize()), *fields(value)]
        elif field.enum_type:
            found.append((number, field.name, field.enum_type.values_by_number[value].name, 0))
        elif isinstance(value, (str, bytes)):
            text = value if isinstance(value, str) else value.decode()
            found.append((number, field.name, f'"{text}"', len(text)))
        else:
            found.append((number, field.name, str(value).lower(), 0))
    return found


class WorkedExample(unittest.TestCase):
    def test_every_frame_is_written_in_just_these_bytes(self):
        shown = [data for data, _ in example()]
        self.assertEqual(
            [describe(data) for data in shown],
            [
                "1 login",
                "1 reply login",
                "2 enter_room",
                "2 reply room_entered",
                "4 send_message",
                "4 reply send_message",
                "0 room_message",
                "3 ping",
                "3 reply pong",
                "0 room_gap",
            ],
        )
        for data in shown:
            self.assertEqual(sluice_client.encode_frame(decode(data)).hex(" "), data.hex(" "))

    def test_the_remarks_say_what_the_bytes_say(self):
        for data, remarks in example():
            with self.subTest(describe(data)):
                self.assertEqual(remarks[0], f"length: {varint(data, 0)[0]}")
                found = fields(decode(data))
                said = [remark.split()[1].strip(":,") for remark in remarks[1:]]
                self.assertEqual(said, [name for _, name, _, _ in found])
                for remark, field in zip(remarks[1:], found, strict=True):
                    self.check(remark, *field)

    def check(self, remark: str, number: str, name: str, value: str, length: int):
        """A remark is the field's number and name, its value or its type, its bytes where they are many, and prose."""
        said = re.match(r"(\d+) +(\w+)(?: \(\w+\))?(?:: (\w+|\".*?\"))?(?:, (\d+) bytes)?", remark)
        self.assertEqual((said[1], said[2]), (number, name), remark)
        start, cut, end = (said[3] or "").partition("…")
        fits = value.startswith(start) and value.endswith(end) if cut else value == start
        self.assertTrue(fits, f"{remark} stands beside {value}")
        if said[4] or not value:
            self.assertEqual(said[4], str(length), remark)


class Tokens(unittest.TestCase):
    CLAIMS = {"sub": "alice", "aud": "dev", "exp": 1900000000}
    SECRET = b"an-example-secret-of-more-than-32-bytes"

    def test_the_token_to_compare_with_is_right(self):
        [token] = blocks(section("Tokens"), "text")
        self.assertEqual(sluice_client.sign(self.SECRET, self.CLAIMS), token.strip())
        login = decode(example()[0][0]).login
        self.assertEqual(login.token, token.strip())

    def test_the_code_that_makes_tokens_works(self):
        [code] = blocks(section("Tokens"), "python")
        names = {}
        exec(code, names)
        with mock.patch("time.time", return_value=1800000000.5):
            token = names["token"](self.SECRET, "dev", "alice")
            self.assertEqual(token, sluice_client.make_token(self.SECRET, "dev", "alice"))
        claims = {"sub": "alice", "aud": "dev", "iat": 1800000000, "exp": 1800003600}
        self.assertEqual(token, sluice_client.sign(self.SECRET, claims))


def decode(data: bytes) -> frame_pb2.Frame:
    length, start = varint(data, 0)
    assert length == len(data) - start
    return frame_pb2.Frame.FromString(data[start:])


def describe(data: bytes) -> str:
    frame = decode(data)
    body = frame.WhichOneof("body")
    result = frame.reply.WhichOneof("result") if body == "reply" else None
    return " ".join(filter(None, [str(frame.request_id), body, result]))


if __name__ == "__main__":
    unittest.main()
