"""Scenarios of what is said to who is online now."""

from client import new_nonce, text_of
from world import Session, check, equal, refusal, scenario


@scenario
async def transient(world):
    """It reaches who is online, on every device but the one that wrote it, and nothing of it is kept."""
    anna, bob, carl = world.user("anna"), world.user("bob"), world.user("carl")
    async with Session(world, anna) as a, Session(world, anna) as phone, Session(world, bob) as b, Session(world, carl) as c:
        group = (await a.command("CreateGroup", {"i": new_nonce(), "nm": "Raid", "us": [bob]}))["c"]
        await b.command("Join", {"i": new_nonce(), "c": group})
        before = (await a.say(group, "kept"))["n"]
        said = lambda text, **header: {key: value for key, value in a.message(group, text, **header).items() if key in "chb"}
        answer = await a.ask("SendTransient", said("now!"))
        check("c" not in answer, "done, and no number")
        for other in (b, phone):
            told = await other.event("Transient")
            equal((told["c"], told["u"], text_of(told["b"])), (group, anna, "now!"), "who, where and what")
            check(told["t"] > 0, "and when")
        await a.ask("SendTransient", said("again", s=True))
        told = await b.event("Transient", lambda body: text_of(body["b"]) == "again")
        equal(told["h"].get("s"), True, "the header goes along")
        equal((await b.page("PageRequest", {"c": group}))["e"][-1]["n"], before, "the log is as it was")
        head = next(head for head in (await b.page("HeadsRequest", {}))["h"] if head["c"] == group)
        equal(head.get("ur", 0), 1, "only what is kept is unread")
        equal((await refusal(c.ask("SendTransient", said("x")))).code, 300, "not for who is no member")
        equal((await refusal(a.ask("SendTransient", said("x", re=before)))).code, 410, "it answers nothing")
        equal((await refusal(a.ask("SendTransient", said("x", ex=9_999_999_999_999)))).code, 410, "and never ends")
        equal((await refusal(a.ask("SendTransient", said(" ")))).code, 400, "a text is a text")
        await a.command("Mute", {"i": new_nonce(), "c": group, "u": bob, "un": 9_999_999_999_999})
        equal((await refusal(b.ask("SendTransient", said("x")))).code, 311, "a muted member says nothing")
