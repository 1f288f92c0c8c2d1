// SPDX-License-Identifier: Apache-2.0
//
// Sites in a row that share column rows and documents: what is written at one end is at the other, live clients
// included, and everything is equal everywhere.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client, plain, withoutEmpty } from "./lib/loro_client.mjs";
import {
  converged,
  convergeMs,
  laterSchema,
  linked,
  startChain,
  startSite,
} from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const timeout = 2 * convergeMs;
const insertService =
  "INSERT INTO service (node, name, port, healthy) VALUES (?, ?, ?, ?)";

test(
  "a chain of three: column rows of both ends are everywhere",
  { timeout },
  async (t) => {
    const sites = await startChain(t, 3);
    const [first, , last] = sites;
    for (const site of [first, last]) {
      for (let i = 0; i < 25; i += 1) {
        const { rows_changed, version } = await site.transact([
          [insertService, [site.name, `s${i}`, 8000 + i, true]],
          [insertService, [site.name, `t${i}`, null, 0]],
        ]);
        assert.deepEqual(rows_changed, [1, 1]);
        assert.ok(version > 0);
      }
    }
    let { dump } = await converged(sites);
    assert.deepEqual(await last.select("SELECT count(*) FROM service"), [
      [100],
    ]);

    // Different columns of one row at both ends at once: both survive. The same column: one of the two, everywhere.
    await Promise.all([
      first.transact([
        [
          "UPDATE service SET port = 1 WHERE node = ? AND name = 's0'",
          [last.name],
        ],
        [
          "UPDATE service SET port = 10 WHERE node = ? AND name = 's1'",
          [last.name],
        ],
        ["DELETE FROM service WHERE node = ? AND name = 's2'", [last.name]],
      ]),
      last.transact([
        [
          "UPDATE service SET healthy = 7 WHERE node = ? AND name = 's0'",
          [last.name],
        ],
        [
          "UPDATE service SET port = 20 WHERE node = ? AND name = 's1'",
          [last.name],
        ],
      ]),
    ]);
    ({ dump } = await converged(sites));
    const row = async (name) =>
      (
        await first.select(
          "SELECT port, healthy FROM service WHERE node = ? AND name = ?",
          [last.name, name],
        )
      )[0];
    assert.deepEqual(await row("s0"), [1, 7]);
    assert.ok([10, 20].includes((await row("s1"))[0]), dump);
    assert.equal(await row("s2"), undefined);

    // A refused transaction leaves nothing, here or elsewhere.
    await assert.rejects(
      first.transact([
        [insertService, ["x", "half", 1, 1]],
        [insertService, [last.name, "s0", 1, 1]],
      ]),
      /HTTP 409/,
    );
    await first.transact([[insertService, ["x", "whole", 1, 1]]]);
    ({ dump } = await converged(sites));
    assert.ok(dump.includes('"whole"') && !dump.includes('"half"'));
  },
);

test(
  "a chain of three: documents are edited at both ends, and a live client sees the other's typing",
  { timeout },
  async (t) => {
    const sites = await startChain(t, 3);
    const [first, middle, last] = sites;
    const left = await new Client(first).join("note", "shared");
    const right = await new Client(last).join("note", "shared");
    const typed = "typing, one key at a time";
    for (let i = 0; i < typed.length; i += 1) {
      left.getText("body").insert(i, typed[i]);
      left.commit();
      await waitFor(
        `the other end shows ${i + 1} keys`,
        () => right.getText("body").toString() === typed.slice(0, i + 1),
        { timeoutMs: convergeMs, everyMs: 1 },
      );
    }

    // Both at once, without waiting.
    for (let i = 0; i < 50; i += 1) {
      left.getText("body").insert(0, "<");
      left.getCounter("votes").increment(1);
      left.commit();
      right.getText("body").insert(right.getText("body").length, ">");
      right.getCounter("votes").increment(2);
      right.getMap("row").set("title", `t${i}`);
      right.commit();
    }
    const same = () => left.version().compare(right.version()) === 0;
    await waitFor("both ends have the same version", same, {
      timeoutMs: convergeMs,
    });
    assert.deepEqual(plain(left), plain(right));
    assert.equal(left.getCounter("votes").value, 150);
    assert.equal(left.getText("body").length, typed.length + 100);
    await converged(sites);
    const expected = withoutEmpty({
      id: "shared",
      title: "t49",
      body: left.getText("body").toString(),
      votes: 150,
    });
    for (const site of sites)
      await waitFor(
        `${site.name} shows the row`,
        async () => {
          assert.deepEqual(
            withoutEmpty(await site.row("note", "shared")),
            expected,
          );
          return true;
        },
        { timeoutMs: convergeMs },
      );

    // A client that comes to the middle site, where nobody has ever joined.
    const late = await new Client(middle).join("note", "shared");
    assert.deepEqual(plain(late), plain(left));
  },
);

test(
  "a site that was away gets what it missed, rows and documents",
  { timeout },
  async (t) => {
    const [first, second] = await startChain(t, 2);
    await linked(second, first);
    await second.stop();
    const doc = await new Client(first).join("note", "n");
    for (let i = 0; i < 100; i += 1) {
      doc.getText("body").insert(0, `${i} `);
      doc.commit();
      await first.transact([
        ["INSERT INTO tests VALUES (?, ?)", [i, `text ${i}`]],
      ]);
    }
    await waitFor("the document is stored", async () => {
      const row = await first.row("note", "n");
      return row?.body === doc.getText("body").toString();
    });
    await second.start();
    await converged([first, second]);
    await waitFor(
      "the document is there",
      async () =>
        (await second.row("note", "n"))?.body ===
        doc.getText("body").toString(),
      { timeoutMs: convergeMs },
    );

    // And the other way round: the one that is away, without a word, is the one that is dialed.
    await linked(second, first);
    await first.kill();
    await second.transact([["INSERT INTO tests VALUES (1000, 'meanwhile')"]]);
    await first.start();
    await converged([first, second]);
    await linked(second, first);
  },
);

test(
  "a database from before replication is published as a whole, and goes on",
  { timeout },
  async (t) => {
    const first = await startSite(t, { name: "first", peerHost: null });
    assert.equal((await first.status()).replication, null);
    const client = new Client(first);
    const doc = await client.join("note", "n");
    doc.getText("body").insert(0, "older than replication");
    doc.commit();
    const { version } = await first.transact([
      ["INSERT INTO tests VALUES (1, 'older')"],
      ["INSERT INTO tests VALUES (2, 'older')"],
    ]);
    assert.equal(version, 0);
    await waitFor(
      "the document is stored",
      async () => (await first.row("note", "n"))?.body?.length > 0,
    );
    await first.stop();
    first.peerHost = "127.0.0.1";
    await first.start();
    const second = await startSite(t, { name: "second", peers: [first] });
    await first.transact([["UPDATE tests SET text = 'newer' WHERE id = 2"]]);
    const { dump } = await converged([first, second]);
    assert.ok(dump.includes("older") && dump.includes("newer"), dump);
    const there = await new Client(second).join("note", "n");
    await waitFor(
      "the document is there",
      () => there.getText("body").toString() === "older than replication",
      { timeoutMs: convergeMs },
    );
    there.getText("body").insert(0, "not any more ");
    there.commit();
    await waitFor(
      "the edit is here",
      () => doc.getText("body").toString().startsWith("not any more "),
      { timeoutMs: convergeMs },
    );
  },
);

test(
  "a schema that comes later at one site: nothing is lost, and others get it through that site",
  { timeout },
  async (t) => {
    const first = await startSite(t, { name: "new", schema: laterSchema });
    const behind = await startSite(t, { name: "old", peers: [first] });
    const last = await startSite(t, {
      name: "new behind old",
      schema: laterSchema,
      peers: [behind],
    });
    await first.transact([
      [
        "INSERT INTO service (node, name, port, region) VALUES ('n', 'a', 1, 'ams')",
      ],
      ["INSERT INTO job VALUES ('j1', 'queued')"],
      ["INSERT INTO tests VALUES (1, 'known everywhere')"],
    ]);
    await first.transact([["INSERT INTO job VALUES ('j2', 'queued')"]]);
    await first.transact([["UPDATE job SET state = 'done' WHERE id = 'j1'"]]);
    const all = ["service", "job", "tests"];
    await converged([first, last], { tables: all });
    await converged([first, behind], { tables: ["tests"] });
    assert.deepEqual(
      await behind.select("SELECT node, name, port, healthy FROM service"),
      [["n", "a", 1, null]],
    );

    // What it wrote meanwhile with its old schema, in the row that it knows in part.
    await behind.transact([["UPDATE service SET port = 2 WHERE node = 'n'"]]);
    await behind.stop();
    behind.schema = laterSchema;
    await behind.start();
    await converged([first, behind, last], { tables: all });
    assert.deepEqual(await behind.select("SELECT port, region FROM service"), [
      [2, "ams"],
    ]);
    assert.deepEqual(await behind.select("SELECT * FROM job ORDER BY id"), [
      ["j1", "done"],
      ["j2", "queued"],
    ]);
  },
);

test(
  "what was deleted is forgotten once both sites have said that they know, and stays away",
  { timeout },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "merrow-tombstones-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const config = join(directory, "merrow.toml");
    await writeFile(config, "[replication]\ntombstone_keep_ms = 0\n");
    const sites = await startChain(t, 2, { args: ["--config", config] });
    const [first, second] = sites;
    await first.transact([
      ["INSERT INTO tests VALUES (1, 'a'), (2, 'b'), (3, 'c')"],
    ]);
    await second.transact([["INSERT INTO tests VALUES (4, 'd')"]]);
    await converged(sites);
    await second.stop();
    await first.transact([["DELETE FROM tests WHERE id < 4"]]);
    assert.equal((await first.status()).store.tombstones_collected, 0);
    await second.start();
    for (const site of sites)
      await waitFor(
        `${site.name} has forgotten the rows`,
        async () => {
          const { store } = await site.status();
          assert.deepEqual(
            [store.tombstones, store.tombstones_collected],
            [0, 3],
          );
          return true;
        },
        { timeoutMs: convergeMs },
      );
    await second.stop();
    await second.start();
    await converged(sites);
    assert.deepEqual(await second.select("SELECT id FROM tests"), [[4]]);
  },
);
