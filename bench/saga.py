#!/usr/bin/python3
"""What bench/saga measures: saga.py CONNINFO SQLITE-FILE RUNS ROWS ROUNDS."""
import glob
import json
import random
import re
import sqlite3
import statistics
import sys
import time

import psycopg
from psycopg.types.json import Jsonb

conninfo, path, runs, rows, rounds = sys.argv[1:4] + [int(value) for value in sys.argv[4:6]]
random.seed(20251201)
AT_ONCE = 10000
SINGLES, BATCHES = 500, 5

db = psycopg.connect(conninfo, autocommit=True)
fts = sqlite3.connect(path, isolation_level=None)


def texts():
    """Lines that agents wrote and saw, in the order of each text."""
    for name in sorted(glob.glob(runs + "/*.traj")):
        with open(name, encoding="utf-8") as file:
            run = json.load(file)
        said = [m["content"] for m in run.get("history", [])] + [s.get("observation") for s in run.get("trajectory", [])]
        for text in said:
            lines = [line for line in text.split("\n") if line.strip()] if isinstance(text, str) else []
            if lines:
                yield lines


def make_message(sources):
    """Some lines of a text from somewhere on, with a word that few other messages have."""
    lines = random.choice(sources)
    start = random.randrange(len(lines))
    return "\n".join(lines[start:start + random.randint(1, 12)]).replace("\0", "") + "\nrun%d" % random.randrange(rows)


def escape(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def copy(messages, prefix):
    """COPY of (number, content), with ids that begin with prefix."""
    with db.cursor().copy("COPY amelia_saga.messages (id, provider, role, content, tags, session_id) FROM STDIN") as stream:
        stream.write("".join("%s%d\tp\tuser\t%s\t[]\ts%d\n" % (prefix, n, escape(text), n // 20) for n, text in messages))


def fill():
    sources = list(texts())
    fts.execute("PRAGMA journal_mode = wal")
    fts.execute("PRAGMA cache_size = -1000000")
    fts.execute("CREATE VIRTUAL TABLE messages_fts USING fts5(id UNINDEXED, content, tags)")
    for first in range(0, rows, AT_ONCE):
        batch = [(n, make_message(sources)) for n in range(first, min(first + AT_ONCE, rows))]
        fts.execute("BEGIN")
        fts.executemany("INSERT INTO messages_fts (id, content, tags) VALUES (?, ?, '')", (("m%d" % n, text) for n, text in batch))
        fts.execute("COMMIT")
        copy(batch, "m")
    fts.execute("INSERT INTO messages_fts (messages_fts) VALUES ('optimize')")
    db.execute("VACUUM ANALYZE amelia_saga.messages")
    return sources


def words_of(text):
    return re.findall(r"[A-Za-z]{3,}", text)


def make_queries(sources):
    """Ten of each kind, of words in messages like those that are searched."""
    seen = {}
    sample = [make_message(sources) for _ in range(2000)]
    for text in sample:
        for word in set(word.lower() for word in words_of(text)):
            seen[word] = seen.get(word, 0) + 1
    by_share = sorted(seen, key=lambda word: -seen[word])
    common = by_share[:10]
    rare = random.sample(by_share[len(by_share) * 3 // 4:], 10)
    middle = by_share[10:len(by_share) // 4]
    phrases = []
    while len(phrases) < 10:
        found = re.findall(r"(?=\b([a-z]{3,} [a-z]{3,} [a-z]{3,})\b)", random.choice(sample))
        if found:
            phrases.append('"%s"' % random.choice(found))
    return {
        "rare word": rare,
        "common word": common,
        "phrase of three": phrases,
        "prefix": [word[:4] + "*" for word in random.sample([word for word in middle if len(word) > 4], 10)],
        "AND of three": [" AND ".join(random.sample(middle[:60], 3)) for _ in range(10)],
    }


def timed(function, *arguments):
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def ask_fts(query):
    return fts.execute("SELECT id, content, rank, snippet(messages_fts, 1, '**', '**', '…', 32) FROM messages_fts"
                       " WHERE messages_fts MATCH ? ORDER BY rank LIMIT 50", (query,)).fetchall()


def ask_postgres(query):
    return db.execute("SELECT id, content, rank, snippet FROM amelia_saga.search_messages(%s)", (query,), prepare=True).fetchall()


def ratio(name, ours, theirs, of_rate=False):
    """A line: medians, and the ratio of each turn with median, minimum and maximum."""
    ratios = sorted(b / a if of_rate else a / b for a, b in zip(ours, theirs))
    print("| %s | %.2f ms | %.2f ms | %.2f (%.2f–%.2f) |" % (name, 1000 * statistics.median(ours), 1000 * statistics.median(theirs),
                                                         statistics.median(ratios), ratios[0], ratios[-1]), flush=True)


def search(queries):
    print("| query, the 50 best with rank and snippet | amelia_saga | FTS5 | × FTS5 |\n|---|---|---|---|")
    for kind, asked in queries.items():
        ours, theirs, overlap, found = [], [], [], []
        for query in asked:
            ask_postgres(query), ask_fts(query)
        for turn in range(rounds):
            for query in asked:
                pair = [(ours, ask_postgres), (theirs, ask_fts)]
                for times, ask in pair if turn % 2 else reversed(pair):
                    times.append(timed(ask, query)[0])
        for query in asked:
            best = [row[0] for row in ask_fts(query)][:10]
            overlap.append(len(set(best) & set(row[0] for row in ask_postgres(query))) / max(len(best), 1))
            found.append(fts.execute("SELECT count(*) FROM messages_fts WHERE messages_fts MATCH ?", (query,)).fetchone()[0])
        ratio("%s (%d to %d rows)" % (kind, min(found), max(found)), ours, theirs)
        print("  %s: of FTS5's ten best %.0f %% are among the 50" % (kind, 100 * statistics.mean(overlap)), file=sys.stderr)


def save(sources):
    insert = ("INSERT INTO amelia_saga.messages (id, provider, role, content, tags, session_id) VALUES (%s, 'p', 'user', %s, '[]', 's')")
    function = "SELECT amelia_saga.save_message('p', 'user', %s, session_id => 's', id => %s)"
    by_insert, by_function, by_copy, by_batch = [], [], [], []
    number = 0
    for turn in range(rounds * 2):
        def singles(statement, swap):
            nonlocal number
            for _ in range(SINGLES):
                number += 1
                values = ("x%d" % number, contents[number % len(contents)])
                db.execute(statement, values[::-1] if swap else values, prepare=True)

        contents = [make_message(sources) for _ in range(SINGLES)]
        pair = [(by_insert, insert, False), (by_function, function, True)]
        for times, statement, swap in pair if turn % 2 else reversed(pair):
            times.append(timed(singles, statement, swap)[0] / SINGLES)
    for turn in range(rounds * 2):
        contents = [make_message(sources) for _ in range(1000)]

        def copies():
            nonlocal number
            for _ in range(BATCHES):
                number += 1000
                copy(enumerate(contents, number), "y")

        def batches():
            nonlocal number
            for _ in range(BATCHES):
                number += 1000
                db.execute("SELECT amelia_saga.save_messages(%s)", (Jsonb([
                    {"id": "z%d" % n, "provider": "p", "role": "user", "content": text, "session_id": "s%d" % (n // 20)}
                    for n, text in enumerate(contents, number)]),), prepare=True)

        pair = [(by_copy, copies), (by_batch, batches)]
        for times, function_ in pair if turn % 2 else reversed(pair):
            times.append(timed(function_)[0] / BATCHES)
    print("\n| saving | amelia_saga | against | of its rate |\n|---|---|---|---|")
    ratio("one by one, against INSERT", by_function, by_insert, True)
    ratio("1,000 at once, against COPY", by_batch, by_copy, True)


db.execute("CREATE EXTENSION amelia_saga CASCADE")
took, made = timed(fill)
print("%d messages, filled and analyzed in %.0f s; messages %s, FTS5 %.0f MB" % (
    rows, took, db.execute("SELECT pg_size_pretty(pg_total_relation_size('amelia_saga.messages'))").fetchone()[0],
    fts.execute("PRAGMA page_count").fetchone()[0] * fts.execute("PRAGMA page_size").fetchone()[0] / 1e6), flush=True)
search(make_queries(made))
save(made)
