// SPDX-License-Identifier: Apache-2.0
//
// A site that is started from an old copy of its database file: it has forgotten transactions that others know, and
// writes new ones under the same versions. It takes a new identity, gets back what it forgot, and nothing is mixed up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Client } from "./lib/loro_client.mjs";
import { converged, convergeMs, linked, startSite } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const timeout = 2 * convergeMs;
const insert = (id, text) => [["INSERT INTO tests VALUES (?, ?)", [id, text]]];

// All files of the database, from or to a folder beside it.
async function copyDatabase(from, to) {
  const name = basename(from);
  for (const file of await readdir(dirname(to)))
    if (file.startsWith(basename(to))) await rm(join(dirname(to), file));
  for (const file of await readdir(dirname(from)))
    if (file.startsWith(name))
      await cp(
        join(dirname(from), file),
        join(dirname(to), basename(to) + file.slice(name.length)),
      );
}

test(
  "an old copy that wrote before it met anybody: new identity, all rows survive",
  { timeout },
  async (t) => {
    const restored = await startSite(t, { name: "restored" });
    const other = await startSite(t, { name: "other", peers: [restored] });
    const before = (await restored.status()).site;
    for (let i = 0; i < 10; i += 1) await restored.transact(insert(i, "old"));
    const client = new Client(restored);
    const doc = await client.join("note", "n");
    doc.getText("body").insert(0, "before the copy. ");
    doc.commit();
    await converged([restored, other]);
    await restored.stop();
    const copy = join(restored.directory, "backup", "copy.db");
    await mkdir(dirname(copy));
    await copyDatabase(restored.db, copy);
    await restored.start();
    await linked(other, restored);
    for (let i = 10; i < 20; i += 1)
      await restored.transact(insert(i, "forgotten"));
    doc.getText("body").insert(0, "after the copy. ");
    doc.commit();
    await converged([restored, other]);
    await waitFor("the document's end is at the other site", async () =>
      (await other.row("note", "n"))?.body.startsWith("after the copy."),
    );

    // Back to the old file, while nobody is there to tell. The client would bring its document back.
    client.goOffline();
    await other.stop();
    await restored.stop();
    await copyDatabase(copy, restored.db);
    await restored.start();
    assert.deepEqual(await restored.select("SELECT count(*) FROM tests"), [
      [10],
    ]);
    for (let i = 20; i < 25; i += 1)
      await restored.transact(insert(i, "written by the copy"));
    await other.start();

    await converged([restored, other]);
    assert.deepEqual(
      await other.select("SELECT text, count(*) FROM tests GROUP BY 1"),
      [
        ["forgotten", 10],
        ["old", 10],
        ["written by the copy", 5],
      ],
    );
    const status = await restored.status();
    assert.notEqual(status.site, before);
    assert.equal(status.replication.identity_changes.length, 1);
    assert.equal(status.replication.identity_changes[0].before, before);
    assert.equal(status.replication.identity_changes[0].after, status.site);
    await waitFor("the document is whole again", async () =>
      (await restored.row("note", "n"))?.body.startsWith("after the copy."),
    );

    // It goes on under the new name, also over a restart.
    await restored.transact(insert(100, "new"));
    await converged([restored, other]);
    await restored.stop();
    await restored.start();
    assert.equal((await restored.status()).site, status.site);
    await restored.transact(insert(101, "new"));
    await converged([restored, other]);
    assert.equal((await other.status()).replication.refused.length, 0);
  },
);

test(
  "an old copy that meets the others before it writes: new identity, nothing is lost",
  { timeout },
  async (t) => {
    const restored = await startSite(t, { name: "restored" });
    const other = await startSite(t, { name: "other", peers: [restored] });
    const before = (await restored.status()).site;
    await restored.transact(insert(1, "old"));
    await other.transact(insert(2, "of the other"));
    await converged([restored, other]);
    await restored.stop();
    const copy = join(restored.directory, "backup", "copy.db");
    await mkdir(dirname(copy));
    await copyDatabase(restored.db, copy);
    await restored.start();
    for (let i = 10; i < 20; i += 1)
      await restored.transact(insert(i, "forgotten"));
    await restored.transact([["DELETE FROM tests WHERE id = 1"]]);
    await converged([restored, other]);
    // Everybody knows of the deletion. The copy will not, so it has to be remembered.
    await waitFor(
      "the tombstone is kept for backups only",
      async () => (await other.status()).store.tombstones_young === 1,
      { timeoutMs: convergeMs },
    );
    await restored.stop();
    await copyDatabase(copy, restored.db);
    await restored.start();
    await waitFor(
      "it takes another name",
      async () => (await restored.status()).site !== before,
      { timeoutMs: convergeMs },
    );
    await restored.transact(insert(100, "new"));
    await converged([restored, other]);
    assert.deepEqual(
      await other.select("SELECT text, count(*) FROM tests GROUP BY 1"),
      [
        ["forgotten", 10],
        ["new", 1],
        ["of the other", 1],
      ],
    );
  },
);
