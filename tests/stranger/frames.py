"""Scenarios of the bytes: the vectors, frames that are unusual, and frames that are wrong."""

import asyncio
import json
import os

import client as wire
from client import direct_id, group_id, new_nonce
from world import Session, check, equal, refusal, scenario


@scenario
async def vectors(world):
    """The golden vectors mean what they say."""
    plain = lambda value: (
        "0x" + value.hex() if isinstance(value, bytes)
        else {key: plain(inner) for key, inner in value.items()} if isinstance(value, dict)
        else [plain(inner) for inner in value] if isinstance(value, list)
        else value
    )
    names = {**{kind: name for name, kind in wire.CLIENT.items()}, **wire.SERVER}
    seen = set()
    for vector in json.loads((world.vectors / "frames.json").read_text()):
        data = bytes.fromhex(vector["hex"])
        ((kind, request, body),) = wire.decode_frames(bytearray(data), wire.PAGE_FRAME_BYTES_MAX)
        equal((names[kind], request, plain(body)), (vector["name"], vector["request"], vector["body"]), "a vector")
        equal(wire.encode_frame(kind, request, body).hex(), vector["hex"], "bytes of " + vector["name"])
        seen.add(kind)
    equal(seen, set(names), "kinds with a vector")
    for vector in json.loads((world.vectors / "ids.json").read_text()):
        if vector["what"] == "direct":
            equal(direct_id(vector["one"], vector["other"]).hex(), vector["conversation"], "direct id")
        elif vector["what"] == "made":
            made = group_id(vector["creator"], bytes.fromhex(vector["nonce"]))
            equal(made.hex(), vector["conversation"], "group id")
        else:
            nonce = new_nonce(vector["wall_ms"], bytes.fromhex(vector["random"]))
            equal(nonce.hex(), vector["nonce"], "nonce")


@scenario
async def unusual_frames(world):
    """What is unusual and allowed is taken, what is not ends the connection with the code that the vectors name."""
    anna = world.user("anna")
    device = os.urandom(16)
    async with Session(world, anna) as client:
        # Byte by byte, several in one go, and as large as may be.
        for byte in wire.encode_frame(3, 4_000, {"q": 1}):
            client.send_raw(bytes([byte]), client._session)
        waiters = [asyncio.get_running_loop().create_future() for _ in range(3)]
        client._waiting.update({5_000 + n: waiter for n, waiter in enumerate(waiters)})
        client.send_raw(b"".join(wire.encode_frame(3, 5_000 + n, {"q": n + 1}) for n in range(3)), client._session)
        equal([(await waiter)[1]["q"] for waiter in waiters], [1, 2, 3], "several frames in a packet")
        padded = b"\x82\xa1q\x07\xa1z\xc5" + (65_536 - 19).to_bytes(2, "big") + bytes(65_536 - 19)
        equal(len(wire.encode_frame(3, 1, padded)), 65_536, "the largest frame")
        equal((await client.send("Ping", padded))[1]["q"], 7, "the largest frame's answer")
        for vector in json.loads((world.vectors / "unusual.json").read_text()):
            data, what = bytes.fromhex(vector["hex"]), vector["why"]
            if vector["side"] != "client" or vector["code"] or data[4:6] != b"\0\3":
                continue
            waiter = asyncio.get_running_loop().create_future()
            client._waiting[int.from_bytes(data[6:10], "big")] = waiter
            client.send_raw(data, client._session)
            equal((await asyncio.wait_for(waiter, wire.ANSWER_TIMEOUT))[0], "Pong", what)
    for vector in json.loads((world.vectors / "unusual.json").read_text()):
        if vector["side"] == "client" and vector["code"]:
            async with world.connect() as client:
                await client.log_in(world.token(anna), device)
                client.send_raw(bytes.fromhex(vector["hex"]), client._session, end=vector["why"] == "cut")
                equal(await client.wait_closed(), vector["code"], vector["why"])
    devices = wire.encode_frame(52, 1, {})
    for what, code, data, end in [
        ("a page stream without a frame", 100, b"", True),
        ("two frames on a page stream", 100, devices + devices, False),
        ("a page request over the limit, of which only the length came", 101, b"\0\1\0\0", False),
    ]:
        async with world.connect() as client:
            await client.log_in(world.token(anna), device)
            client.send_raw(b"\x02" + data, end=end)
            equal(await client.wait_closed(), code, what)
            check([body["e"] for name, body in client.events if name == "Refused"] == [code], f"{what}: said on the session stream")


@scenario
async def what_is_checked(world):
    """Each documented refusal of a well-formed request, and that the connection goes on."""
    anna, bob, eve = world.user("anna"), world.user("bob"), world.user("eve")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, eve) as e:

        async def refused(client, code, name, what, **body):
            while True:
                got = await refusal(client.send(name, {"i": new_nonce(), **body}))
                if got.code != 500:
                    break
                await asyncio.sleep(max(got.retry_after, 0.05))
            equal(got.code, code, what)

        send = {"c": conversation, "pe": bob, "h": {"k": 1}, "b": wire.text_content("hi")}
        await refused(a, 300, "Send", "no peer", **{**send, "pe": None})
        await refused(a, 300, "Send", "a wrong peer", **{**send, "pe": eve})
        await refused(a, 410, "Send", "oneself", **{**send, "c": direct_id(anna, anna), "pe": anna})
        await a.say_to(bob, "hi")
        await refused(a, 300, "Send", "a wrong peer where the conversation exists", **{**send, "pe": eve})
        await refused(a, 405, "Send", "a kind that is none", **{**send, "h": {"k": 99}})
        await refused(a, 410, "Send", "a priority that is none", **{**send, "h": {"k": 1, "p": 3}})
        await refused(a, 408, "Send", "mentions", **{**send, "h": {"k": 1, "mn": [f"u{n}" for n in range(51)]}})
        largest = len(wire.text_content("hi")) + 5
        for size, code in ((20_480, None), (20_481, 403)):
            content = b"\x82" + wire.text_content("hi")[1:] + b"\xa1z\xc5" + (size - largest).to_bytes(2, "big") + bytes(size - largest)
            equal(len(content), size, "the content's size")
            if code:
                await refused(a, code, "Send", "a content over the limit", **{**send, "b": content})
            else:
                await a.command("Send", {"i": new_nonce(), **send, "b": content})
        await a.command("Recall", {"i": new_nonce(), "c": conversation, "g": 1})
        await refused(a, 302, "Recall", "recalled already", c=conversation, g=1)
        await refused(a, 302, "Edit", "edit of what is recalled", c=conversation, g=1, b=wire.text_content("x"))
        await refused(a, 300, "Edit", "edit of a change", c=conversation, g=3, b=wire.text_content("x"))
        await refused(a, 410, "Edit", "edit of nothing", c=conversation, b=wire.text_content("x"))
        await refused(b, 301, "Recall", "another's message", c=conversation, g=2)
        group = group_id(anna, nonce := new_nonce())
        equal((await a.command("CreateGroup", {"i": nonce, "nm": "G", "us": [bob]}))["c"], group, "the group")
        await refused(e, 300, "Join", "never invited", c=group)
        await refused(a, 410, "Invite", "nobody", c=group, us=[])
        await refused(a, 408, "Invite", "too many", c=group, us=[f"u{n}" for n in range(101)])
        joined = await b.command("Join", {"i": new_nonce(), "c": group})
        await refused(b, 305, "Join", "a member already", c=group)
        await refused(a, 305, "Invite", "a member already", c=group, us=[bob])
        await refused(b, 301, "Invite", "a member invites", c=group, us=[eve])
        await refused(b, 301, "RemoveMember", "a member removes", c=group, u=anna)
        await refused(b, 301, "SetRole", "a member gives roles", c=group, u=anna, ro=1)
        await refused(a, 304, "RemoveMember", "no member", c=group, u=eve)
        await refused(a, 304, "SetRole", "no member's role", c=group, u=eve, ro=2)
        await refused(a, 410, "SetRole", "a role that is none", c=group, u=bob, ro=9)
        await refused(a, 410, "SetRole", "one's own role", c=group, u=anna, ro=1)
        await refused(a, 410, "RemoveMember", "oneself", c=group, u=anna)
        await refused(a, 308, "Leave", "the owner leaves", c=group)
        given = await a.command("SetRole", {"i": new_nonce(), "c": group, "u": bob, "ro": 3})
        equal(given["n"], joined["n"] + 1, "the new owner's entry")
        entry = await b.event("Entry", lambda body: body["c"] == group and body["n"] == given["n"] + 1)
        equal((entry["m"]["u"], entry["m"]["ro"]), (anna, 2), "the old owner is an admin, in an entry of its own")
        await a.command("Leave", {"i": new_nonce(), "c": group})
        await refused(a, 306, "Join", "once a member", c=group)
        await refused(a, 410, "Block", "oneself", u=anna, on=True)
        for name in ("", " ", "x" * 65, "a\nb", "\u202ex"):
            await refused(a, 402, "CreateGroup", f"the name {name!r}", nm=name)
        # A page says itself what it covers, whatever anchor was asked for.
        page = await a.page("PageRequest", {"c": conversation, "a": 99, "l": 1})
        equal((page["l"], page["a"]), (3, 3), "an anchor that is not known: the newest")
        equal((await refusal(a.page("PageRequest", {"c": conversation, "s": 1, "h": [{"f": n, "l": n} for n in range(1, 67)]}))).code, 410, "66 ranges")
        equal((await a.ask("Ping", {"q": 3}))["q"], 3, "the connection")


@scenario
async def bad_frames(world):
    """What is not a frame ends that connection with its code, and no other."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, bob) as witness:

        async def ends(what, code, data, logged_in=True, session=True):
            async with world.connect() as client:
                if logged_in:
                    await client.log_in(world.token(anna))
                if session and client._session is None:
                    client.open_session(data)
                else:
                    client.send_raw(data, client._session if session else None)
                equal(await client.wait_closed(), code, what)

        await ends("a length of 5", 100, b"\0\0\0\x05\0\x03\0\0\0")
        await ends("a length of 0", 100, b"\0\0\0\0")
        await ends("a frame over the limit", 101, b"\0\x01\0\0" + b"\0" * 100)
        await ends("a length of 4 GiB", 101, b"\xff\xff\xff\xff")
        await ends("noise", 101, b"GET / HTTP/1.1\r\nHost: fireside\r\n\r\n")
        await ends("a request before the log-in", 105, wire.encode_frame(5, 1, {}), logged_in=False)
        await ends("an unknown request before the log-in", 105, wire.encode_frame(63, 1, {}), logged_in=False)
        await ends("a broken hello", 102, wire.encode_frame(1, 1, {"v": 1}), logged_in=False)
        cases = [
            ("no map", b"\x01"), ("a field twice", b"\x82\xa1q\x01\xa1q\x01"), ("bytes after the map", b"\x80\x80"),
            ("another type", b"\x81\xa1q\xa1x"), ("a lying length", b"\xdf\xff\xff\xff\xff"), ("empty", b""),
            ("too deep", b"\x81\xa1?" + b"\x91" * 40 + b"\xc0"), ("cut", b"\x81\xa1q"), ("a float", b"\x81\xa1q\xcb" + b"\0" * 8),
        ]
        for what, packed in cases:
            async with world.connect() as client:
                await client.log_in(world.token(anna))
                refused = await refusal(client.send("Ping", packed))
                equal((refused.code, await client.wait_closed()), (102, 102), what)
        # Unknown requests are refused and nothing else happens.
        async with world.connect() as client:
            await client.log_in(world.token(anna))
            for kind in (0, 6, 63, 64, 96, 40_000, 65_535):
                equal((await refusal(client.send(kind, {}))).code, 103, f"kind {kind}")
                equal((await refusal(client.send(kind, b"not messagepack"))).code, 103, f"kind {kind} with noise")
            await client.ask("Ping", {})
            equal((await refusal(client.ask("PageRequest", {"c": direct_id(anna, bob)}))).code, 410, "a page on the session stream")
            equal((await refusal(client.page("Ping", {}))).code, 103, "a ping on a page stream")
            client.send(40_001, {}, request=0)
            # A stream that is none of ours is not read; the connection goes on.
            client.send_raw(b"\x77hello")
            await client.ask("Ping", {})
        # A page stream that ends inside a frame.
        async with world.connect() as client:
            await client.log_in(world.token(anna))
            client.send_raw(b"\x02" + wire.encode_frame(48, 1, {})[:-1], end=True)
            equal(await client.wait_closed(), 100, "a page request that is cut")
        async with world.connect() as client:
            await client.log_in(world.token(anna))
            equal((await refusal(client.page("PageRequest", {"c": b"short"}))).code, 102, "a bad page request")
            equal(await client.wait_closed(), 102, "its end")
        # Everything in one flight, in front of the welcome.
        async with world.connect() as client:
            early = client.send("Ping", {"q": 5})
            equal((await early)[1]["q"], 5, "a ping before the log-in")
            hello = client.send("Hello", {"v": 1, "w": 1, "k": world.token(anna), "d": os.urandom(16)})
            page = asyncio.create_task(client.page("UserLogRequest", {}))
            attention = client.send("Attention", {})
            equal((await hello)[0], "Welcome", "the log-in")
            await attention
            equal((await page)["n"] >= 0, True, "a page asked for with the log-in")
            equal((await refusal(client.log_in(world.token(anna)))).code, 410, "a second log-in")
        # The witness was there all the time.
        async with Session(world, anna) as client:
            await client.say_to(bob, "still there?")
        await witness.event("Entry")
        await witness.ask("Ping", {})
