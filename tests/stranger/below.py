"""Scenarios of what belongs to another conversation: threads, channels of a community; and of a conversation's own roles."""

import client as wire
from client import group_id, new_nonce, text_of, thread_id
from world import Session, check, equal, refusal, scenario

CREATED, JOINED, LEFT, ROLE, CHANNEL_MADE, THREAD = 2, 3, 4, 6, 12, 40
COMMUNITY, CHANNEL, THREAD_KIND = 6, 8, 9
THREAD_FACET = 5


async def head_of(client, conversation):
    return next(head for head in (await client.page("HeadsRequest", {"on": [conversation]}))["h"])


@scenario
async def threads(world):
    """A thread has an id that anybody can compute, a log and members of its own, and ends for who leaves the group."""
    anna, bob, cleo = (world.user(name) for name in ("anna", "bob", "cleo"))
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Raid", "us": [bob]}))["c"]
        named = lambda **fields: {"i": new_nonce(), "c": group, **fields}
        await b.command("Join", named())
        root = (await a.say(group, "who comes?"))["n"]
        thread = thread_id(group, root)
        equal((await refusal(c.ask("OpenThread", named(g=root)))).code, 300, "a stranger opens nothing")
        equal((await refusal(b.ask("OpenThread", named(g=root + 9)))).code, 300, "no such message")
        opened = named(g=root, nm=" Who ")
        ack = await b.command("OpenThread", opened)
        equal(ack["c"], group, "the ack is of the group")
        equal(await b.command("OpenThread", opened), ack, "a repeat")
        entry = await a.event("Entry", lambda body: body["k"] == THREAD)
        equal((entry["n"], entry["g"], entry["u"]), (ack["n"], root, bob), "the thread entry")
        facet = next(facet for facet in entry["fa"] if facet["k"] == THREAD_FACET)
        equal(wire.unpack(facet["b"]), {"c": thread, "nm": "Who", "u": bob}, "what it says")
        item = next(item for item in (await a.page("PageRequest", {"c": group}))["e"] if item["n"] == root)
        check(any(facet["k"] == THREAD_FACET for facet in item["fa"]), "the message says that it has a thread")
        head = await head_of(b, thread)
        equal((head["k"], head["pa"], head["rt"], head["nm"], head["ro"]), (THREAD_KIND, group, root, "Who", 3), "its head")
        await b.say(thread, "I do")
        equal((await refusal(a.ask("Send", a.message(thread, "me too")))).code, 300, "anna is not in it")
        child = (await a.page("ChildrenRequest", {"c": group}))["cs"][0]
        equal((child["c"], child["rt"], child["mc"], child["o"], child.get("ro")), (thread, root, 1, 1, None), "listed")
        equal((await refusal(c.page("ChildrenRequest", {"c": group}))).code, 300, "not for strangers")
        equal((await a.command("OpenThread", named(g=root))).get("n", 0), 0, "it is open: anna comes in")
        said = [text_of(item["b"]) for item in (await a.page("PageRequest", {"c": thread}))["e"] if item["k"] == 1]
        equal(said, ["I do"], "all of it is shown")
        below = (await a.say(thread, "me too"))["n"]
        equal((await refusal(a.ask("OpenThread", {"i": new_nonce(), "c": thread, "g": below}))).code, 301, "threads have none")
        await b.command("Leave", named())
        left = await a.event("Entry", lambda body: body["c"] == thread and body["k"] == LEFT)
        equal(left["m"]["u"], bob, "who leaves the group leaves the thread, with an entry there")
        await b.event("UserRecord", lambda body: body["k"] == 1 and body.get("c") == thread and body.get("x"))
        equal((await refusal(b.ask("Join", {"i": new_nonce(), "c": thread}))).code, 300, "and is out of it")
        equal((await refusal(a.ask("Dissolve", {"i": new_nonce(), "c": thread}))).code, 301, "a thread is not ended")
        await a.command("Dissolve", named())
        equal((await refusal(a.ask("Send", a.message(thread, "?")))).code, 300, "it ends with its group")


@scenario
async def communities(world):
    """Nobody writes in a community; its channels are joined by its members, some with it."""
    anna, bob, cleo = (world.user(name) for name in ("anna", "bob", "cleo"))
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:
        space = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Realm", "k": COMMUNITY}))["c"]
        equal((await refusal(a.ask("Send", a.message(space, "hm")))).code, 301, "nobody writes in it")
        make = lambda **fields: {"i": new_nonce(), "nm": "hall", "k": CHANNEL, "pa": space, **fields}
        equal((await refusal(a.ask("CreateGroup", make(us=[bob])))).code, 410, "nobody is invited at once")
        equal((await refusal(b.ask("CreateGroup", make()))).code, 300, "by members")
        first = make(bd=True)
        ack = await a.command("CreateGroup", first)
        equal(ack["c"], space, "the ack is of the community")
        hall = group_id(anna, first["i"])
        page = (await a.page("PageRequest", {"c": space}))["e"]
        made = next(item for item in page if item["k"] == CHANNEL_MADE)
        equal((made["n"], wire.unpack(made["b"])), (ack["n"], {"c": hall, "nm": "hall", "u": anna}), "the community says it")
        second = make(nm="cellar")
        await a.command("CreateGroup", second)
        cellar = group_id(anna, second["i"])
        await b.command("Join", {"i": new_nonce(), "c": space})
        record = await b.event("UserRecord", lambda body: body["k"] == 1 and body.get("c") == hall)
        equal(record.get("v"), 1, "bob is in the hall too")
        await b.say(hall, "nice place")
        listed = {child["nm"]: child.get("ro") for child in (await b.page("ChildrenRequest", {"c": space}))["cs"]}
        equal(listed, {"hall": 1, "cellar": None}, "what there is, and where bob is")
        one = (await b.page("ChildrenRequest", {"c": space, "l": 1}))
        check(one["mo"], "page by page")
        rest = await b.page("ChildrenRequest", {"c": space, "l": 1, "af": one["cs"][0]["c"]})
        equal({one["cs"][0]["nm"], rest["cs"][0]["nm"]}, {"hall", "cellar"}, "all of it")
        equal((await refusal(b.ask("CreateGroup", make()))).code, 301, "members make none")
        await b.command("Join", {"i": new_nonce(), "c": cellar})
        equal((await refusal(c.ask("Join", {"i": new_nonce(), "c": cellar}))).code, 300, "not in the community")
        await a.command("SetRole", {"i": new_nonce(), "c": space, "u": bob, "ro": 2})
        equal((await head_of(b, cellar))["ro"], 2, "a role given in the community holds in its channels")
        await a.command("RemoveMember", {"i": new_nonce(), "c": space, "u": bob})
        for gone in (space, hall, cellar):
            equal((await refusal(b.ask("Send", b.message(gone, "?")))).code, 300, "out of all of it")


@scenario
async def profiles(world):
    """What a user says of themselves, read by anybody, and what is refused."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b:
        level = [{"k": "level", "v": "40"}]
        await a.command("SetProfile", {"i": new_nonce(), "ds": " Cafe\u0301 ", "at": level})
        record = await a.event("UserRecord", lambda body: body["k"] == 24)
        equal(wire.unpack(record["b"])["ds"], "Caf\u00e9", "in the user's own log, in NFC")
        await a.command("SetProfile", {"i": new_nonce(), "pi": "lute"})
        page = (await b.page("ProfilesRequest", {"us": [world.user("nobody"), anna, bob]}))["ps"]
        equal(page, [{"u": anna, "ds": "Caf\u00e9", "pi": "lute", "at": level}, {"u": bob}], "of those who ever logged in")
        await a.command("SetProfile", {"i": new_nonce(), "ds": "", "pi": "", "at": [{"k": "level", "v": ""}]})
        await a.event("UserRecord", lambda body: body["k"] == 24 and body.get("x"))
        equal((await refusal(a.ask("SetProfile", {"i": new_nonce()}))).code, 410, "nothing to change")
        equal((await refusal(a.ask("SetProfile", {"i": new_nonce(), "pi": "a\nb"}))).code, 410, "no such address")
        equal((await refusal(b.page("ProfilesRequest", {"us": []}))).code, 410, "of nobody")
        many = [f"u{n}" for n in range(101)]
        check((await refusal(b.page("ProfilesRequest", {"us": many}))).code == 408, "too many")


@scenario
async def own_roles(world):
    """A role of a conversation's own: what it may, and that it can be named."""
    anna, bob, cleo = (world.user(name) for name in ("anna", "bob", "cleo"))
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, cleo) as c:
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Raid", "us": [bob, cleo]}))["c"]
        named = lambda **fields: {"i": new_nonce(), "c": group, **fields}
        for one in (b, c):
            await one.command("Join", named())
        equal((await refusal(a.ask("SetRole", named(u=bob, ro=20)))).code, 410, "there is no such role")
        for wrong in ({"n": 15, "nm": "x"}, {"n": 47, "nm": "x"}, {"n": 20, "nm": "x", "pm": 1 << 16}, {"n": 20, "nm": "x", "co": 1 << 24}):
            equal((await refusal(a.ask("SetConversation", named(st={"rs": [wrong]})))).code, 410, f"no role: {wrong}")
        scout = {"n": 20, "nm": "Scout", "pm": 1 | 1 << 3, "co": 0xFF8800}
        await a.command("SetConversation", named(st={"rs": [scout]}))
        equal((await head_of(c, group))["st"]["rs"], [scout], "the head that is asked for says it")
        await a.command("SetRole", named(u=bob, ro=20))
        entry = await c.event("Entry", lambda body: body["k"] == ROLE)
        equal(entry["m"], {"u": bob, "ro": 20}, "the role entry")
        equal((await head_of(b, group))["cp"], 1 | 1 << 3, "what bob may")
        equal((await refusal(b.ask("RemoveMember", named(u=anna)))).code, 301, "below an admin")
        await a.say(group, "scouts!", mr=[20])
        equal([(await head_of(one, group)).get("mn", 0) for one in (b, c)], [1, 0], "named is who has it")
        equal((await refusal(b.ask("Send", b.message(group, "hm", mr=[20])))).code, 301, "who may not name all names no role")
        span = {"t": "scouts!", "sp": [{"k": 13, "a": 0, "l": 6, "v": "20"}]}
        body = {**a.message(group, "", mr=[20]), "b": wire.msgpack.packb(span)}
        await a.command("Send", body)
        lone = {**a.message(group, ""), "b": wire.msgpack.packb(span)}
        equal((await refusal(a.ask("Send", lone))).code, 404, "a span alone names nobody")
        await b.command("RemoveMember", named(u=cleo))
