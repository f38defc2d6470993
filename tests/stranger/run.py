"""Scenarios of a stranger's client against a real server. Prints a line each and ends non-zero if one fails.

run.py --server 127.0.0.1:PORT --fingerprint HEX --kid NAME --secret BASE64URL [--vectors FOLDER] [NAME ...]
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import sys
import time
import traceback
from itertools import pairwise

import client as wire
import below  # noqa: F401: its scenarios
import endings  # noqa: F401: its scenarios
import transient  # noqa: F401: its scenarios
from client import AFTER, AROUND, BEFORE, NEWEST, RANGE, Refused, Timeline, direct_id, group_id, new_nonce, text_of
from world import CHECKS, SCENARIOS, Session, World, check, equal, refusal, scenario

# The bytes


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


# The session


@scenario
async def log_in(world):
    """Hello, welcome, and the sync stream that comes by itself."""
    user = world.user("ada")
    async with world.connect() as client:
        token = world.token(user, name="Ada L.", roles=["tester"], unknown={"claim": 1})
        welcome = await client.log_in(token)
        equal((welcome["v"], welcome["u"], welcome.get("nm")), (1, user, "Ada L."), "the welcome")
        check(abs(welcome["t"] / 1000 - time.time()) < 60, "the server's clock")
        check(welcome["tx"] > welcome["t"], "the token's end")
        check(welcome.get("s"), "a resume secret")
        await asyncio.wait_for(client.sync_done.wait(), 10)
        kinds = {name for name, _ in client.sync}
        check("UserLogPage" in kinds and "HeadsPage" in kinds, f"the sync stream brought {kinds}")
        pong = await client.ask("Ping", {"q": 2**53 + 1})
        equal(pong["q"], 2**53 + 1, "the ping's counter")
    async with Session(world, user, ns=True) as quiet:
        await quiet.ask("Ping", {})
        await quiet.ask("Ping", {})
        equal(quiet.sync, [], "a sync that was not wanted")


@scenario
async def refused_log_ins(world):
    """Bad tokens and versions are refused with their reason, and the connection ends with its code."""
    now = int(time.time())
    good = world.token(world.user("eve"))
    head, payload, signature = good.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    other = wire.sign_token(b"x" * 32, world.kid, {"sub": "eve", "iat": now, "exp": now + 3600})
    none = wire._base64url(b'{"alg":"none"}') + "." + payload + "."
    cases = [
        ("another signature", f"{head}.{payload}.{flipped}", 200),
        ("another key", other, 200),
        ("algorithm none", none, 200),
        ("an unknown kid", wire.sign_token(world.secret, "nobody", {"sub": "eve", "iat": now, "exp": now + 60}), 200),
        ("not a token", "hello", 200),
        ("empty", "", 200),
        ("too long", "a" * 9_000, 200),
        ("no sub", wire.sign_token(world.secret, world.kid, {"iat": now, "exp": now + 3600}), 200),
        ("a sub of 65 bytes", world.token("x" * 65), 200),
        ("expired", world.token("eve", exp=now - 3600, iat=now - 7200), 201),
        ("not yet", world.token("eve", nbf=now + 3600), 202),
    ]
    for what, token, code in cases:
        async with world.connect() as client:
            refused = await refusal(client.log_in(token))
            equal(refused.code, code, what)
            equal(await client.wait_closed(), code, f"the end after {what}")
    async with world.connect() as client:
        refused = await refusal(client.log_in(good, v=7, w=9))
        equal((refused.code, await client.wait_closed()), (104, 104), "versions from the future")
    # A range that holds version 1 is fine, and so is a token that expired within the leeway.
    async with world.connect() as client:
        equal((await client.log_in(world.token("eve", exp=now - 20), v=1, w=9))["v"], 1, "the version picked")


@scenario
async def resume(world):
    """A resume secret logs the same device in again; a wrong one leaves room for a hello on the same stream."""
    user, device = world.user("ida"), os.urandom(16)
    async with Session(world, user, device) as client:
        secret = client.welcome["s"]
    versions = {"v": 1, "w": 1, "d": device}
    async with world.connect() as client:
        _, welcome = await client.send("Resume", {"s": secret, **versions})
        equal(welcome["u"], user, "who resumed")
        check(welcome["s"] != secret, "a new secret")
    for what, body in [("a wrong secret", {"s": b"\0" * 32, **versions}), ("another device", {"s": secret, **versions, "d": b"\7" * 16})]:
        async with world.connect() as client:
            equal((await refusal(client.send("Resume", body))).code, 207, what)
            equal((await client.log_in(world.token(user), device))["u"], user, "hello after " + what)


@scenario
async def tokens_and_devices(world):
    """A new token while connected; the list of devices; signing one out; a device that connects twice."""
    user = world.user("kim")
    first, second = os.urandom(16), os.urandom(16)
    async with Session(world, user, first) as one, Session(world, user, second) as two:
        await one.ask("SetToken", {"k": world.token(user)})
        equal((await refusal(one.ask("SetToken", {"k": world.token("somebody")}))).code, 204, "another user's token")
        equal((await refusal(one.ask("SetToken", {"k": "nonsense"}))).code, 200, "a bad new token")
        for _ in range(50):  # the list follows a log-in, it does not hold it up
            devices = {entry["d"]: entry for entry in (await one.page("DevicesRequest", {})).get("ds", [])}
            if len(devices) == 2:
                break
            await asyncio.sleep(0.1)
        equal(set(devices), {first, second}, "devices")
        check(all(entry.get("on") for entry in devices.values()), "both are online")
        await one.command("RevokeDevice", {"i": new_nonce(), "d": second})
        await two.event("Kicked")
        equal(await two.wait_closed(), 208, "the end of a device that was signed out")
        async with world.connect() as again:
            body = {"v": 1, "w": 1, "s": two.welcome["s"], "d": second}
            equal((await refusal(again.send("Resume", body))).code, 207, "its resume secret")
        async with Session(world, user, first) as newer:
            equal(await one.wait_closed(), 206, "the end of the older connection of a device")
            await newer.ask("Ping", {})
            versions = {"v": 1, "w": 1, "d": first}
        async with world.connect() as again:
            _, welcome = await again.send("Resume", {"s": newer.welcome["s"], **versions})
            equal(welcome["u"], user, "the newer connection's secret")


# Messages


@scenario
async def send_and_receive(world):
    """A first message makes the direct conversation and reaches the other device live, and the sender's other device too."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, anna) as a2, Session(world, bob) as b:
        body = a.message(direct_id(anna, bob), "hello 陈 🎉", peer=bob, re=0)
        ack = await a.command("Send", body)
        equal((ack["i"], ack["n"], ack["o"]), (body["i"], 1, 1), "the ack")
        for reader in (b, a2):
            entry = await reader.event("Entry")
            equal((entry["c"], entry["n"], entry["k"], entry["u"]), (direct_id(anna, bob), 1, 1, anna), "the entry")
            equal((entry["b"], entry["h"]["k"], entry["o"]), (body["b"], 1, 1), "its content, byte for byte")
            equal(entry["t"], ack["t"], "its time")
            kinds = [name for name, _ in reader.events]
            equal(kinds[:3], ["UserRecord", "Head", "Entry"], "what comes with a first message")
        for own in (a, a2):
            equal((await own.event("Entry"))["i"], body["i"], "an own entry has its nonce, also where it was sent")
        ack = await b.say_to(anna, "hi")
        equal((await a.event("Entry", lambda entry: entry["n"] == 2))["u"], bob, "the answer")
        await asyncio.wait_for(a.sync_done.wait(), 5)
        heads = (await b.page("HeadsRequest", {}))["h"]
        equal(len(heads), 1, "heads")
        head = heads[0]
        equal((head["n"], head["k"], head["pe"], head["o"]), (2, 1, anna, 2), "bob's head")
        equal(head.get("ur", 0), 0, "own messages move the own marker")
        equal((await a.page("HeadsRequest", {}))["h"][0].get("ur"), 1, "anna's unread")


@scenario
async def contents(world):
    """Texts outside the limits are refused, texts at them are not; unknown fields and wide numbers are taken."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b:
        for text, code in [("", 400), (" \n ", 400), ("x" * 4_001, 401), ("a\x07b", 404), ("👨‍👩‍👧‍👦" * 700, 401)]:
            refused = await refusal(a.command("Send", a.message(conversation, text, peer=bob)))
            equal(refused.code, code, repr(text[:10]))
        most = "é" * 4_000
        await a.say_to(bob, most)
        equal(text_of((await b.event("Entry"))["b"]), most, "4,000 characters")
        body = a.message(conversation, "x", peer=bob)
        equal((await refusal(a.ask("Send", {**body, "b": b"\xc1"}))).code, 404, "a content that is no content")
        body = a.message(direct_id(anna, "carl"), "x", peer="somebody else")
        equal((await refusal(a.ask("Send", body))).code, 300, "a peer that does not fit the id")
        body = {"zz": [1, {"x": None}], **a.message(conversation, "newer client", peer=bob), "zy": 1.5}
        body["h"]["new"] = True
        await a.command("Send", body)
        # All numbers as int64, and the key "i" as str 8.
        packed = b"\x81\xa1q\xd3\0\0\0\0\0\0\0\x07"
        _, pong = await a.send(wire.CLIENT["Ping"], packed)
        equal(pong["q"], 7, "a number in a signed format")
        equal(text_of((await b.event("Entry", lambda entry: entry["n"] == 2))["b"]), "newer client", "with unknown fields")


@scenario
async def exactly_once(world):
    """The same nonce twice has one effect and one answer, over this connection, another one, and for refusals."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b:
        body = a.message(direct_id(anna, bob), "once", peer=bob)
        both = a.send("Send", body), a.send("Send", body)
        acks = [(await waiter)[1] for waiter in both]
        equal(acks[0], acks[1], "two acks of one nonce")
        equal(await a.ask("Send", {**body, "b": wire.text_content("twice?")}), acks[0], "the ack of a repeat with another text")
        bad = a.message(direct_id(anna, bob), "", peer=bob)
        first = await refusal(a.ask("Send", bad))
        again = await refusal(a.ask("Send", {**bad, "b": wire.text_content("now it is fine")}))
        equal(again.code, first.code, "a refusal for good")
        await a.say_to(bob, "end")
        await b.event("Entry", lambda entry: text_of(entry["b"]) == "end")
        equal([text_of(entry["b"]) for name, entry in b.events if name == "Entry"], ["once", "end"], "what bob got")
    async with Session(world, anna) as a:
        equal(await a.ask("Send", body), acks[0], "the ack on another connection")


@scenario
async def order(world):
    """Sends in flight keep their order by `after`; out of order they wait."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a:
        nonces = [new_nonce() for _ in range(8)]
        bodies = [
            a.message(conversation, str(n), peer=bob, nonce=nonce, after=nonces[n - 1] if n else None)
            for n, nonce in enumerate(nonces)
        ]
        numbers, again = await a.in_order(bodies)
        equal(numbers, list(range(1, 9)), "numbers of sends in flight")
        await asyncio.sleep(1.0)  # the rate of a user
        bodies = [a.message(conversation, str(n), nonce=new_nonce()) for n in range(8, 12)]
        for before, body in zip(bodies, bodies[1:]):
            body["af"] = before["i"]
        numbers, again = await a.in_order(bodies)
        equal((numbers, again), (list(range(9, 13)), 0), "and all at once where the conversation is known")
        first, second = new_nonce(), new_nonce()
        late = a.message(conversation, "late", peer=bob, nonce=second, after=first)
        equal((await refusal(a.ask("Send", late))).code, 504, "before the one before it")
        await a.command("Send", a.message(conversation, "early", peer=bob, nonce=first))
        await a.command("Send", late)
        line = Timeline(conversation)
        await line.catch_up(a)
        equal([text for _, _, _, text, _ in line.lines()], [*map(str, range(12)), "early", "late"], "the order")


@scenario
async def rate_limit(world):
    """Too fast is refused as retryable with a time; the same nonce succeeds later; nothing is doubled or lost."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    limited = 0
    async with Session(world, anna) as a:
        bodies = [a.message(conversation, str(n), peer=bob) for n in range(40)]
        while bodies:
            waiters = [(body, a.send("Send", body)) for body in bodies]
            bodies, wait = [], 0.0
            for body, waiter in waiters:
                try:
                    await waiter
                except Refused as refused:
                    equal(refused.code, 500, "the refusal")
                    check(refused.body.get("ra", 0) > 0, "it says when")
                    equal(refused.body.get("i"), body["i"], "it names the command")
                    limited += 1
                    wait = max(wait, refused.retry_after)
                    bodies.append(body)
            await asyncio.sleep(wait)
        check(limited > 0, "40 sends at once were not too fast")
        line = Timeline(conversation)
        await line.catch_up(a)
        texts = [text for _, _, _, text, _ in line.lines()]
        equal(sorted(texts, key=int), [str(n) for n in range(40)], "each once")


@scenario
async def history(world):
    """Pages from every anchor, in pieces, cover the log without gaps."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    count = 60
    async with Session(world, anna) as a, Session(world, bob) as b:
        for n in range(1, count + 1):
            await (a if n % 2 else b).say(conversation, f"line {n}", peer=bob if n % 2 else anna)
        ask = lambda **fields: b.page("PageRequest", {"c": conversation, **fields})
        numbers = lambda page: [entry["n"] for entry in page.get("e", [])]
        page = await ask(l=10)
        equal((numbers(page), page["l"], page["a"]), (list(range(51, 61)), 60, 60), "the newest")
        page = await ask(a=BEFORE, n=page["f"], l=10)
        equal((numbers(page), page["f"], page["l"]), (list(range(41, 51)), 41, 50), "before it")
        page = await ask(a=AFTER, n=50, l=5)
        equal(numbers(page), list(range(51, 56)), "after 50")
        page = await ask(a=RANGE, n=20, m=22)
        equal((numbers(page), page["f"], page["l"]), ([20, 21, 22], 20, 22), "a range")
        page = await ask(a=AROUND, n=30, l=10)
        check(30 in numbers(page) and numbers(page)[0] < 30 < numbers(page)[-1], "around 30")
        page = await ask(a=AFTER, n=60)
        check(page["f"] > page["l"] and not page.get("e"), "nothing after the end")
        page = await ask()
        equal(len(page["e"]), 50, "items when no number is named")
        seen, below = [], count + 1
        while below > 1:
            page = await ask(a=BEFORE, n=below, l=7)
            equal(page["l"], below - 1, "a page ends below the one before")
            seen = numbers(page) + seen
            below = page["f"]
        equal(seen, list(range(1, count + 1)), "the whole log")
        times = [entry["t"] for entry in (await ask(l=60))["e"]]
        check(times == sorted(times), "time never goes back")
        refused = await refusal(b.page("PageRequest", {"c": direct_id("nobody", bob)}))
        equal(refused.code, 300, "a conversation that is not")
        refused = await refusal(b.page("PageRequest", {"c": direct_id(anna, "nobody")}))
        equal(refused.code, 300, "somebody else's")


@scenario
async def edit_and_recall(world):
    """Changes reach readers live and in pages; the larger rev wins; an old look at it is a conflict."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b:
        for text in ("one", "two", "three"):
            await a.say_to(bob, text)
        edit = {"i": new_nonce(), "c": conversation, "g": 2, "r": 2, "b": wire.text_content("TWO")}
        ack = await a.command("Edit", edit)
        equal(ack["n"], 4, "the change's own number")
        equal(await a.command("Edit", edit), ack, "a repeat")
        equal((await refusal(a.ask("Edit", {**edit, "i": new_nonce()}))).code, 302, "an edit of an old look")
        await a.command("Edit", {**edit, "i": new_nonce(), "r": 4, "b": wire.text_content("Two")})
        await a.command("Recall", {"i": new_nonce(), "c": conversation, "g": 3})
        refused = await refusal(b.ask("Edit", {"i": new_nonce(), "c": conversation, "g": 1, "b": wire.text_content("mine")}))
        equal(refused.code, 301, "another's message")
        refused = await refusal(b.ask("Recall", {"i": new_nonce(), "c": conversation, "g": 77}))
        equal(refused.code, 300, "a message that is not")
        # By nonce, before the number is known.
        named = a.message(conversation, "to be changed", peer=bob)
        await a.command("Send", named)
        await a.command("Edit", {"i": new_nonce(), "c": conversation, "gi": named["i"], "b": wire.text_content("changed")})
        await b.event("Entry", lambda entry: entry["n"] == 8)
        live, paged = Timeline(conversation), Timeline(conversation)
        for name, body in b.events:
            live.apply_event(name, body)
        await paged.catch_up(b)
        expected = [
            (1, 1, anna, "one", False), (2, 1, anna, "Two", True), (3, 1, anna, 1, False), (7, 1, anna, "changed", True),
        ]
        equal(live.lines(), expected, "entry by entry")
        equal(paged.lines(), expected, "as a page")
        equal((live.changes_to, paged.changes_to, live.holes(), paged.holes()), (8, 8, [], []), "both are complete")
        page = await b.page("PageRequest", {"c": conversation})
        recalled = page["e"][2]
        equal((recalled["n"], recalled["x"], recalled.get("b"), recalled["r"]), (3, 1, None, 6), "a tombstone")


@scenario
async def reactions_and_pins(world):
    """Facets reach readers live and in pages, whole; a repeat makes nothing; a recall takes them along; refusals."""
    anna, bob, carl = world.user("anna"), world.user("bob"), world.user("carl")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, carl) as c:
        for text in ("one", "two", "three"):
            await a.say_to(bob, text)

        def react(target, key, on=True):
            return {"i": new_nonce(), "c": conversation, "g": target, "k": key, "on": on}

        def pin(target, on=True):
            return {"i": new_nonce(), "c": conversation, "g": target, "on": on}

        first = react(1, "👍")
        ack = await b.command("React", first)
        equal(ack["n"], 4, "the change's own number")
        equal(await b.command("React", first), ack, "a repeat of the name")
        equal((await b.command("React", react(1, "👍"))).get("n", 0), 0, "a reaction that is there")
        equal((await b.command("React", react(1, "gg", False))).get("n", 0), 0, "one that never was")
        await a.command("React", react(1, "👍"))
        await a.command("React", react(1, "game:trophy"))
        await b.command("React", react(1, "👍", False))
        # An edit beside it is no conflict: it saw the body as it is.
        await a.command("Edit", {"i": new_nonce(), "c": conversation, "g": 1, "r": 1, "b": wire.text_content("ONE")})
        await b.command("Pin", pin(2))
        await a.command("Pin", pin(1))
        await b.command("React", react(3, "🎉"))
        await a.command("Recall", {"i": new_nonce(), "c": conversation, "g": 3})
        last = await a.command("Pin", pin(2, False))
        await b.event("Entry", lambda entry: entry["n"] == last["n"])
        live, paged, backwards = Timeline(conversation), Timeline(conversation), Timeline(conversation)
        for name, body in b.events:
            live.apply_event(name, body)
        for name, body in reversed(b.events):
            backwards.apply_event(name, body)
        await paged.catch_up(b)
        for line, how in ((live, "entry by entry"), (backwards, "in the wrong order"), (paged, "as a page")):
            equal(line.reactions(1), [("👍", [anna]), ("game:trophy", [anna])], how)
            equal((line.reactions(3), line.pinned()), ([], [1]), how)
            equal(line.lines(), live.lines(), how)
        equal([line[3] for line in paged.lines()], ["ONE", "two", 1], "texts")
        pins = await b.page("PinsRequest", {"c": conversation})
        equal([entry["n"] for entry in pins["e"]], [1], "the page of pins")
        # Refusals.
        for key in ("", "a b", "x" * 65, "\u202egg"):
            equal((await refusal(b.ask("React", react(1, key)))).code, 410, f"the key {key!r}")
        equal((await refusal(b.ask("React", react(3, "gg")))).code, 302, "a recalled message")
        equal((await refusal(b.ask("React", react(4, "gg")))).code, 300, "a reaction to a reaction")
        equal((await refusal(b.ask("Pin", pin(99)))).code, 300, "a message that is not")
        equal((await refusal(c.ask("React", react(1, "gg")))).code, 300, "a stranger")
        equal((await refusal(c.page("PinsRequest", {"c": conversation}))).code, 300, "a stranger's page")
        # Behind a block nobody hears of it.
        await b.command("Block", {"i": new_nonce(), "u": anna, "on": True})
        equal((await a.command("React", react(1, "gg"))).get("n", 0), 0, "behind a block")


# Syncing


@scenario
async def sync(world):
    """A device that was away comes to show the same as one that was there and as a new one, with few requests."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    line, device = Timeline(conversation), os.urandom(16)
    async with Session(world, anna) as a:
        for n in range(1, 11):
            await a.say_to(bob, f"line {n}")
        async with Session(world, bob, device) as b:
            await asyncio.wait_for(b.sync_done.wait(), 10)
            for name, body in b.sync:
                for head in body.get("h", []) if name == "HeadsPage" else []:
                    line.apply_event("Head", head)
            equal(line.head, 10, "the head")
            await line.catch_up(b, limit=5)
            stamp = b.welcome["hs"]
        # Away: more messages, an edit of an old one, a recall of a new one.
        await a.say_to(bob, "line 11")
        await a.command("Edit", {"i": new_nonce(), "c": conversation, "g": 4, "b": wire.text_content("line 4, edited")})
        await a.say_to(bob, "line 13")
        await a.command("Recall", {"i": new_nonce(), "c": conversation, "g": 11})
        async with Session(world, bob, device, hs=stamp, u=b.welcome.get("n", 0)) as b:
            await asyncio.wait_for(b.sync_done.wait(), 10)
            heads = [head for name, body in b.sync if name == "HeadsPage" for head in body.get("h", [])]
            equal([head["n"] for head in heads], [14], "the heads that moved")
            equal(heads[0]["ur"], 12, "unread: the recalled one counts")
            equal(text_of(heads[0]["p"]["b"]), "line 13", "the preview")
            line.apply_event("Head", heads[0])
            equal(line.holes(), [[11, 14]], "a head makes a hole")
            await line.catch_up(b, limit=2)
            equal(line.changes_to, 14, "changes_to")
            # Live on top.
            await a.say_to(bob, "line 15")
            entry = await b.event("Entry")
            line.apply_event("Entry", entry)
            fresh = Timeline(conversation)
            await fresh.catch_up(b, limit=3)
            equal(line.lines(), fresh.lines(), "the timeline")
            equal([n for n, *_ in line.lines()], [*range(1, 12), 13, 15], "numbers")
            equal((line.holes(), fresh.holes()), ([], []), "holes")
            # A page asked for with everything held has only what changed.
            page = await b.page("PageRequest", line.request(NEWEST))
            equal(page.get("g", []), [], "changes when there are none")
            # Nothing new: no heads beyond the overlap's.
            heads = (await b.page("HeadsRequest", {"s": b.welcome["t"] + 10 * 60_000})).get("h", [])
            equal(heads, [], "heads from the future")


@scenario
async def heads_in_pages(world):
    """Many conversations come in pages, newest first, each once."""
    ida = world.user("ida")
    friends = [world.user(f"friend{n}") for n in range(12)]
    async with Session(world, ida) as client:
        for friend in friends:
            await client.say_to(friend, "hi " + friend)
        heads, at, before = [], 0, None
        while True:
            body = {"l": 5, "t": at}
            if before:
                body["c"] = before
            page = await client.page("HeadsRequest", body)
            heads += [(head["pe"], head["t"]) for head in page.get("h", [])]
            if not page.get("mo"):
                break
            at, before = page["h"][-1]["t"], page["h"][-1]["c"]
        seen = [friend for friend, _ in heads]
        equal(sorted(seen), sorted(friends), "each once")
        # Two of one millisecond may stand either way.
        times = [at for _, at in heads]
        equal(times, sorted(times, reverse=True), "newest first, by what they say")
        said = {friend: n for n, friend in enumerate(friends)}
        newest = sorted(heads, key=lambda head: (head[1], said[head[0]]), reverse=True)
        check(all(said[one[0]] > said[other[0]] for one, other in pairwise(newest)), "newest first, as they were said")


@scenario
async def read_markers(world):
    """Reading moves the unread count, the other devices' marker and the sender's receipt."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, bob) as b2:
        for n in range(5):
            await a.say_to(bob, f"line {n}")
        await a.ask("Attention", {"op": [conversation]})
        equal((await b.page("HeadsRequest", {}))["h"][0]["ur"], 5, "unread")
        b.send("Delivered", {"c": conversation, "n": 5}, request=0)
        await a.event("Receipt", lambda body: body.get("d") == 5)
        read = {"i": new_nonce(), "c": conversation, "n": 3}
        answers = [await b.send("Read", read) for _ in range(2)]
        equal(answers, [("Ack", {"i": read["i"], "c": conversation})] * 2, "the answer to a marker and to its repeat")
        await b.command("Read", {"i": new_nonce(), "c": conversation, "n": 2})
        record = await b2.event("UserRecord", lambda body: body["k"] == 3)
        equal((record["c"], record["v"]), (conversation, 3), "the marker on the other device")
        receipt = await a.event("Receipt", lambda body: body.get("n"))
        equal((receipt["u"], receipt["n"]), (bob, 3), "the receipt")
        head = (await b.page("HeadsRequest", {}))["h"][0]
        equal((head["ur"], head["rm"]), (2, 3), "unread after reading, never back")
        head = (await a.page("HeadsRequest", {}))["h"][0]
        equal((head.get("pr"), head.get("pd")), (3, 5), "the peer's receipts in the head")
        equal((await refusal(a.ask("Attention", {"op": [os.urandom(16) for _ in range(17)]}))).code, 410, "too many on screen")


@scenario
async def typing(world):
    """Typing goes by datagram to who has the conversation open; other datagrams are dropped."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b:
        await a.say_to(bob, "hi")
        await b.ask("Attention", {"op": [conversation]})
        # A datagram with another frame than typing is dropped.
        a.datagram(None, wire.encode_frame(16, 1, a.message(conversation, "by datagram")))
        a.datagram(None, wire.encode_frame(3, 1, {}))
        for counter in range(1, 60):
            a.datagram("Typing", {"c": conversation, "q": counter, "on": True})
            try:
                typing = await b.event("TypingOf", timeout=0.5)
                break
            except TimeoutError:
                continue
        else:
            raise AssertionError("no typing came")
        equal((typing["c"], typing["u"], typing["on"]), (conversation, anna, True), "who types")
        await a.say_to(bob, "the connection lives")
        entries = [text_of(body["b"]) for name, body in b.events if name == "Entry"]
        await b.event("Entry", lambda body: text_of(body["b"]) == "the connection lives")
        check("by datagram" not in entries, "a send by datagram")
        for junk in (b"\0", b"\0\0\0\x07\0\x15\0\0\0\0\x80", b"\xff" * 900, b"\0\0\0\x08\0\x03\0\0\0\0\x80"):
            a.datagram(None, junk)
        await a.ask("Ping", {})
        await a.say_to(bob, "it still lives")


# Groups


def later(seconds):
    """A time in ms, as servers have it."""
    return int((time.time() + seconds) * 1000)


@scenario
async def leading(world):
    """Muted, banned, named, and the end of it all; who may not is told no more than a stranger."""
    anna, bob, cleo, dan = (world.user(name) for name in ("anna", "bob", "cleo", "dan"))
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c, Session(world, dan) as d:
        create = {"i": new_nonce(), "nm": "Raid", "us": [bob, cleo]}
        group = (await a.command("CreateGroup", create))["c"]
        named = lambda **fields: {"i": new_nonce(), "c": group, **fields}
        for one in (b, c):
            await one.command("Join", named())
        # Muted: until a time, by the server's clock.
        until = later(3600)
        equal((await refusal(b.ask("Mute", named(u=cleo, un=until)))).code, 301, "a member mutes nobody")
        muted = await a.command("Mute", named(u=bob, un=until))
        entry = await c.event("Entry", lambda body: body["k"] == wire.MUTED)
        equal((entry["n"], entry["m"]), (muted["n"], {"u": bob, "un": until}), "the muted entry")
        for name, body in (
            ("Send", b.message(group, "hush")),
            ("React", named(g=1, k="x", on=True)),
            ("SetMember", named(nm="Hush")),
        ):
            refused = await refusal(b.ask(name, body))
            equal((refused.code, refused.body["un"]), (311, until), name + " of who is muted")
        head = next(head for head in (await b.page("HeadsRequest", {}))["h"] if head["c"] == group)
        equal(head["mu"], until, "the head says it")
        members = {member["u"]: member.get("mu") for member in (await c.page("MembersRequest", {"c": group}))["ms"]}
        equal(members, {anna: None, bob: until, cleo: None}, "the members' page says it")
        await a.command("Mute", named(u=bob))
        await b.say(group, "thank you")
        equal((await refusal(a.ask("Mute", named(u=bob, un=later(-3600))))).code, 410, "a time that has passed")
        # Names here.
        level = [{"k": "level", "v": "40"}]
        await b.command("SetMember", named(nm=" Bj\u00f6rn ", at=level))
        entry = await c.event("Entry", lambda body: body["k"] == wire.MEMBER_SET)
        equal((entry["m"]["u"], wire.msgpack.unpackb(entry["b"])), (bob, {"nm": "Bj\u00f6rn", "at": level}), "what changed")
        page = await c.page("MembersRequest", {"c": group, "pf": "BJO"})
        found = [(member["u"], member["nh"], member["at"]) for member in page["ms"]]
        equal(found, [(bob, "Bj\u00f6rn", level)], "found without case and accents")
        equal((await c.page("MembersRequest", {"c": group, "pf": "nobody"})).get("ms", []), [], "nobody is called so")
        # Banned.
        ban = await a.command("Ban", named(u=bob, on=True))
        entry = await b.event("Entry", lambda body: body["k"] == wire.BANNED)
        equal((entry["n"], entry["m"]), (ban["n"], {"u": bob}), "the last that bob sees")
        refused = await refusal(b.ask("Join", named()))
        equal((refused.code, refused.body.get("un", 0)), (312, 0), "for ever")
        equal((await refusal(a.ask("Invite", named(us=[bob])))).code, 312, "nobody brings them in")
        bans = (await a.page("BansRequest", {"c": group}))["bs"]
        equal([(one["u"], one["by"]) for one in bans], [(bob, anna)], "who is banned")
        equal((await refusal(c.page("BansRequest", {"c": group}))).code, 300, "not for members")
        await a.command("Ban", named(u=dan, on=True))
        equal((await refusal(d.ask("Join", named()))).code, 300, "a banned stranger learns nothing")
        await a.command("Ban", named(u=bob, on=False))
        await a.command("Invite", named(us=[bob]))
        await b.command("Join", named())
        # The end.
        equal((await refusal(b.ask("Dissolve", named()))).code, 301, "only the owner ends it")
        end = named()
        ack = await a.command("Dissolve", end)
        equal(await a.command("Dissolve", end), ack, "a repeat")
        for one in (a, b, c):
            entry = await one.event("Entry", lambda body: body["k"] == wire.DISSOLVED)
            equal((entry["n"], entry["u"]), (ack["n"], anna), "its last entry")
            await one.event("UserRecord", lambda body: body["k"] == 1 and body.get("c") == group and body.get("x"))
            equal((await refusal(one.ask("Send", one.message(group, "?")))).code, 300, "nobody writes any more")
            equal((await refusal(one.page("PageRequest", {"c": group}))).code, 300, "nobody reads any more")


@scenario
async def links(world):
    """Ten who race for the last use of a link: one comes in. Whatever is wrong with a link sounds alike."""
    anna = world.user("anna")
    crowd = [world.user(f"c{n}") for n in range(10)]
    async with contextlib.AsyncExitStack() as stack:
        a = await stack.enter_async_context(Session(world, anna))
        others = [await stack.enter_async_context(Session(world, one)) for one in crowd]
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Raid"}))["c"]
        named = lambda **fields: {"i": new_nonce(), "c": group, **fields}
        make = named(us=1)
        ack = await a.command("CreateLink", make)
        equal(await a.command("CreateLink", make), ack, "a repeat has the same code")
        code = ack["lk"]
        equal(len(code), 16, "bytes of a code")

        async def enter(one, code, group=group):
            try:
                return (await one.command("Join", {"i": new_nonce(), "c": group, "lk": code}))["n"] > 0
            except Refused as refused:
                return refused.code

        came = await asyncio.gather(*(enter(one, code) for one in others))
        equal(sorted(came, key=str), [313] * 9 + [True], "one came in")
        link = (await a.page("LinksRequest", {"c": group}))["ls"][0]
        equal((link["lk"], link["us"], link["ud"], link["by"]), (code, 1, 1, anna), "the link as it is listed")
        out = next(one for one, how in zip(others, came) if how == 313)
        inside = next(one for one, how in zip(others, came) if how is True)
        equal((await refusal(inside.page("LinksRequest", {"c": group}))).code, 300, "links are not for members")
        other = (await a.command("CreateLink", named()))["lk"]
        await a.command("RevokeLink", named(lk=other))
        equal(await enter(out, other), 313, "revoked")
        equal(await enter(out, os.urandom(16)), 313, "never made")
        equal(await enter(out, code, os.urandom(16)), 313, "into nothing")
        soon = (await a.command("CreateLink", named(ex=later(1))))["lk"]
        deadline = time.monotonic() + 20
        while (how := await enter(out, soon)) is True and time.monotonic() < deadline:
            # In time; so it was a member for a moment.
            await out.command("Leave", named())
            await asyncio.sleep(0.2)
        equal(how, 313, "expired")


@scenario
async def meetings(world):
    """A meeting ends by itself at its time, and with its last member."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b:
        create = {"i": new_nonce(), "nm": "Run", "k": 4, "jp": 3, "en": later(3)}
        meeting = (await a.command("CreateGroup", create))["c"]
        await b.command("Join", {"i": new_nonce(), "c": meeting})
        await b.say(meeting, "quick!")
        for one in (a, b):
            entry = await one.event("Entry", lambda body: body["k"] == wire.DISSOLVED)
            check(entry["t"] >= create["en"], "not before its time")
            equal((entry["u"], entry.get("i")), (anna, None), "in the owner's name")
        equal((await refusal(b.ask("Join", {"i": new_nonce(), "c": meeting}))).code, 300, "it is over")
        other = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Run", "k": 4}))["c"]
        await a.command("Leave", {"i": new_nonce(), "c": other})
        equal((await refusal(a.ask("Join", {"i": new_nonce(), "c": other}))).code, 300, "nobody was left")
        wrong = {"i": new_nonce(), "nm": "Run", "k": 4, "en": later(-60)}
        equal((await refusal(a.ask("CreateGroup", wrong))).code, 410, "an end that has passed")


@scenario
async def groups(world):
    """A group from its making to its end: invitations, a late joiner's skip, roles, removal."""
    anna, bob, cleo, dan = (world.user(name) for name in ("anna", "bob", "cleo", "dan"))
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c, Session(world, dan) as d:
        create = {"i": new_nonce(), "nm": "Raid  ", "us": [bob]}
        ack = await a.command("CreateGroup", create)
        group = group_id(anna, create["i"])
        equal(ack["c"], group, "the group's id")
        equal(await a.command("CreateGroup", create), ack, "a repeat")
        record = await b.event("UserRecord", lambda body: body["k"] == 2)
        equal((record["c"], record["u"], record["nm"]), (group, anna, "Raid"), "the invitation")
        equal((await refusal(b.ask("Send", b.message(group, "too early")))).code, 300, "not a member yet")
        await a.say(group, "before bob")
        await b.command("Join", {"i": new_nonce(), "c": group})
        equal((await refusal(b.ask("Join", {"i": new_nonce(), "c": group}))).code, 305, "joining twice")
        equal((await refusal(c.ask("Join", {"i": new_nonce(), "c": group}))).code, 300, "an uninvited user")
        joined = await a.event("Entry", lambda body: body["k"] == wire.JOINED)
        equal((joined["m"]["u"], joined["u"]), (bob, bob), "who joined")
        await a.say(group, "hello bob", mn=[bob])
        got = await b.event("Entry", lambda body: body["k"] == 1)
        equal((text_of(got["b"]), got["h"]["mn"]), ("hello bob", [bob]), "live")
        head = next(head for head in (await b.page("HeadsRequest", {}))["h"] if head["c"] == group)
        equal((head["k"], head["nm"], head["mc"], head["ro"], head["ur"], head["mn"]), (2, "Raid", 2, 1, 1, 1), "bob's head")
        # The late joiner accounts for every number, without seeing those before.
        page = await b.page("PageRequest", {"c": group, "a": AFTER, "n": 0})
        check(page.get("s"), "a late joiner gets a skip")
        skipped = [n for skip in page["s"] for n in range(skip["f"], skip["l"] + 1)]
        items = [entry["n"] for entry in page["e"]]
        equal(sorted(skipped + items), list(range(page["f"], page["l"] + 1)), "skips and items together")
        check("before bob" not in [text_of(entry.get("b")) for entry in page["e"] if entry["k"] == 1], "what was before")
        # Members.
        await a.command("Invite", {"i": new_nonce(), "c": group, "us": [cleo, dan]})
        await c.command("Join", {"i": new_nonce(), "c": group})
        await d.command("Leave", {"i": new_nonce(), "c": group})
        members = {member["u"]: member["ro"] for member in (await c.page("MembersRequest", {"c": group}))["ms"]}
        equal(members, {anna: 3, bob: 1, cleo: 1}, "members and roles")
        page = await c.page("MembersRequest", {"c": group, "l": 1})
        equal((len(page["ms"]), page.get("mo")), (1, True), "members in pages")
        # Roles.
        refused = await refusal(b.ask("RemoveMember", {"i": new_nonce(), "c": group, "u": cleo}))
        equal(refused.code, 301, "a member removes nobody")
        await a.command("SetRole", {"i": new_nonce(), "c": group, "u": bob, "ro": 2})
        equal((await c.event("Entry", lambda body: body["k"] == wire.ROLE))["m"], {"u": bob, "ro": 2}, "the role entry")
        equal((await refusal(a.ask("Leave", {"i": new_nonce(), "c": group}))).code, 308, "the owner stays")
        # Removal: the removed sees it, and nothing after it.
        removal = await b.command("RemoveMember", {"i": new_nonce(), "c": group, "u": cleo})
        await a.say(group, "without cleo")
        removed = await c.event("Entry", lambda body: body["k"] == wire.REMOVED)
        equal((removed["n"], removed["m"]["u"], removed["u"]), (removal["n"], cleo, bob), "the removal")
        await b.event("Entry", lambda body: body["k"] == 1 and text_of(body["b"]) == "without cleo")
        await c.ask("Ping", {})
        check(all(body["n"] <= removal["n"] for name, body in c.events if name == "Entry"), "nothing after the removal")
        equal((await refusal(c.ask("Send", c.message(group, "still here")))).code, 300, "a removed member sends nothing")
        await b.command("Leave", {"i": new_nonce(), "c": group})
        equal((await a.event("Entry", lambda body: body["k"] == wire.LEFT))["m"]["u"], bob, "who left")


@scenario
async def blocks(world):
    """A block is silent: the sender gets an ack, the blocker a skip; in a group only the blocker stops seeing."""
    anna, bob, cleo = world.user("anna"), world.user("bob"), world.user("cleo")
    direct = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:
        create = {"i": new_nonce(), "nm": "Guild", "us": [bob, cleo]}
        group = (await a.command("CreateGroup", create))["c"]
        for member in (b, c):
            await member.command("Join", {"i": new_nonce(), "c": group})
        await a.say_to(bob, "before")
        await a.say(group, "old line of anna")
        await b.command("Block", {"i": new_nonce(), "u": anna, "on": True})
        await b.event("UserRecord", lambda body: body["k"] == 4 and body["u"] == anna)
        rights = await b.event("UserRecord", lambda body: body["k"] == 5)
        equal(rights["c"], group, "the rights of the group changed")
        ack = await a.say_to(bob, "can you hear me?")
        check(ack["n"] > 1, "the sender is not told")
        await a.say(group, "call-out")
        equal(text_of((await c.event("Entry", lambda body: body.get("b") and text_of(body["b"]) == "call-out"))["b"]), "call-out", "others see it")
        await c.say(group, "end")
        await b.event("Entry", lambda body: body.get("b") and text_of(body["b"]) == "end")
        check(not any(name == "Entry" and body.get("b") and text_of(body["b"]) in ("call-out", "can you hear me?") for name, body in b.events), "the blocker sees nothing")
        line = Timeline(group)
        await line.catch_up(b)
        texts = [text for _, kind, _, text, _ in line.lines() if kind == 1]
        equal((texts, line.holes()), (["end"], []), "the group without anna, old lines too")
        await b.command("Block", {"i": new_nonce(), "u": anna, "on": False})
        again = Timeline(group)
        await again.catch_up(b)
        texts = [text for _, kind, _, text, _ in again.lines() if kind == 1]
        equal(texts, ["old line of anna", "call-out", "end"], "the group after the unblock")
        await a.say_to(bob, "after")
        line = Timeline(direct)
        await line.catch_up(b)
        equal([text for *_, text, _ in line.lines()], ["before", "after"], "the direct conversation after the unblock")


@scenario
async def user_log(world):
    """The user log can be read from any cursor, and says what is over."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a:
        await a.command("Block", {"i": new_nonce(), "u": bob, "on": True})
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Solo"}))["c"]
        page = await a.page("UserLogRequest", {})
        kinds = {(record["k"], record.get("u"), record.get("c")): record for record in page["r"]}
        check((4, bob, None) in kinds, f"the block is in {kinds}")
        membership = next(record for record in page["r"] if record["k"] == 1 and record.get("c") == group)
        equal(membership.get("v"), 3, "the owner's membership")
        numbers = [record["n"] for record in page["r"]]
        check(numbers == sorted(numbers) and numbers[-1] == page["n"], "ascending to the cursor")
        await a.command("Block", {"i": new_nonce(), "u": bob, "on": False})
        page = await a.page("UserLogRequest", {"n": page["n"]})
        equal([(record["k"], record.get("u"), record.get("x")) for record in page["r"]], [(4, bob, True)], "only what is new")
        equal((await a.page("UserLogRequest", {"n": page["n"]})).get("r", []), [], "nothing more")
    async with Session(world, anna, u=page["n"]) as a:
        await asyncio.wait_for(a.sync_done.wait(), 10)
        records = [record for name, body in a.sync if name == "UserLogPage" for record in body.get("r", [])]
        equal(records, [], "the sync from the cursor")


# What belongs to a person


async def take(client, name, condition=lambda body: True):
    """An event that nobody has taken yet."""
    body = await client.event(name, condition)
    client.events.remove((name, body))
    return body


@scenario
async def own_settings(world):
    """Own settings of a conversation and folders are the same on both devices; reading takes the mark away, all at once too."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, anna) as a2, Session(world, bob) as b:
        await b.say_to(anna, "one")
        folder = os.urandom(16)

        def change(**fields):
            return {"i": new_nonce(), "c": conversation, "ch": fields}

        async def told(condition=lambda body: True):
            record = await take(a2, "UserRecord", lambda body: body["k"] == 16 and condition(body))
            return wire.unpack(record["b"]) if record.get("b") else {}

        equal((await refusal(a.ask("SetPersonal", change()))).code, 410, "a change of nothing")
        equal((await refusal(a.ask("SetPersonal", change(fo=folder)))).code, 300, "no such folder")
        equal((await refusal(b.ask("SetPersonal", {**change(pt=True), "c": os.urandom(16)}))).code, 300, "no such conversation")
        await a.command("SetFolder", {"i": new_nonce(), "id": folder, "nm": "friends", "o": 2})
        record = await take(a2, "UserRecord", lambda body: body["k"] == 17)
        equal((record["fo"], record["nm"], record["v"]), (folder, "friends", 2), "the folder on the other device")
        ack = await a.command("SetPersonal", change(pt=True, fo=folder, lv=2))
        equal(ack.get("n", 0), 0, "no number")
        equal(await told(), {"pt": True, "lv": 2, "fo": folder}, "on the other device")
        await a2.command("SetPersonal", change(pt=False, ar=True))
        equal(await told(), {"ar": True, "lv": 2, "fo": folder, "ad": 1}, "the later change wins, the rest stays")
        await a.command("SetPersonal", change(un=True, ar=False))
        equal((await told())["un"], True, "marked unread")
        await a.command("ReadAll", {"i": new_nonce()})
        marker = await take(a2, "UserRecord", lambda body: body["k"] == 3)
        equal((marker["c"], marker["v"]), (conversation, 1), "the marker that moved")
        equal(await told(), {"lv": 2, "fo": folder}, "no mark any more")
        head = (await a.page("HeadsRequest", {}))["h"][0]
        equal(head.get("ur", 0), 0, "nothing unread")
        await a.command("SetPersonal", change(lv=1, fo=bytes(16)))
        await take(a2, "UserRecord", lambda body: body["k"] == 16 and body.get("x"))
        records = (await a.page("UserLogRequest", {}))["r"]
        live = [record["k"] for record in records if not record.get("x")]
        check(16 not in live and 17 in live, f"what is left: {live}")
        check(not any(name == "UserRecord" and body["k"] in (16, 17) for name, body in b.events), "nobody else hears of it")


@scenario
async def drafts(world):
    """A draft is on all devices until a message takes it away, or until it is thrown away."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, anna) as a2:
        await a.say_to(bob, "first")

        def draft(text):
            return {"i": new_nonce(), "c": conversation, "b": wire.text_content(text) if text else b""}

        await a.command("SetDraft", draft("so far"))
        record = await take(a2, "UserRecord", lambda body: body["k"] == 18)
        equal(text_of(wire.unpack(record["b"])["b"]), "so far", "the draft on the other device")
        await a.say_to(bob, "so far, so good")
        await take(a2, "UserRecord", lambda body: body["k"] == 18 and body.get("x"))
        await a.command("SetDraft", draft("never mind"))
        await a.command("SetDraft", draft(""))
        await take(a2, "UserRecord", lambda body: body["k"] == 18 and body.get("x"))
        equal((await refusal(a.ask("SetDraft", draft("x" * 4001)))).code, 401, "too long")
        equal((await refusal(a.ask("SetDraft", {**draft("x"), "c": os.urandom(16)}))).code, 300, "nowhere")


@scenario
async def friends(world):
    """Friends are made by both; a block closes it in silence."""
    anna, bob, cleo = world.user("anna"), world.user("bob"), world.user("cleo")
    request, accept, decline, remove = 1, 2, 3, 4
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:

        def friend(user, action):
            return {"i": new_nonce(), "u": user, "ac": action}

        async def state(client, user):
            record = await take(client, "UserRecord", lambda body: body["k"] == 19 and body["u"] == user)
            return 0 if record.get("x") else record["v"]

        await a.command("Friend", friend(bob, request))
        equal([await state(a, bob), await state(b, anna)], [1, 2], "asked, asks")
        await b.command("Friend", friend(anna, accept))
        equal([await state(a, bob), await state(b, anna)], [3, 3], "friends")
        await a.command("Friend", friend(bob, remove))
        equal([await state(a, bob), await state(b, anna)], [0, 0], "no more")
        equal((await refusal(b.ask("Friend", friend(anna, accept)))).code, 320, "nobody asks")
        equal((await refusal(b.ask("Friend", friend(bob, request)))).code, 410, "oneself")
        await a.command("Friend", friend(cleo, request))
        equal(await state(c, anna), 2, "cleo is asked")
        await c.command("Friend", friend(anna, decline))
        equal([await state(a, cleo), await state(a, cleo)], [1, 0], "and says no")
        await a.command("Friend", friend(cleo, request))
        equal(await state(c, anna), 0, "what she saw of the first")
        equal(await state(c, anna), 2, "asked again")
        await c.command("Friend", friend(anna, request))
        equal([await state(a, cleo), await state(a, cleo)], [1, 3], "both asked")
        await b.command("Block", {"i": new_nonce(), "u": anna, "on": True})
        await a.command("Friend", friend(bob, request))
        equal(await state(a, bob), 1, "who asks has asked")
        await b.ask("Ping", {})
        check(not any(name == "UserRecord" and body["k"] == 19 and not body.get("x") for name, body in b.events), "and nothing passes")


@scenario
async def readers(world):
    """Read by how many of how many, live and by name, and who tells nothing."""
    anna, bob, cleo = world.user("anna"), world.user("bob"), world.user("cleo")
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Guild", "us": [bob, cleo]}))["c"]
        for member in (b, c):
            await member.command("Join", {"i": new_nonce(), "c": group})
        number = (await a.say(group, "who reads this?"))["n"]
        await a.ask("Attention", {"op": [group]})
        told = [await take(a, "Receipt") for _ in range(2)]
        equal(sorted(receipt["u"] for receipt in told), sorted([bob, cleo]), "everybody who tells, readers or not")
        check(all(receipt["j"] <= number and not receipt.get("n") for receipt in told), "who was there, and has not read")
        await b.command("Read", {"i": new_nonce(), "c": group, "n": number})
        receipt = await take(a, "Receipt")
        equal((receipt["u"], receipt["n"]), (bob, number), "bob has")
        page = await c.page("ReadersRequest", {"c": group, "n": number})
        equal((page["us"], page["of"]), ([bob], 2), "by name")
        await b.command("SetReceipts", {"i": new_nonce(), "on": False})
        receipt = await take(a, "Receipt")
        equal((receipt["u"], receipt.get("x")), (bob, True), "bob tells no more")
        page = await a.page("ReadersRequest", {"c": group, "n": number})
        equal((page.get("us", []), page["of"]), ([], 1), "bob is in no count")
        page = await b.page("ReadersRequest", {"c": group, "n": number})
        equal((page.get("us", []), page.get("of", 0)), ([], 0), "and is told nothing")
        equal((await refusal(a.page("ReadersRequest", {"c": group, "n": number + 9}))).code, 300, "no such message")


@scenario
async def presence(world):
    """Presence goes to friends and to who has a shared conversation open, never through a block."""
    anna, bob, cleo = world.user("anna"), world.user("bob"), world.user("cleo")
    online, away, invisible, offline = 1, 2, 4, 5
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:
        for one, other in ((a, bob), (b, anna)):
            await one.command("Friend", {"i": new_nonce(), "u": other, "ac": 1})

        async def seen(client, user, state):
            return await take(client, "PresenceOf", lambda body: body["u"] == user and body["st"] == state)

        rich = {"w": "raid", "js": b"secret", "ps": 3, "pm": 5}
        await a.ask("SetPresence", {"st": away, "tx": "tea", "em": "🍵", "r": rich})
        of = await seen(b, anna, away)
        equal((of["tx"], of["em"], of["r"]), ("tea", "🍵", rich), "a friend sees all of it")
        await a.say_to(cleo, "hi")
        await take(c, "Entry")
        await c.ask("Attention", {"op": [direct_id(anna, cleo)]})
        of = await seen(c, anna, away)
        equal(of["r"], {"w": "raid", "ps": 3, "pm": 5}, "who shares a conversation sees no secret")
        page = await b.page("PresenceRequest", {"us": [anna, cleo, "nobody"]})
        equal([of["st"] for of in page["ps"]], [away, offline, offline], "asked for")
        await a.ask("SetPresence", {"st": invisible})
        await seen(b, anna, offline)
        await a.ask("SetPresence", {"st": online})
        await seen(b, anna, online)
        await a.command("Block", {"i": new_nonce(), "u": bob, "on": True})
        await seen(b, anna, offline)
        equal((await refusal(a.ask("SetPresence", {"st": offline}))).code, 410, "offline can not be said")
        equal((await refusal(a.page("PresenceRequest", {"us": [f"u{n}" for n in range(101)]}))).code, 408, "too many")


@scenario
async def reports(world):
    """A report is taken from who sees what it is about, and answered alike by everybody else."""
    anna, bob = world.user("anna"), world.user("bob")
    conversation = direct_id(anna, bob)
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, world.user("cleo")) as c:
        number = (await a.say_to(bob, "an insult"))["n"]
        report = {"i": new_nonce(), "c": conversation, "n": number, "re": 2, "tx": "look at this"}
        equal(await b.command("Report", report), await b.command("Report", report), "a repeat")
        equal((await refusal(c.ask("Report", {**report, "i": new_nonce()}))).code, 300, "not theirs to see")
        equal((await refusal(b.ask("Report", {**report, "i": new_nonce(), "n": 99}))).code, 300, "not there")
        await b.command("Report", {"i": new_nonce(), "u": anna, "re": 1})
        equal((await refusal(b.ask("Report", {"i": new_nonce(), "re": 1}))).code, 410, "neither")
        equal((await refusal(b.ask("Report", {**report, "i": new_nonce(), "tx": "x" * 1001}))).code, 401, "too long")


# Frames that are unusual


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


# Bad frames


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


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--fingerprint", required=True)
    parser.add_argument("--kid", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--vectors", default=pathlib.Path(__file__).parents[2] / "crates" / "protocol" / "vectors")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    world = World(options)
    failed = []
    chosen = [function for function in SCENARIOS if not options.names or function.__name__ in options.names]
    for function in chosen:
        start, checks = time.monotonic(), CHECKS[0]
        try:
            await asyncio.wait_for(function(world), 120)
            word = "holds"
        except Exception:
            failed.append(function.__name__)
            word = "FAILED"
            traceback.print_exc()
        print(f"stranger:   {function.__name__:<20} {word} {CHECKS[0] - checks:5} checks {time.monotonic() - start:6.2f} s", flush=True)
    print(f"stranger: {len(chosen) - len(failed)} of {len(chosen)} scenarios hold, {CHECKS[0]} checks", flush=True)
    if failed:
        print("stranger: failed: " + ", ".join(failed), flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
