"""What the tests play with: phones in folders of their own, and patience for what happens by itself."""

import asyncio
import pathlib
import secrets
import time

import toso

PATIENCE_SECONDS = 30


class Phones:
    """The phones of one test, in one folder, with the keys that they keep."""

    def __init__(self, folder, centre, commune):
        self.folder = pathlib.Path(folder)
        self.centre = centre
        self.commune = commune
        self._keys = {}
        self._open = []

    def home(self, name):
        return self.folder / name

    def key(self, name):
        return self._keys.setdefault(name, secrets.token_bytes(32))

    async def open(self, name, key=None):
        """Opens a phone's folder, with its own key unless another is given."""
        config = toso.TosoConfig(folder=str(self.home(name)), key=key or self.key(name), device_name="Điện thoại thử")
        phone = await toso.TosoClient.open(config, None)
        self._open.append(phone)
        return phone

    async def joined(self, name, centre=None):
        """A phone that joined as recorder of the commune while it had a network."""
        phone = await self.open(name)
        await phone.enrol((centre or self.centre).invite(self.commune))
        return phone

    def close(self):
        for phone in self._open:
            phone.shutdown()


class Notes(toso.TosoObserver):
    """An observer that writes everything down."""

    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)

    def heard_of(self, document):
        return any(event.is_DOCUMENTS() and document in event.ids for event in self.events)

    def named(self, document):
        """True when any event, of whichever kind, was about the document."""
        return any(document in getattr(event, "ids", ()) for event in self.events)


async def record(phone, hamlet, households):
    """Records a hamlet's team; gives its id."""
    edits = [toso.TeamEdit.HOUSEHOLDS_COVERED(households=households)]
    return await phone.add_team(toso.NewTeam(hamlet=hamlet, edits=edits))


async def sync(phone):
    """One bounded sync that must do all there is to do."""
    done = await phone.run_background_sync(30_000)
    assert done.end.is_DONE(), done.end
    return done


async def eventually(what, condition):
    """Waits for something that happens by itself; `condition` may be a coroutine function."""
    begun = time.monotonic()
    while True:
        fulfilled = condition()
        if asyncio.iscoroutine(fulfilled):
            fulfilled = await fulfilled
        if fulfilled:
            return
        if time.monotonic() - begun > PATIENCE_SECONDS:
            raise AssertionError(f"it did not happen within {PATIENCE_SECONDS} s: {what}")
        await asyncio.sleep(0.02)


async def sync_until_counted(phone, team):
    """Syncs until the centre has counted a team."""

    async def counted():
        await sync(phone)
        return phone.team(team).receipt == toso.Receipt.COUNTED

    await eventually(f"the centre counts {team}", counted)
