"""Scenarios of conversations and of who leads them."""

import asyncio
import contextlib
import os
import time

import client as wire
from client import AFTER, Refused, Timeline, direct_id, group_id, new_nonce, text_of
from world import Session, check, equal, refusal, scenario


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
