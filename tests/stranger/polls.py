"""Scenarios of polls."""

from client import msgpack, new_nonce, unpack
from world import Session, check, equal, refusal, scenario

POLL_KIND, VOTE, VOTES_FACET, BALLOTS = 11, 36, 3, 8


def facet(item, kind):
    """What an item or a change says of one facet."""
    return next(unpack(one["b"]) for one in item["fa"] if one["k"] == kind)


@scenario
async def polls(world):
    """Everybody sees who chose what, a vote takes the place of the one before, and a closed poll takes none."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b:
        group, poll = await ask(a, b, bob, {})
        vote = lambda *options: {"i": new_nonce(), "c": group, "g": poll, "os": list(options)}
        body = vote(0)
        ack = await b.command("Vote", body)
        equal((await b.command("Vote", body))["n"], ack["n"], "the same answer")
        change = await a.event("Entry", lambda body: body["n"] == ack["n"])
        equal((change["k"], change["g"], change["u"]), (VOTE, poll, bob), "a change of the poll, by who voted")
        equal(facet(change, VOTES_FACET)["vs"], [{"n": 0, "us": [bob]}], "who chose what")
        await b.command("Vote", vote(1))
        await a.command("Vote", vote(1))
        item = next(item for item in (await a.page("PageRequest", {"c": group}))["e"] if item["n"] == poll)
        equal(facet(item, VOTES_FACET)["vs"], [{"n": 1, "us": [bob, anna]}], "in the place of the one before")
        equal((await refusal(b.ask("Vote", vote(2)))).code, 410, "no such option")
        equal((await refusal(b.ask("Vote", vote(0, 1)))).code, 410, "one of them")
        await a.command("ClosePoll", {"i": new_nonce(), "c": group, "g": poll})
        check((await refusal(b.ask("Vote", vote(0)))).code, "closed")


@scenario
async def anonymous_polls(world):
    """Others are told how many, in the name of who asked; the voter's devices are told what they chose."""
    anna, bob = world.user("anna"), world.user("bob")
    async with Session(world, anna) as a, Session(world, bob) as b, Session(world, bob) as phone:
        group, poll = await ask(a, b, bob, {"an": True})
        vote = lambda *options: {"i": new_nonce(), "c": group, "g": poll, "os": list(options)}
        ack = await b.command("Vote", vote(0))
        change = await a.event("Entry", lambda body: body["n"] == ack["n"])
        equal((change["k"], change["g"], change["u"], change.get("i")), (VOTE, poll, anna, None), "nothing says who")
        equal(facet(change, VOTES_FACET)["vs"], [{"n": 0, "ct": 1}], "how many")
        await a.command("Vote", vote(1))
        await b.command("Vote", vote(1))
        equal((await b.command("Vote", vote(1))).get("n", 0), 0, "so already")
        item = next(item for item in (await a.page("PageRequest", {"c": group}))["e"] if item["n"] == poll)
        equal(facet(item, VOTES_FACET)["vs"], [{"n": 1, "ct": 2}], "in the place of the one before")
        of_group = lambda choices: lambda body: (
            body["k"] == BALLOTS and body["c"] == group and unpack(body["b"])["bs"] == [{"n": poll, "os": choices}]
        )
        for device in (b, phone):
            await device.event("UserRecord", of_group([1]))
        check(all(body["k"] != BALLOTS or unpack(body["b"])["bs"][0]["os"] == [1] for kind, body in a.events if kind == "UserRecord"), "their own")


async def ask(a, b, bob, fields):
    """A group of the two, and a poll of the first in it."""
    group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Raid", "us": [bob]}))["c"]
    await b.command("Join", {"i": new_nonce(), "c": group})
    content = msgpack.packb({"q": "Where?", "os": ["mill", "harbour"], **fields})
    body = {"i": new_nonce(), "c": group, "h": {"k": POLL_KIND}, "b": content}
    return group, (await a.command("Send", body))["n"]
