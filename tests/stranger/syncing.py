"""Scenarios of what a client that was away has to catch up with, and of markers."""

import asyncio
import os
from itertools import pairwise

import client as wire
from client import NEWEST, Timeline, direct_id, new_nonce, text_of
from world import Session, check, equal, refusal, scenario


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
