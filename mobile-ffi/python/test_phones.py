"""The mobile library in Python: the same stories as in Kotlin, against the real library and the real server.

`cargo xtask mobile python` generates the module `toso`, builds what is needed and runs this.
"""

import asyncio
import gc
import itertools
import logging
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import page
import toso

from centre import Centre
from phones import Notes, Phones, eventually, record, sync, sync_until_counted

# unittest runs asyncio in its debug mode, which tells of every step that takes a tenth of a second.
logging.getLogger("asyncio").setLevel(logging.ERROR)
HERE = pathlib.Path(__file__).parent
# Communes of the list of 2022, one for each test, so that tests do not see each other.
COMMUNES = iter(
    "00058 00061 00064 00067 00070 00073 00076 00079 00082 00085 00088 00091 00094 00097 00100 00103 00106 00109 00112 00115 00118".split()
)


class Story(unittest.IsolatedAsyncioTestCase):
    """A test with a centre that all share, a commune and phones of its own."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory(prefix="toso-python")
        cls.centre = Centre(pathlib.Path(cls.root.name) / "centre")

    @classmethod
    def tearDownClass(cls):
        cls.centre.close()
        cls.root.cleanup()

    def setUp(self):
        self.commune = next(COMMUNES)
        folder = pathlib.Path(self.root.name) / self.commune
        folder.mkdir()
        self.phones = Phones(folder, self.centre, self.commune)
        self.addCleanup(self.phones.close)

    def other_centre(self):
        folder = self.phones.folder / "another"
        folder.mkdir()
        centre = Centre(folder / "centre")
        self.addCleanup(centre.close)
        return centre


class Together(Story):
    async def test_one_hamlet_recorded_twice_is_one_team_and_the_clash_is_settled(self):
        a, b = await self.phones.joined("a"), await self.phones.joined("b")
        for phone in (a, b):
            phone.network_changed(toso.NetworkKind.NONE)
        team = await record(a, "Thôn 01", 120)
        self.assertEqual(team, await record(b, "thôn 1", 135))
        leader = [toso.MemberEdit.ROLE(role=toso.Role.LEADER)]
        await a.add_member(toso.NewMember(team=team, full_name="Nguyễn Văn Thử", edits=leader))
        await b.add_member(toso.NewMember(team=team, full_name="Trần Thị Mẫu"))

        for phone in (a, b, a):
            await sync(phone)
        for phone in (a, b):
            names = sorted(member.full_name for member in phone.members(team))
            self.assertEqual(names, sorted(["Nguyễn Văn Thử", "Trần Thị Mẫu"]))
            [clash] = [conflict for conflict in phone.conflicts() if conflict.field == "households_covered"]
            self.assertEqual({value.value for value in clash.values}, {"120", "135"})

        await a.resolve(team, "households_covered", "135")
        await sync(a)
        await sync(b)
        for phone in (a, b):
            self.assertFalse([conflict for conflict in phone.conflicts() if conflict.field == "households_covered"])
            self.assertEqual(phone.team(team).households_covered, 135)
        await sync_until_counted(a, team)
        report = self.centre.report(self.commune)
        self.assertEqual((report["teams"], report["members"]), (1, 2))

    async def test_observers_fire_and_a_cancelled_one_is_silent(self):
        a, b = await self.phones.joined("a"), await self.phones.joined("b")
        team = await record(a, "Thôn 2", 10)
        await sync(a)
        await sync(b)
        kept, closed = Notes(), Notes()
        subscriptions = [a.observe(kept), a.observe(closed)]
        await b.edit_team(team, [toso.TeamEdit.NOTE(text="của máy B")])
        await sync(b)
        await sync(a)
        await eventually("both hear of it", lambda: kept.heard_of(team) and closed.heard_of(team))
        subscriptions[1].cancel()
        # A call that was under way may still come. It knows nothing of what is recorded from here on.
        after = await record(a, "Thôn 3", 1)
        await a.edit_team(team, [toso.TeamEdit.HOUSEHOLDS_COVERED(households=11)])
        await b.edit_team(team, [toso.TeamEdit.HOUSEHOLDS_COVERED(households=12)])
        await sync(b)
        await sync_until_counted(a, team)
        await eventually("the clash is told", lambda: any(e.is_CONFLICTS() and team in e.ids for e in kept.events))
        await eventually("the count is told", lambda: any(e.is_RECEIPTS() for e in kept.events))
        await eventually("the team after the end is told to the other one", lambda: kept.heard_of(after))
        self.assertFalse(closed.named(after) or any(e.is_CONFLICTS() for e in closed.events), closed.events)

    async def test_names_are_found_without_marks_and_faults_are_told_in_two_languages(self):
        phone = await self.phones.joined("a")
        team = await record(phone, "Thôn Đồng Tâm", 5)
        await phone.add_member(toso.NewMember(team=team, full_name="Nguyễn Văn Thử"))
        self.assertEqual([found.name for found in phone.search("nguyen van thu")], ["Nguyễn Văn Thử"])
        self.assertIn("Phường Ba Đình", [unit.name for unit in phone.units("ba dinh")])
        with self.assertRaises(toso.TosoError.Invalid) as wrong:
            await phone.edit_team(team, [toso.TeamEdit.ZALO_LINK(link="not a link")])
        self.assertEqual(wrong.exception.field, "zalo_link")
        texts = {toso.error_text(wrong.exception, language) for language in toso.Language}
        self.assertEqual(len(texts), 2, texts)
        self.assertIn(str(wrong.exception), texts)
        self.assertIn("ErrorInfo", repr(wrong.exception))
        with self.assertRaises(toso.TosoError.TeamExists) as exists:
            await record(phone, "thôn đồng tâm", 1)
        self.assertEqual(exists.exception.id, team)


    async def test_an_error_that_is_handed_on_speaks_to_people(self):
        phone, newcomer = await self.phones.joined("a"), await self.phones.open("b")
        team = await record(phone, "Thôn 1", 1)
        refused = [
            (toso.TosoError.NotEnrolled, lambda: record(newcomer, "Thôn 1", 1)),
            (toso.TosoError.TeamExists, lambda: record(phone, "thôn 01", 1)),
            (toso.TosoError.Invalid, lambda: phone.edit_team(team, [toso.TeamEdit.ZALO_LINK(link="not a link")])),
            (toso.TosoError.Invalid, lambda: phone.team("no id")),
            (toso.TosoError.BadInvite, lambda: toso.read_invite("https://example.vn/")),
        ]
        for kind, call in refused:
            with self.assertRaises(kind) as wrong:
                answer = call()
                if asyncio.iscoroutine(answer):
                    await answer
            error = wrong.exception
            vietnamese, english = (toso.error_text(error, of) for of in (toso.Language.VIETNAMESE, toso.Language.ENGLISH))
            print(f"python: {vietnamese} / {english}")
            self.assertEqual(str(error), toso.error_text(error, toso.language_of_this_phone()))
            self.assertNotEqual(vietnamese, english)
            self.assertNotIn("ErrorInfo", vietnamese + english)
            self.assertIn("ErrorInfo", repr(error))


class Syncing(Story):
    async def test_background_sync_keeps_its_deadline_and_says_when_there_is_no_server(self):
        centre = self.other_centre()
        phone = await self.phones.joined("a", centre)
        team = await record(phone, "Thôn 1", 1)
        self.assertEqual((await sync(phone)).sent, 1)

        await phone.edit_team(team, [toso.TeamEdit.NOTE(text="chưa gửi")])
        port = urllib.parse.urlsplit(centre.url).port
        centre.close()
        # It takes connections into its queue and never answers.
        with socket.create_server(("127.0.0.1", port)):
            late = await phone.run_background_sync(1500)
            self.assertTrue(late.end.is_DEADLINE(), late.end)
        failed = await phone.run_background_sync(20_000)
        self.assertIsInstance(failed.end.error, toso.TosoError.Offline)
        self.assertEqual(phone.status().unsent, 1)

    async def test_a_cancelled_task_ends_its_sync(self):
        centre = self.other_centre()
        phone = await self.phones.joined("a", centre)
        port = urllib.parse.urlsplit(centre.url).port
        centre.close()
        with socket.create_server(("127.0.0.1", port)) as hole:
            syncing = asyncio.create_task(phone.run_background_sync(60_000))
            connection, _ = await asyncio.to_thread(hole.accept)
            with connection:
                syncing.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await asyncio.wait_for(syncing, 5)
        await record(phone, "Thôn 1", 1)
        self.assertEqual(len(phone.teams()), 1)

    async def test_whatever_waits_for_a_network_is_back_at_once_when_cancelled_or_stopped(self):
        centre = self.other_centre()
        phone, newcomer = await self.phones.joined("a", centre), await self.phones.open("b")
        invite = centre.invite(self.commune)
        team = await record(phone, "Thôn 5", 1)
        centre.stall()
        for call in (phone.run_background_sync(60_000), phone.fetch_bundle_key(), newcomer.enrol(invite)):
            waiting = asyncio.create_task(call)
            await asyncio.sleep(0.3)
            begun = time.monotonic()
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            took = time.monotonic() - begun
            print(f"python: cancelled, back after {took * 1000:.1f} ms")
            self.assertLess(took, 10, "without, it would wait for a minute")
        stop = toso.StopSignal()
        stopped = asyncio.create_task(phone.run_background_sync(60_000, stop))
        refused = asyncio.create_task(newcomer.enrol(invite, stop))
        await asyncio.sleep(0.3)
        stop.stop()
        self.assertTrue((await stopped).end.is_STOPPED())
        with self.assertRaises(toso.TosoError.Stopped):
            await refused
        centre.wake()
        await newcomer.enrol(invite)
        await sync_until_counted(phone, team)

    async def test_a_signal_may_be_stopped_before_its_call_and_let_go_during_it(self):
        phone, newcomer = await self.phones.joined("a"), await self.phones.open("b")
        invite = self.centre.invite(self.commune)
        await record(phone, "Thôn 1", 1)
        stopped = toso.StopSignal()
        stopped.stop()
        self.assertTrue((await phone.run_background_sync(60_000, stopped)).end.is_STOPPED())
        for call in (phone.fetch_bundle_key(stop=stopped), newcomer.enrol(invite, stopped)):
            with self.assertRaises(toso.TosoError.Stopped):
                await call
        self.assertEqual(phone.status().unsent, 1)
        stop = toso.StopSignal()
        syncing = asyncio.create_task(phone.run_background_sync(30_000, stop))
        del stop, stopped, call
        await asyncio.sleep(0)
        gc.collect()
        self.assertTrue((await syncing).end.is_DONE())

    async def test_a_killed_process_keeps_what_it_had_saved(self):
        phone = await self.phones.joined("a")
        phone.shutdown()
        command = [sys.executable, "-B", HERE / "child.py", self.phones.home("a"), self.phones.key("a").hex()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            saved = list(itertools.islice(child.stdout, 10))
            child.kill()
            saved += list(child.stdout)
        self.assertEqual(child.returncode, -9)
        ids = [line.split()[1] for line in saved if line.endswith("\n")]
        phone = await self.phones.open("a")
        here = [team.id for team in phone.teams()]
        self.assertEqual([id for id in ids if id not in here], [])
        self.assertLessEqual(len(here), len(ids) + 1)
        await sync_until_counted(phone, ids[-1])
        self.assertEqual(self.centre.report(self.commune)["teams"], len(here))

    async def test_live_sync_follows_the_app(self):
        a, b = await self.phones.joined("a"), await self.phones.joined("b")
        for phone in (a, b):
            phone.start_sync()
        await eventually("both are in touch", lambda: all(p.sync_state().is_UP_TO_DATE() for p in (a, b)))
        team = await record(a, "Thôn 1", 1)
        await eventually("the other has it", lambda: [held.id for held in b.teams()] == [team])
        b.app_backgrounded()
        self.assertTrue(b.sync_state().is_STOPPED())
        b.app_foregrounded()
        await eventually("it is in touch again", lambda: b.sync_state().is_UP_TO_DATE())


class Trust(Story):
    async def test_a_wrong_key_opens_nothing_and_nothing_can_be_read(self):
        phone = await self.phones.joined("a")
        team = await record(phone, "Thôn Kín Đáo", 1)
        await phone.add_member(toso.NewMember(team=team, full_name="Nguyễn Văn Thử"))
        phone.shutdown()
        for wrong in (bytes(32), bytes(31)):
            with self.assertRaises(toso.TosoError.WrongKey):
                await self.phones.open("a", wrong)
        disk = b"".join(file.read_bytes() for file in self.phones.home("a").rglob("*") if file.is_file())
        self.assertGreater(len(disk), 1000)
        for secret in ("Nguyễn Văn Thử", "Kín Đáo", self.centre.url):
            self.assertNotIn(secret.encode(), disk)
        self.assertEqual(len((await self.phones.open("a")).members(team)), 1)

    async def test_the_key_can_be_rotated(self):
        phone = await self.phones.joined("a")
        team = await record(phone, "Thôn 1", 3)
        old, new = self.phones.key("a"), bytes(range(32))
        await phone.rotate_key(old, new)
        phone.shutdown()
        with self.assertRaises(toso.TosoError.WrongKey):
            await self.phones.open("a", old)
        self.assertEqual((await self.phones.open("a", new)).team(team).households_covered, 3)

    async def test_a_revoked_device_forgets_everything(self):
        phone = await self.phones.joined("a")
        await record(phone, "Thôn 1", 1)
        await sync(phone)
        notes = Notes()
        subscription = phone.observe(notes)
        self.centre.revoke(phone.status().device)
        done = await phone.run_background_sync(20_000)
        self.assertIsInstance(done.end.error, toso.TosoError.NotAllowed)
        await eventually("it is told", lambda: any(e.is_WIPED() and e.everything for e in notes.events))
        self.assertEqual(phone.teams(), [])
        subscription.cancel()


class Carried(Story):
    async def test_a_bundle_reaches_the_centre_and_the_receipt_comes_back(self):
        a, b = await self.phones.joined("a"), await self.phones.joined("b")
        team = await record(a, "Thôn Xa", 9)
        bundle = await a.make_bundle()
        self.assertEqual(bundle.batches, 1)
        with self.assertRaises(toso.TosoError.BadBundle):
            await b.open_bundle(bundle.bytes[:-1])
        self.assertEqual((await b.open_bundle(bundle.bytes)).batches, 1)
        await sync(b)
        await eventually("it is counted", lambda: self.centre.report(self.commune)["teams"] == 1)
        await sync(b)
        self.assertEqual(a.team(team).receipt, toso.Receipt.SAVED)
        await a.open_bundle((await b.make_bundle()).bytes)
        self.assertIn(a.team(team).receipt, (toso.Receipt.RECEIVED, toso.Receipt.COUNTED))
        # A carrier's word empties no outbox: when A meets the centre itself, it asks.
        self.assertEqual(a.status().unsent, 1)
        await sync(a)
        self.assertEqual(a.status().unsent, 0)
        self.assertEqual(self.centre.report(self.commune)["teams"], 1)

    async def test_two_phones_meet_over_a_socket(self):
        a, b = await self.phones.joined("a"), await self.phones.joined("b")
        teams = {await record(a, "Thôn A", 1), await record(b, "Thôn B", 2)}
        called = asyncio.get_running_loop().create_future()

        async def answer(reader, writer):
            called.set_result(await meet(b, toso.MeetingSide.CALLED, reader, writer))

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            pipe = await asyncio.open_connection(*server.sockets[0].getsockname())
            report = await meet(a, toso.MeetingSide.CALLER, *pipe)
            other = await asyncio.wait_for(called, 10)
        self.assertEqual(report.peer, b.status().device)
        self.assertEqual((report.given, other.given), (1, 1))
        for phone in (a, b):
            self.assertEqual({team.id for team in phone.teams()}, teams)


class Page(Story):
    """The code of the page for app developers, docs/mobile.md, which `cargo xtask mobile` puts beside the module."""

    async def test_the_first_day_reaches_the_centre_and_the_second_opens_the_team_that_is_there(self):
        folder, invite = str(self.phones.home("a")), self.centre.invite(self.commune)
        team = await page.first_day(folder, self.phones.key("a"), invite, "Thôn 1")
        self.assertEqual(await page.first_day(folder, self.phones.key("a"), invite, "thôn 01"), team)
        counted = lambda report: (report["teams"], report["members"]) == (1, 2)
        await eventually("the centre counts it", lambda: counted(self.centre.report(self.commune)))

    async def test_the_sync_ends_when_its_button_is_tapped(self):
        centre = self.other_centre()
        phone = await self.phones.joined("a", centre)
        centre.stall()
        sync = page.SyncWithAButton(phone)
        running = asyncio.create_task(sync.run())
        sync.button_tapped()
        self.assertTrue((await running).is_STOPPED())
        centre.wake()


class Texts(Story):
    """Texts that are cut in the middle of an emoji. The story: the call raised in the midst of lowering its arguments, and its
    object could never be freed again."""

    async def test_half_an_emoji_is_refused_at_its_field_and_the_phone_is_freed_all_the_same(self):
        phone = await self.opened(self.phones.home("a"))
        await phone.enrol(self.centre.invite(self.commune))
        team = await record(phone, "Thôn 1", 1)
        member = await phone.add_member(toso.NewMember(team=team, full_name="Nguyễn Văn Thử"))
        edits, new, by = toso.TeamEdit, toso.NewMember, toso.ConsentMethod.PAPER
        for half in ("\ud83d", "\ude00", "\ude00\ud83d", "\ud83d\ud83d\ude00"):
            cut = f"Thử {half}"
            refused = [
                ("hamlet", lambda: phone.add_team(toso.NewTeam(hamlet=cut))),
                ("hamlet", lambda: phone.edit_team(team, [edits.HOUSEHOLDS_COVERED(households=2), edits.HAMLET(name=cut)])),
                ("zalo_link", lambda: phone.edit_team(team, [edits.ZALO_LINK(link=f"https://zalo.me/g/{half}")])),
                ("note", lambda: phone.edit_team(team, [edits.NOTE(text=f"họp tổ\n{half}")])),
                ("full_name", lambda: phone.add_member(new(team=team, full_name=cut))),
                ("full_name", lambda: phone.edit_member(member, [toso.MemberEdit.FULL_NAME(name=cut)])),
                ("consent/text_version", lambda: phone.edit_member(member, [
                    toso.MemberEdit.CONSENT(method=by, date="24/11/2026", text_version=cut)])),
                ("hamlets/name", lambda: phone.edit_commune([toso.CommuneEdit.ADD_HAMLET(name=cut)])),
                ("unit", lambda: phone.edit_commune([toso.CommuneEdit.ADD_HAMLET(name="Thôn 2")], cut)),
                ("id", lambda: phone.fetch_device_names([cut])),
                ("unit", lambda: phone.units_below(cut)),
                ("id", lambda: phone.members(cut)),
                ("id", lambda: phone.history(cut)),
                ("full_name", lambda: toso.check_person_name(cut)),
            ]
            for field, call in refused:
                with self.assertRaises(toso.TosoError.Invalid, msg=field) as wrong:
                    answer = call()
                    if asyncio.iscoroutine(answer):
                        await answer
                self.assertEqual(wrong.exception.field, field)
            texts = {toso.error_text(wrong.exception, language) for language in toso.Language}
            self.assertEqual(len([text for text in texts if "5" in text]), 2, "it says which letter")
            with self.assertRaises(toso.TosoError.BadInvite):
                await phone.enrol(cut)
            self.assertEqual((phone.search(half), phone.units(half)), ([], []))
            self.assertIn("\ufffd", toso.message(cut, {cut: cut}, toso.Language.ENGLISH))
            toso.hamlet_key(cut)
        self.assertEqual([found.full_name for found in phone.members(team)], ["Nguyễn Văn Thử"])
        # Two halves that belong together are one emoji.
        await phone.edit_team(team, [edits.NOTE(text="cả \ud83d\ude00 lẫn chữ")])
        self.assertEqual(phone.team(team).note, "cả 😀 lẫn chữ")

        # Of a leaked handle the folder would stay open until the process ends.
        del phone, call, refused, wrong, answer
        gc.collect()
        self.assertEqual((await self.phones.open("a")).team(team).households_covered, 1)

    async def test_half_an_emoji_in_what_the_object_is_made_of_leaves_nothing_behind(self):
        with self.assertRaises(toso.TosoError.Invalid) as wrong:
            await self.opened(f"{self.phones.home('a')}\ud83d")
        self.assertEqual(wrong.exception.field, "folder")
        self.assertEqual(list(self.phones.folder.iterdir()), [], "no folder by another name")
        phone = await self.opened(self.phones.home("a"), "Máy của Thử \ud83d")
        with self.assertRaises(toso.TosoError.Invalid) as wrong:
            await phone.enrol(self.centre.invite(self.commune))
        self.assertEqual(wrong.exception.field, "device_name")
        del phone, wrong
        gc.collect()
        await self.phones.joined("a")

    async def opened(self, folder, device_name=""):
        """A phone that is closed when nobody has it any more."""
        config = toso.TosoConfig(folder=str(folder), key=self.phones.key("a"), device_name=device_name)
        return await toso.TosoClient.open(config, None)


async def meet(phone, side, reader, writer):
    """A meeting over an asyncio stream; gives what it has done."""
    session = await phone.meet(side)
    writer.writelines(session.start())
    ended = False
    while not ended and (piece := await reader.read(16 * 1024)):
        step = await session.receive(piece)
        writer.writelines(step.send)
        await writer.drain()
        ended = step.ended
    session.closed()
    writer.close()
    await writer.wait_closed()
    return session.report()


if __name__ == "__main__":
    unittest.main()
