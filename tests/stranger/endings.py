"""Scenarios of messages that end by the server's clock, and of what is forwarded."""

import time

import client as wire
from client import new_nonce, text_of
from world import Session, check, equal, refusal, scenario

EDIT, EXPIRE, WITHDRAW = 32, 38, 39
MERGED = 9
RECALLED_BY_ADMIN, EXPIRED = 2, 3


def later(seconds):
    """A time in ms, as servers have it."""
    return int((time.time() + seconds) * 1000)


@scenario
async def endings(world):
    """A message ends at its time, for all, with an entry; it is not unread any more, and nothing of it is served."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b:
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Raid", "us": [bob]}))["c"]
        named = lambda **fields: {"i": new_nonce(), "c": group, **fields}
        await b.command("Join", named())
        equal((await refusal(a.ask("Send", a.message(group, "late", ex=later(-60))))).code, 331, "its time has passed")
        equal((await refusal(a.ask("Send", a.message(group, "long", ex=later(367 * 24 * 3600))))).code, 332, "longer than may be")
        ends = later(2)
        body = a.message(group, "burn this", ex=ends)
        ack = await a.command("Send", body)
        equal(ack["ex"], ends, "the ack says when")
        equal(await a.command("Send", body), ack, "a repeat too")
        entry = await b.event("Entry", lambda body: body.get("i") == ack["i"])
        equal(entry["h"]["ex"], ends, "the header says when")
        end = await b.event("Entry", lambda body: body["k"] == EXPIRE)
        equal((end["g"], end["u"], end.get("b", b"")), (ack["n"], anna, b""), "an entry in its author's name")
        check(end["t"] >= ends, "not before its time")
        item = next(item for item in (await b.page("PageRequest", {"c": group}))["e"] if item["n"] == ack["n"])
        equal((item.get("b", b""), item["x"]), (b"", EXPIRED), "nothing is left of it")
        head = next(head for head in (await b.page("HeadsRequest", {}))["h"] if head["c"] == group)
        equal(head.get("ur", 0), 0, "and it is not unread")
        equal((await refusal(a.ask("SetConversation", named(st={"lt": 4_999})))).code, 332, "too short for a conversation")
        await a.command("SetConversation", named(st={"lt": 5_000}))
        ack = await a.say(group, "all burn here")
        check(0 < ack["ex"] - later(0) <= 5_000, "a conversation's lifetime is its messages'")


@scenario
async def forwarding(world):
    """The server makes the copies, of what the sender sees; an admin's recall reaches them, an author's does not."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b:
        source = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Source", "us": [bob]}))["c"]
        target = (await b.command("CreateGroup", {"i": new_nonce(), "nm": "Target", "us": [anna]}))["c"]
        await b.command("Join", {"i": new_nonce(), "c": source})
        await a.command("Join", {"i": new_nonce(), "c": target})
        hidden = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Hidden"}))["c"]
        first, second = [(await a.say(source, text))["n"] for text in ("one", "two")]
        mine = (await b.say(source, "mine"))["n"]
        forward = lambda numbers, **fields: {"i": new_nonce(), "c": target, "fc": source, "ns": numbers, **fields}
        secret = (await a.say(hidden, "secret"))["n"]
        for wrong in ({"fc": hidden, "ns": [secret]}, {"fc": source, "ns": [99]}):
            equal((await refusal(b.ask("Forward", {"i": new_nonce(), "c": target, **wrong}))).code, 300, "what bob does not see")
        forged = b.message(target, "anna said so", fw={"u": anna})
        equal((await refusal(b.ask("Send", forged))).code, 410, "nobody says that they forward")
        ack = await b.command("Forward", forward([first]))
        entry = await a.event("Entry", lambda body: body["c"] == target and body["n"] == ack["n"])
        equal((text_of(entry["b"]), entry["u"], entry["h"]["fw"]["u"]), ("one", bob, anna), "whose it was")
        merged = await b.command("Forward", forward([first, second, mine], mg=True, ti="What they said"))
        entry = await a.event("Entry", lambda body: body["c"] == target and body["n"] == merged["n"])
        equal(entry["h"]["k"], MERGED, "one message of kind merged")
        copies = wire.unpack(entry["b"])["cs"]
        equal([copy["fw"]["u"] for copy in copies], [anna, anna, bob], "each with whose it was")
        equal((await refusal(b.ask("Forward", forward([second, first], mg=True)))).code, 410, "in their order")
        await b.command("Recall", {"i": new_nonce(), "c": source, "g": mine})
        await a.command("SetRole", {"i": new_nonce(), "c": source, "u": bob, "ro": 2})
        await b.command("Recall", {"i": new_nonce(), "c": source, "g": first})
        gone = await a.event("Entry", lambda body: body["k"] == WITHDRAW and body["g"] == ack["n"])
        equal(gone["x"], RECALLED_BY_ADMIN, "what was forwarded alone goes whole")
        left = await a.event("Entry", lambda body: body["k"] == WITHDRAW and body["g"] == merged["n"])
        copies = wire.unpack(left["b"])["cs"]
        equal([bool(copy.get("x")) for copy in copies], [True, False, False], "of the merged one copy; the author's own recall left its own")
