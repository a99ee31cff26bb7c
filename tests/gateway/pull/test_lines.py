"""The lines of one file: each comes once and whole, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from gateway.pull.connection import ComeBackLater
from gateway.pull.inflate import Limits, TooLarge
from gateway.pull.lines import TOO_LARGE, Mark, lines_of
from gateway.pull.passwords import StaticBearer
from gateway.pull.split import Splitter
from gateway.pull.wire import Patience
from security.errors import Denied, NotFhir, Refused, Unreachable
from tests.gateway.pull.file_server import Answer, file_server

LINES = [f'{{"resourceType":"Patient","id":"{number:05}"}}'.encode() for number in range(5000)]
CONTENT = b"".join(line + b"\n" for line in LINES)


@pytest.fixture
def files():
    with file_server(CONTENT) as found:
        yield found


@pytest.fixture
def read(files, connect):
    """Read the file; return the lines, and the batches that they came in."""

    async def all_of(mark=None, auth=None, patience=None, **given):
        connection = connect(auth, base=f"{files.url}/fhir", patience=patience)
        told = connection.told(f"{files.url}/files/1.ndjson")
        given = {"with_token": auth is not None, "most_lines": 100, **given}
        batches = [batch async for batch in lines_of(connection, told, mark, **given)]
        return [line for batch in batches for line in batch.lines], batches

    return all_of


async def test_all_lines_come_in_order_with_their_numbers(files, read):
    lines, batches = await read()
    assert lines == LINES
    assert len(batches) > 2
    assert [batch.first for batch in batches] == [
        1 + sum(len(b.lines) for b in batches[:n]) for n in range(len(batches))
    ]
    mark = batches[-1].mark
    assert (mark.bytes_done, mark.lines_done, mark.etag) == (len(CONTENT), len(LINES), '"1"')
    assert "Patient" not in repr(batches[0])


async def test_after_a_break_the_rest_is_asked_for_and_no_byte_twice(files, read):
    files.breaks = [100_000, 50_000]
    lines, batches = await read()
    assert lines == LINES
    first, second, third = files.asked
    assert "range" not in first
    assert second["if-range"] == third["if-range"] == '"1"'
    assert second["accept-encoding"] == "identity"
    starts = [int(asked["range"].removeprefix("bytes=").rstrip("-")) for asked in (second, third)]
    assert all(CONTENT[start - 1 : start] == b"\n" for start in starts)
    assert 99_900 < starts[0] <= 100_000
    assert 149_800 < starts[1] <= 150_000
    assert not any(batch.started_over for batch in batches)


async def test_every_mark_is_a_place_to_go_on_from_in_another_process(files, read):
    _, batches = await read()
    for batch in (batches[0], batches[1], batches[-1]):
        mark = msgspec.json.decode(msgspec.json.encode(batch.mark), type=Mark)
        lines, rest = await read(mark)
        assert lines == LINES[mark.lines_done :]
        assert [b.first for b in rest[:1]] == [mark.lines_done + 1][: len(rest)]


async def test_a_date_will_do_where_the_etag_is_weak(files, read):
    files.etag = 'W/"1"'
    files.breaks = [100_000]
    assert (await read())[0] == LINES
    assert files.asked[1]["if-range"] == files.last_modified


@pytest.mark.parametrize("habit", ["no ranges", "no validators", "weak alone", "packed"])
async def test_a_server_that_sends_the_whole_again_is_read_up_to_where_we_were(files, read, habit):
    files.ranges = habit != "no ranges"
    files.packs = habit == "packed"
    if habit in ("no validators", "weak alone"):
        files.etag, files.last_modified = 'W/"1"' if habit == "weak alone" else "", ""
    files.breaks = [3_000 if files.packs else 100_000, 5_000 if files.packs else 120_000]
    lines, batches = await read()
    assert lines == LINES
    assert not any(batch.started_over for batch in batches)


async def test_a_file_that_is_another_one_now_is_started_over_and_that_is_said(files, read):
    files.breaks = [100_000]
    changed = [line.replace(b"Patient", b"Person ") for line in LINES]
    seen = []

    def instead(number):
        if number == 2:
            files.content, files.etag = b"".join(line + b"\n" for line in changed), '"2"'

    files.instead = instead
    lines, batches = await read()
    assert lines[-len(changed) :] == changed
    assert lines[: -len(changed)] == LINES[: len(lines) - len(changed)]
    [seen] = [batch for batch in batches if batch.started_over]
    assert seen.first == 1
    assert batches[-1].mark.etag == '"2"'


@pytest.mark.parametrize("change", ["shorter", "other bytes"])
async def test_without_validators_the_bytes_tell_that_it_is_another_file(files, read, change):
    files.etag = files.last_modified = ""
    _, batches = await read()
    mark = batches[1].mark
    files.content = CONTENT[: mark.bytes_done // 2 - 20] if change == "shorter" else CONTENT.replace(b"00007", b"x0007")
    lines, batches = await read(mark)
    assert batches[0].started_over
    assert b"".join(line + b"\n" for line in lines).startswith(files.content[:1000])


async def test_a_file_that_is_another_one_each_time_is_given_up(files, read):
    files.etag = files.last_modified = ""
    files.breaks = [100_000 + n for n in range(99)]

    def instead(number):
        files.content = CONTENT.replace(b"00000", f"{number:05}".encode(), 1)

    files.instead = instead
    with pytest.raises(Unreachable):
        await read(patience=Patience(tries=3))
    assert len(files.asked) < 20


async def test_a_mark_at_the_very_end_asks_and_gets_nothing(files, read):
    _, batches = await read()
    lines, again = await read(batches[-1].mark)
    assert (lines, again) == ([], [])
    assert files.asked[-1]["range"] == f"bytes={len(CONTENT)}-"


@pytest.mark.parametrize(
    "told", [{}, {"Content-Range": "bytes */7"}, {"Content-Range": "nonsense"}], ids=["unsaid", "shorter", "nonsense"]
)
async def test_a_416_that_is_not_about_the_end_has_the_whole_read(files, read, told):
    _, batches = await read()
    before = len(files.asked)
    files.instead = lambda number: Answer(416, told, b"") if number == before + 1 else None
    assert (await read(batches[0].mark))[0] == LINES[batches[0].mark.lines_done :]
    assert "range" not in files.asked[-1]


@pytest.mark.parametrize(
    "told",
    [
        {"Content-Range": "bytes 5-9/99"},
        {},
        {"Content-Range": "bytes {start}-9/99", "Content-Encoding": "gzip"},
    ],
    ids=["another part", "unsaid", "packed"],
)
async def test_a_part_that_we_did_not_ask_for_is_not_taken(files, read, told):
    _, batches = await read()
    mark, before = batches[0].mark, len(files.asked)
    told = {name: value.format(start=mark.bytes_done) for name, value in told.items()}
    stray = b'{"stray":1}\n'
    stray = gzip.compress(stray) if "Content-Encoding" in told else stray
    files.instead = lambda number: Answer(206, told, stray) if number == before + 1 else None
    assert (await read(mark))[0] == LINES[mark.lines_done :]


async def test_a_part_of_another_file_starts_the_file_over(files, read):
    _, batches = await read()
    mark, before = batches[0].mark, len(files.asked)
    told = {"Content-Range": f"bytes {mark.bytes_done}-9/99", "ETag": '"other"'}
    files.instead = lambda number: Answer(206, told, b'{"stray":1}\n') if number == before + 1 else None
    lines, batches = await read(mark)
    assert lines == LINES
    assert batches[0].started_over


async def test_a_packed_answer_is_unpacked(files, read):
    files.packs = True
    assert (await read())[0] == LINES
    assert (await read(packed=False))[0] == LINES
    assert [asked["accept-encoding"] for asked in files.asked] == ["gzip, deflate", "identity"]


@pytest.mark.parametrize("breaks", [[], [3_000, 5_000]], ids=["whole", "broken"])
async def test_a_file_that_is_gzip_itself_is_unpacked_though_nothing_says_so(files, read, breaks):
    files.content = gzip.compress(CONTENT, 1)
    files.breaks = breaks
    lines, batches = await read()
    assert lines == LINES
    assert batches[-1].mark.bytes_done == len(CONTENT)
    assert not any("range" in asked for asked in files.asked)  # a place in the lines is no place in such a file
    mark = batches[1].mark
    assert (await read(mark))[0] == LINES[mark.lines_done :]


async def test_gzip_in_gzip_is_unpacked_and_a_bomb_is_not(files, read):
    files.packs = True
    files.content = gzip.compress(CONTENT)
    assert (await read())[0] == LINES
    files.content = gzip.compress(bytes(50 << 20))
    with pytest.raises(TooLarge):
        await read()


async def test_more_than_we_take_of_a_file_is_told(read):
    with pytest.raises(TooLarge):
        await read(limits=Limits(raw_bytes=1000))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n", []),
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b'\xef\xbb\xbf{"a":1}', [b'{"a":1}']),
        (b'\n  \n{"a":1}\n\t\n\n{"b":2} \n', [b'{"a":1}', b'{"b":2}']),
    ],
)
async def test_ends_of_lines_marks_and_blank_lines_are_no_part_of_it(files, read, content, expected):
    files.content = content
    lines, batches = await read()
    assert lines == expected
    assert not any(batch.is_cut for batch in batches)
    if batches:
        assert batches[-1].mark.bytes_done == len(content)
        assert batches[-1].mark.lines_done == len(expected)


async def test_a_line_that_is_too_long_costs_itself_only_and_keeps_its_number(files, read):
    lines = [*LINES[:300], b'{"long":"' + b"x" * 300_000 + b'"}', *LINES[300:], b'{"long":"' + b"y" * 200_000 + b'"}']
    files.content = b"\n".join(lines)
    got, batches = await read(line_bytes=100_000)
    assert got == [*LINES[:300], TOO_LARGE, *LINES[300:], TOO_LARGE]
    assert batches[-1].mark.lines_done == len(lines)
    assert batches[-1].mark.bytes_done == len(files.content)
    files.breaks = [200_000, 250_000]  # in the middle of the long one
    assert (await read(line_bytes=100_000))[0] == got


async def test_a_line_that_ends_within_its_piece_may_be_too_long_as_well(files, read):
    files.content = b'{"a":1}\n{"long":"xxxxxxxxxxxx"}\n{"b":2}\n'
    assert (await read(line_bytes=10))[0] == [b'{"a":1}', TOO_LARGE, b'{"b":2}']


async def test_a_file_that_ends_inside_a_line_is_asked_for_again_and_then_told(files, read):
    cut = Answer(200, {}, CONTENT[:100_010], told=-1)  # no length: the end of the connection is the end of the file
    files.instead = lambda number: cut if number == 1 else None
    assert (await read())[0] == LINES
    files.instead = lambda number: cut
    lines, batches = await read()
    whole, rest = CONTENT[:100_010].rsplit(b"\n", 1)
    assert lines == [*whole.split(b"\n"), rest]
    assert [batch.is_cut for batch in batches[-2:]] == [False, True]


async def test_less_than_was_told_is_a_break(files, read):
    short = Answer(200, {"ETag": '"1"'}, CONTENT[:100_000], told=len(CONTENT))
    files.instead = lambda number: short if number == 1 else None
    assert (await read())[0] == LINES


async def test_breaks_go_on_as_long_as_something_comes(files, read):
    files.breaks = [20_000] * 8
    assert (await read(patience=Patience(tries=2), most_lines=1_000_000))[0] == LINES


async def test_and_end_where_nothing_does_with_the_last_mark_still_good(files, connect):
    files.breaks = [100_000, *([0] * 9)]
    connection = connect(base=f"{files.url}/fhir", patience=Patience(tries=3))
    told = connection.told(f"{files.url}/files/1.ndjson")
    batches = []

    async def read_on(mark):
        async for batch in lines_of(connection, told, mark, with_token=False):
            batches.append(batch)

    with pytest.raises(Unreachable):
        await read_on(None)
    assert len(files.asked) == 4
    files.breaks = []
    await read_on(batches[-1].mark)
    assert [line for batch in batches for line in batch.lines] == LINES


async def test_a_pause_that_the_server_asks_for_is_kept(files, read, clock):
    files.instead = lambda number: Answer(503, {"Retry-After": "30"}, b"") if number == 1 else None
    assert (await read())[0] == LINES
    assert clock.slept[0] >= 30
    files.instead = lambda number: Answer(429, {"Retry-After": "7200"}, b"")
    with pytest.raises(ComeBackLater) as caught:
        await read()
    assert caught.value.seconds == 7200


async def test_a_file_waits_for_a_server_that_is_left_alone(files, connect, clock):
    connection = connect(base=f"{files.url}/fhir")
    told = connection.told(f"{files.url}/files/1.ndjson")
    for target in ("Patient", "Observation") * 4:
        connection.breaker.failed(target)
    batches = [batch async for batch in lines_of(connection, told, with_token=False)]
    assert [line for batch in batches for line in batch.lines] == LINES
    assert clock.slept[0] >= 30


@pytest.mark.parametrize(("status", "fault"), [(401, Denied), (403, Denied), (404, Refused), (410, Refused)])
async def test_a_refusal_is_told_as_that_at_once(files, read, status, fault):
    files.instead = lambda number: Answer(status, {}, b"no")
    with pytest.raises(fault):
        await read()
    assert len(files.asked) == 1


async def test_a_server_that_sends_parts_whatever_it_is_asked_is_not_asked_for_ever(ehr, connect):
    part = Response(b"{}\n", 206, headers={"Content-Range": "bytes 0-2/9"})
    ehr.hooks.append(lambda request: part if len(ehr.asked) < 99 else Response(b""))
    connection = connect(patience=Patience(tries=3))
    with pytest.raises(Unreachable, match="a part of a file"):
        assert not [batch async for batch in lines_of(connection, connection.told("file/1"), with_token=False)]
    assert len(ehr.asked) == 4


async def test_a_web_page_instead_of_a_file_is_asked_for_again_and_then_told(files, read):
    page = Answer(200, {"Content-Type": "text/html"}, b"<html>Please sign in</html>")
    files.instead = lambda number: page if number == 1 else None
    assert (await read())[0] == LINES
    files.instead = lambda number: page._replace(headers={})
    with pytest.raises(NotFhir, match="web page"):
        await read()


async def test_the_token_is_sent_where_it_is_asked_for(files, read):
    await read(auth=StaticBearer("canary"))
    await read(auth=StaticBearer("canary"), with_token=False)
    assert [asked.get("authorization") for asked in files.asked] == ["Bearer canary", None]


async def test_memory_does_not_grow_with_the_file(files, connect):
    files.content = CONTENT * 200  # 42 MB
    connection = connect(base=f"{files.url}/fhir")
    told = connection.told(f"{files.url}/files/1.ndjson")
    tracemalloc.start()
    count = 0
    async for batch in lines_of(connection, told, with_token=False):
        count += len(batch.lines)
        if count > 20_000:
            break
    first = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first < 8 << 20
    assert files.asked


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b" ").replace(b"\r", b"-")), max_size=12),
    size=st.integers(1, 30),
    most=st.integers(1, 50),
    end=st.sampled_from([b"\n", b"\r\n"]),
    is_ended=st.booleans(),
)
def test_lines_do_not_depend_on_how_the_bytes_come(lines, size, most, end, is_ended):
    content = end.join(lines) + (end if is_ended else b"")
    expected = [line.strip() for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    expected = [line if len(line) <= most else TOO_LARGE for line in expected if line]
    splitter, got = Splitter(most), []
    for start in range(0, len(content), size):
        got += splitter.feed(content[start : start + size])
    got += splitter.end()
    at_once = Splitter(10**9)
    at_once.feed(content)
    at_once.end()
    assert splitter.bytes_done == len(content)
    assert splitter.lines_done == len(got) == len(expected)
    assert splitter.digest == at_once.digest
    # a line that is as long as may be with its white space may count as too long
    assert all(a == b or (a == TOO_LARGE and len(b) > most - 4) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_breaks_in_whatever_order_each_line_comes_once(files, connect, seed):
    dice = random.Random(seed)  # noqa: S311 - a test that repeats itself
    files.ranges, files.packs = dice.random() < 0.6, dice.random() < 0.5
    files.etag = dice.choice(['"1"', 'W/"1"', ""])
    files.last_modified = dice.choice([files.last_modified, ""])
    files.breaks = [dice.choice([None, dice.randrange(60_000), dice.randrange(200_000)]) for _ in range(6)] + [None]
    got, mark = [], Mark()
    for _ in range(8):  # each round is another process: it is killed between two batches
        connection = connect(base=f"{files.url}/fhir", patience=Patience(tries=9))
        told = connection.told(f"{files.url}/files/1.ndjson")
        left = dice.randrange(1, 12)
        batches = lines_of(connection, told, mark, with_token=False, most_lines=dice.choice([1, 100, 1000]))
        async for batch in batches:
            got += batch.lines
            mark = batch.mark
            left -= 1
            if not left:
                break
        await batches.aclose()
    async for batch in lines_of(connection, told, mark, with_token=False):
        got += batch.lines
    assert got == LINES
    await asyncio.sleep(0)
