"""Scenarios of what is said, and of what becomes of it."""

import asyncio

import client as wire
from client import AFTER, AROUND, BEFORE, RANGE, Refused, Timeline, direct_id, new_nonce, text_of
from world import Session, check, equal, refusal, scenario


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
