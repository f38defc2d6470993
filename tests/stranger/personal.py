"""Scenarios of what belongs to a person."""

import os

import client as wire
from client import direct_id, new_nonce, text_of
from world import Session, check, equal, refusal, scenario


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
