"""A Fireside client in Python: aioquic and msgpack, written from docs/protocol.md.

`Client` is the wire: frames, streams, requests and answers. `Timeline` is what a device keeps of one conversation.
Nothing here was read from the Rust code.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import ssl
import struct
import time

import msgpack
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    StreamDataReceived,
    StreamReset,
)
from cryptography.hazmat.primitives.serialization import Encoding

ALPN = "fireside/1"
FRAME_BYTES_MAX = 65_536
PAGE_FRAME_BYTES_MAX = 1_048_576
ANSWER_TIMEOUT = 20.0

# Kinds, by the page's names.
CLIENT = {
    "Hello": 1, "Resume": 2, "Ping": 3, "SetToken": 4, "Attention": 5, "Send": 16, "Edit": 17, "Recall": 18, "Read": 19, "React": 22, "Pin": 23,
    "Vote": 24, "ClosePoll": 25, "SetLive": 26, "Answer": 27, "Delete": 28, "Forward": 29, "SendTransient": 30,
    "Delivered": 20, "Typing": 21, "CreateGroup": 32, "Invite": 33, "Join": 34, "Leave": 35, "RemoveMember": 36, "SetRole": 37,
    "Block": 38, "RevokeDevice": 39, "SetConversation": 40, "AnswerRequest": 41, "Dissolve": 42, "Mute": 43,
    "Ban": 44, "SetMember": 45, "CreateLink": 46, "RevokeLink": 47, "PageRequest": 48, "HeadsRequest": 49, "UserLogRequest": 50, "MembersRequest": 51,
    "DevicesRequest": 52, "PinsRequest": 53, "BansRequest": 54, "LinksRequest": 55, "RevisionsRequest": 56,
    "OpenThread": 57, "ChildrenRequest": 58, "SetProfile": 59, "ProfilesRequest": 146,
    "SetPersonal": 128, "ReadAll": 129,
    "SetFolder": 130, "SetDraft": 131, "Friend": 132, "SetPresence": 133, "SetReceipts": 134, "Report": 135, "PresenceRequest": 144,
    "ReadersRequest": 145,
}
SERVER = {
    64: "Welcome", 65: "Refused", 66: "Ack", 67: "Done", 68: "Pong", 69: "Draining", 70: "Kicked", 72: "Entry", 73: "Skip",
    74: "Head", 75: "UserRecord", 76: "Receipt", 77: "TypingOf", 105: "Transient", 96: "Page", 97: "HeadsPage", 98: "UserLogPage",
    99: "MembersPage", 100: "DevicesPage", 101: "PinsPage", 102: "BansPage", 103: "LinksPage", 104: "RevisionsPage", 106: "ChildrenPage", 161: "ProfilesPage",
    160: "PresenceOf", 176: "PresencePage", 177: "ReadersPage",
}
MESSAGE, CREATED, JOINED, LEFT, REMOVED, ROLE, EDIT, RECALL = 1, 2, 3, 4, 5, 6, 32, 33
EXPIRE, WITHDRAW = 38, 39
PREVIEW = 41
DISSOLVED, MUTED, BANNED, MEMBER_SET = 8, 9, 10, 11
NEWEST, BEFORE, AFTER, RANGE, AROUND = 0, 1, 2, 3, 4


class Refused(Exception):
    """A request was refused. The body is in `body`."""

    def __init__(self, body):
        super().__init__(f"code {body['e']}: {body.get('m', '')}")
        self.body = body
        self.code = body["e"]
        self.retry_after = body.get("ra", 0) / 1000


class Closed(Exception):
    """The connection ended, with this application error code."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with code {code} {reason}")
        self.code = code


def encode_frame(kind, request, body):
    """A frame of a body that is a map, or bytes that are taken as they are."""
    packed = body if isinstance(body, bytes) else msgpack.packb(body)
    return struct.pack(">IHI", len(packed) + 6, kind, request) + packed


def decode_frames(buffer, limit):
    """Takes whole frames off the front of a bytearray: (kind, request, body)."""
    frames = []
    while len(buffer) >= 4:
        (length,) = struct.unpack_from(">I", buffer)
        if length < 6 or length + 4 > limit:
            raise ValueError(f"a frame of length {length}")
        if len(buffer) < length + 4:
            break
        kind, request = struct.unpack_from(">HI", buffer, 4)
        body = msgpack.unpackb(bytes(buffer[10 : length + 4]), strict_map_key=True)
        if not isinstance(body, dict):
            raise ValueError("a body that is no map")
        frames.append((kind, request, body))
        del buffer[: length + 4]
    return frames


def direct_id(one, other):
    """The conversation of two users."""
    low, high = sorted([one.encode(), other.encode()])
    parts = b"fireside/direct/1" + bytes([len(low)]) + low + bytes([len(high)]) + high
    return hashlib.sha256(parts).digest()[:16]


def group_id(creator, nonce):
    """The conversation that `creator` made with a `CreateGroup` of this nonce."""
    name = creator.encode()
    parts = b"fireside/made/1" + bytes([len(name)]) + name + bytes([16]) + nonce
    return hashlib.sha256(parts).digest()[:16]


def thread_id(parent, root):
    """The thread under message `root` of `parent`."""
    parts = b"fireside/thread/1" + bytes([16]) + parent + bytes([8]) + root.to_bytes(8, "big")
    return hashlib.sha256(parts).digest()[:16]


_LAST_MS = [0]


def new_nonce(wall_ms=None, random=None):
    """A UUIDv7. Those of this process ascend: a message must have a later name than the draft that it takes away."""
    if wall_ms is None:
        wall_ms = _LAST_MS[0] = max(int(time.time() * 1000), _LAST_MS[0] + 1)
    tail = bytearray(random or os.urandom(10))
    tail[0] = 0x70 | (tail[0] & 0x0F)
    tail[2] = 0x80 | (tail[2] & 0x3F)
    return wall_ms.to_bytes(6, "big") + bytes(tail)


def text_content(text):
    return msgpack.packb({"t": text})


def text_of(content):
    return msgpack.unpackb(content)["t"] if content else None


def unpack(body):
    """The record that a bin holds, by its short keys."""
    return msgpack.unpackb(body)


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign_token(secret, kid, claims, algorithm="HS256"):
    """A JWT of these claims, signed with HS256."""
    header = {"alg": algorithm, "typ": "JWT", "kid": kid}
    message = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(secret, message.encode(), hashlib.sha256).digest()
    return f"{message}.{_base64url(signature)}"


class _Protocol(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.owner = None
        self.early = []

    def quic_event_received(self, event):
        # Events of the handshake may come before the owner is set.
        if self.owner is None:
            self.early.append(event)
        else:
            self.owner._on_event(event)


class Client:
    """One connection. Use `async with Client.open(...)`, then `log_in`."""

    def __init__(self, protocol):
        self._protocol = protocol
        self._quic = protocol._quic
        self._session = None
        self._next_request = 1
        self._waiting = {}
        self._pages = {}
        self._buffers = {}
        self._uni_kinds = {}
        self._limits = {}
        self.events = []
        self.sync = []
        self.sync_done = asyncio.Event()
        self.changed = asyncio.Event()
        self.closed = None
        self.unknown_kinds = 0
        protocol.owner = self
        for event in protocol.early:
            self._on_event(event)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host, port, fingerprint):
        """A connection whose certificate has this SHA-256."""
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=[ALPN],
            verify_mode=ssl.CERT_NONE,
            server_name="localhost",
            max_datagram_frame_size=65_536,
            idle_timeout=45.0,
        )
        async with connect(host, port, configuration=configuration, create_protocol=_Protocol) as protocol:
            certificate = protocol._quic.tls._peer_certificate.public_bytes(Encoding.DER)
            if hashlib.sha256(certificate).hexdigest() != fingerprint.lower():
                raise ssl.SSLError("another certificate")
            yield cls(protocol)

    # Streams

    def _on_event(self, event):
        if isinstance(event, StreamDataReceived):
            self._on_data(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, StreamReset):
            self._fail_page(event.stream_id, Closed(event.error_code, "stream reset"))
        elif isinstance(event, DatagramFrameReceived):
            buffer = bytearray(event.data)
            for kind, request, body in decode_frames(buffer, 1_000):
                self._on_frame(kind, request, body)
        elif isinstance(event, ConnectionTerminated):
            self.closed = Closed(event.error_code, event.reason_phrase)
            for waiter in [*self._waiting.values(), *self._pages.values()]:
                if not waiter.done():
                    waiter.set_exception(self.closed)
            self._waiting.clear()
            self._pages.clear()
            self.sync_done.set()
            self.changed.set()

    def _on_data(self, stream, data, end):
        buffer = self._buffers.setdefault(stream, bytearray())
        buffer.extend(data)
        # Streams of the server: bit 0 of the id says who opened it.
        if stream & 1 and stream not in self._uni_kinds:
            if not buffer:
                return
            self._uni_kinds[stream] = buffer.pop(0)
        kind_of_stream = self._uni_kinds.get(stream)
        limit = FRAME_BYTES_MAX if stream == self._session or kind_of_stream == 3 else PAGE_FRAME_BYTES_MAX
        for kind, request, body in decode_frames(buffer, limit):
            if stream in self._pages:
                waiter = self._pages.pop(stream)
                self._answer(waiter, kind, body)
            elif kind_of_stream == 4:
                self.sync.append((SERVER.get(kind), body))
            else:
                self._on_frame(kind, request, body)
        if end:
            if buffer:
                raise ValueError("a stream ended inside a frame")
            self._fail_page(stream, Closed(None, "the page stream ended without an answer"))
            if kind_of_stream == 4:
                self.sync_done.set()
            self._buffers.pop(stream, None)

    def _fail_page(self, stream, error):
        waiter = self._pages.pop(stream, None)
        if waiter and not waiter.done():
            waiter.set_exception(error)

    def _on_frame(self, kind, request, body):
        name = SERVER.get(kind)
        if name is None:
            self.unknown_kinds += 1
        elif request == 0:
            self.events.append((name, body))
            self.changed.set()
        elif request in self._waiting:
            self._answer(self._waiting.pop(request), kind, body)

    @staticmethod
    def _answer(waiter, kind, body):
        if waiter.done():
            return
        if SERVER.get(kind) == "Refused":
            waiter.set_exception(Refused(body))
        else:
            waiter.set_result((SERVER.get(kind), body))

    # Sending

    def send_raw(self, data, stream=None, end=False):
        """Bytes on a stream as they are; without one, on a new bidirectional stream."""
        if stream is None:
            stream = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream, data, end_stream=end)
        self._protocol.transmit()
        return stream

    def open_session(self, data=b""):
        """Opens the session stream."""
        self._session = self.send_raw(b"\x01" + data)
        return self._session

    def send(self, name, body, request=None):
        """A frame on the session stream; a future of its answer."""
        if request is None:
            request = self._next_request
            self._next_request += 1
        waiter = asyncio.get_running_loop().create_future()
        if self.closed:
            waiter.set_exception(self.closed)
            return waiter
        if request:
            self._waiting[request] = waiter
        frame = encode_frame(CLIENT.get(name, name), request, body)
        if self._session is None:
            self.open_session(frame)
        else:
            self.send_raw(frame, self._session)
        return waiter

    async def ask(self, name, body):
        """A request and its answer's body."""
        _, answer = await asyncio.wait_for(self.send(name, body), ANSWER_TIMEOUT)
        return answer

    async def command(self, name, body):
        """A command, repeated under its nonce while the server says "not now"."""
        while True:
            try:
                return await self.ask(name, body)
            except Refused as refused:
                if refused.code not in (500, 501, 502, 503, 504):
                    raise
                await asyncio.sleep(max(refused.retry_after, 0.05))

    async def page(self, name, body):
        """A request of the page lane, on a stream of its own."""
        waiter = asyncio.get_running_loop().create_future()
        stream = self._quic.get_next_available_stream_id()
        self._pages[stream] = waiter
        self.send_raw(b"\x02" + encode_frame(CLIENT.get(name, name), 1, body), stream, end=True)
        _, answer = await asyncio.wait_for(waiter, ANSWER_TIMEOUT)
        return answer

    def datagram(self, name, body):
        data = body if isinstance(body, bytes) else encode_frame(CLIENT[name], 0, body)
        self._quic.send_datagram_frame(data)
        self._protocol.transmit()

    async def log_in(self, token, device=None, **fields):
        """Hello and welcome."""
        self.device = device or os.urandom(16)
        body = {"v": 1, "w": 1, "k": token, "d": self.device, "a": "stranger", "p": "python", **fields}
        name, welcome = await asyncio.wait_for(self.send("Hello", body), ANSWER_TIMEOUT)
        assert name == "Welcome", name
        self.user = welcome["u"]
        self.welcome = welcome
        return welcome

    async def wait_closed(self, timeout=ANSWER_TIMEOUT):
        """The code the connection is closed with."""
        await self.wait_for(lambda: self.closed, timeout)
        return self.closed.code

    async def wait_for(self, condition, timeout=ANSWER_TIMEOUT):
        """Waits until something holds of what has come."""
        deadline = time.monotonic() + timeout
        while not (found := condition()):
            self.changed.clear()
            if self.closed and not condition():
                raise self.closed
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("it did not come: " + repr(self.events[-5:]))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left, 0.5))
        return found

    async def event(self, name, condition=lambda body: True, timeout=ANSWER_TIMEOUT):
        """Waits for an event; it stays in the list."""
        find = lambda: next((body for kind, body in self.events if kind == name and condition(body)), None)
        return await self.wait_for(find, timeout)

    # Chat

    def message(self, conversation, text, peer=None, nonce=None, after=None, **header):
        """The body of a `Send`."""
        body = {"i": nonce or new_nonce(), "c": conversation, "h": {"k": 1, **header}, "b": text_content(text)}
        if peer:
            body["pe"] = peer
        if after:
            body["af"] = after
        return body

    async def in_order(self, bodies):
        """Sends at once, each naming the one before it; those that must wait go again, in order. Numbers and repeats."""
        numbers, repeats = {}, 0
        while waiting := [body for body in bodies if body["i"] not in numbers]:
            for body, waiter in [(body, self.send("Send", body)) for body in waiting]:
                try:
                    numbers[body["i"]] = (await waiter)[1]["n"]
                except Refused as refused:
                    if refused.code not in (500, 504):
                        raise
                    repeats += 1
            if len(numbers) < len(bodies):
                await asyncio.sleep(0.1)
        return [numbers[body["i"]] for body in bodies], repeats

    async def say(self, conversation, text, peer=None, **header):
        return await self.command("Send", self.message(conversation, text, peer, **header))

    async def say_to(self, user, text):
        return await self.say(direct_id(self.user, user), text, peer=user)


class Timeline:
    """What a device keeps of one conversation."""

    def __init__(self, conversation):
        self.conversation = conversation
        self.items = {}
        self.early_changes = {}
        self.covered = set()
        self.live = set()
        self.changes_to = 0
        self.head = 0
        self.visible_from = 1

    def apply_event(self, name, body):
        if body.get("c") != self.conversation:
            return
        if name == "Entry":
            self._entry(body)
        elif name == "Skip":
            self._cover(range(body["f"], body["l"] + 1))
        elif name == "Head":
            self.head = max(self.head, body["n"])
            self.visible_from = max(body.get("vf", 1), 1)

    def _entry(self, entry):
        if 32 <= entry["k"] <= 63:
            target = entry["g"]
            if target in self.items:
                self._change(self.items[target], entry)
            else:
                self.early_changes.setdefault(target, []).append(entry)
        else:
            self._merge(entry)
        self._cover([entry["n"]])

    def _merge(self, item):
        number = item["n"]
        held = self.items.get(number)
        if held is None:
            self.items[number] = dict(item)
        else:
            self.items[number] = self._merged(held, item)
        for change in self.early_changes.pop(number, []):
            self._change(self.items[number], change)

    def _merged(self, held, item):
        """The larger rev wins, of the body and of each facet."""
        newer, older = (item, held) if self.body_rev(item) > self.body_rev(held) else (held, item)
        merged = dict(newer)
        merged["fa"] = list(newer.get("fa", []))
        for facet in older.get("fa", []):
            self._facet(merged, facet, facet["r"], self.body_rev(newer))
        rev = max(self.rev(held), self.rev(item))
        merged["r"], merged["br"] = rev, max(self.body_rev(held), self.body_rev(item))
        return merged

    @staticmethod
    def rev(item):
        return item.get("r") or item["n"]

    @classmethod
    def body_rev(cls, item):
        return item.get("br") or cls.rev(item)

    @staticmethod
    def _facet(item, facet, rev, body_rev):
        if "x" in item or (facet["k"] == 6 and rev < body_rev):
            return
        facets = item.setdefault("fa", [])
        for place, held in enumerate(facets):
            if held["k"] == facet["k"]:
                if held["r"] < rev:
                    facets[place] = {**facet, "r": rev}
                return
        facets.append({**facet, "r": rev})

    def _change(self, item, change):
        number, body_rev = change["n"], self.body_rev(item)
        if change["k"] in (EDIT, RECALL, EXPIRE, WITHDRAW) and number > body_rev:
            body_rev = number
            if change["k"] == EDIT:
                item["b"] = change["b"]
                item["e"] = True
            elif change["k"] == WITHDRAW and not change.get("x"):
                item["b"] = change["b"]
            else:
                item.pop("b", None)
                item.pop("fa", None)
                item["x"] = 3 if change["k"] == EXPIRE else change.get("x", 1)
                item["h"] = {key: value for key, value in item["h"].items() if key not in ("mn", "ma", "mr", "re")}
        for facet in change.get("fa", []):
            self._facet(item, facet, facet.get("r") or number, body_rev)
        item["r"], item["br"] = max(self.rev(item), number), body_rev
        if "fa" in item:
            item["fa"] = [facet for facet in item["fa"] if facet["k"] != 6 or facet["r"] >= body_rev]
            if not item["fa"]:
                del item["fa"]

    def reactions(self, number):
        """Keys and who, of a message held."""
        for facet in self.items[number].get("fa", []):
            if facet["k"] == 1 and facet.get("b"):
                return [(one["k"], one.get("us", [])) for one in msgpack.unpackb(facet["b"]).get("ks", [])]
        return []

    def preview(self, number):
        """What the page behind the link of a message held says, or nothing."""
        for facet in self.items[number].get("fa", []):
            if facet["k"] == 6 and facet.get("b"):
                return msgpack.unpackb(facet["b"])
        return None

    def pinned(self):
        """Numbers of the pinned messages held."""
        facets = [(number, facet) for number, item in self.items.items() for facet in item.get("fa", [])]
        return sorted(number for number, facet in facets if facet["k"] == 2 and facet.get("b"))

    def _cover(self, numbers):
        self.live.update(numbers)
        self.covered.update(numbers)
        self.head = max(self.head, *numbers)
        self._follow()

    def _follow(self):
        while self.changes_to + 1 in self.live:
            self.changes_to += 1

    def held(self):
        """Covered numbers as ranges, ascending."""
        ranges = []
        for number in sorted(self.covered):
            if ranges and ranges[-1]["l"] + 1 == number:
                ranges[-1]["l"] = number
            else:
                ranges.append({"f": number, "l": number})
        return ranges

    def holes(self):
        """Ranges between the first number that may be seen and the head that are not accounted for."""
        ranges = []
        for number in range(self.visible_from, self.head + 1):
            if number in self.covered:
                continue
            if ranges and ranges[-1][1] + 1 == number:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        return ranges

    def request(self, anchor, number=0, to=0, limit=0):
        body = {"c": self.conversation, "a": anchor, "n": number, "m": to, "l": limit}
        if self.covered:
            body["s"] = self.changes_to
            body["h"] = self.held()[-65:]
        return body

    def apply_page(self, page):
        """Pages are asked for one after the other here, so the smallest `as_of` since the asking is the page's own."""
        if page.get("rs"):
            self.items.clear()
            self.covered.clear()
            self.changes_to = 0
        for entry in page.get("e", []) + page.get("g", []):
            self._merge(entry)
        self.covered.update(range(page["f"], page["l"] + 1))
        self.head = max(self.head, page["a"])
        self.changes_to = max(self.changes_to, page["a"])
        self._follow()

    async def catch_up(self, client, limit=0):
        """Brings the conversation up to date."""
        self.apply_page(await client.page("PageRequest", self.request(NEWEST, limit=limit)))
        await self.fill(client, limit)

    async def fill(self, client, limit=0):
        """Asks for all holes, newest first."""
        while holes := self.holes():
            first, last = holes[-1]
            before = len(self.covered)
            self.apply_page(await client.page("PageRequest", self.request(RANGE, first, last, limit)))
            assert len(self.covered) > before, f"a page for {first}-{last} brought nothing"

    def lines(self):
        """What a person sees, in order: number, kind, sender, text or tombstone, edited."""
        lines = []
        for number, item in sorted(self.items.items()):
            shown = item.get("x") or text_of(item.get("b"))
            lines.append((number, item["k"], item["u"], shown, bool(item.get("e"))))
        return lines
