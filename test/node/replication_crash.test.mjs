// SPDX-License-Identifier: Apache-2.0
//
// Ten sites, each linked to few others, take writes while random ones are killed and come back. Afterwards nobody lacks
// anything, all rows are equal, and what was acknowledged is there.
//
// MERROW_SEED replays the random choices (the moments still depend on the machine).

import assert from "node:assert/strict";
import { test } from "node:test";
import { Random, seedFromEnvironment } from "./lib/random.mjs";
import { converged, convergeMs, startSite } from "./lib/site.mjs";

const siteCount = 10;
const rowCount = 800;
const kills = 12;
const writers = 6;

// Site i dials the one before it, and some dial one further back; the last closes the ring.
function peersOf(i, sites) {
  const peers = i === 0 ? [] : [sites[i - 1]];
  if (i >= 4 && i % 2 === 0) peers.push(sites[i - 4]);
  if (i === siteCount - 1) peers.push(sites[0]);
  return peers;
}

test(
  `${rowCount} rows at ${siteCount} sites, ${kills} SIGKILLs`,
  { timeout: 3 * convergeMs },
  async (t) => {
    const seed = seedFromEnvironment(Math.floor(Date.now() / 1000));
    t.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const sites = [];
    for (let i = 0; i < siteCount; i += 1) {
      sites.push(
        await startSite(t, { name: `site ${i}`, peers: peersOf(i, sites) }),
      );
    }

    const isDown = sites.map(() => false);
    const acknowledged = new Map();
    let next = 0;
    let failed = 0;
    // Every row is written by one site; some are updated later, and all sites fight for the rows of `service`.
    const writer = async () => {
      while (next < rowCount) {
        const id = next;
        next += 1;
        for (;;) {
          const i = random.below(siteCount);
          if (isDown[i]) {
            await new Promise((resolve) => setImmediate(resolve));
            continue;
          }
          const text = `${id} by ${i}`;
          try {
            await sites[i].transact([
              ["INSERT OR REPLACE INTO tests VALUES (?, ?)", [id, text]],
              [
                `INSERT INTO service (node, name, port) VALUES ('n', ?, ?)
                 ON CONFLICT DO UPDATE SET port = excluded.port`,
                [`s${id % 7}`, id],
              ],
            ]);
            acknowledged.set(id, text);
            break;
          } catch {
            failed += 1; // it died before it answered; another one writes the row
          }
        }
      }
    };
    const killer = async () => {
      for (let kill = 1; kill <= kills; kill += 1) {
        const target = Math.floor((rowCount * kill) / (kills + 1));
        while (next < target)
          await new Promise((resolve) => setTimeout(resolve, 2));
        const i = random.below(siteCount);
        isDown[i] = true;
        await sites[i].kill();
        // Down for some rows of the others.
        const until = Math.min(rowCount, next + random.below(40));
        while (next < until)
          await new Promise((resolve) => setTimeout(resolve, 2));
        await sites[i].start();
        isDown[i] = false;
      }
    };
    await Promise.all([killer(), ...Array.from({ length: writers }, writer)]);
    assert.equal(acknowledged.size, rowCount);

    const start = Date.now();
    await converged(sites);
    const took = Date.now() - start;
    for (const site of sites) {
      const rows = new Map(await site.select("SELECT id, text FROM tests"));
      assert.equal(rows.size, rowCount, site.name);
      for (const id of acknowledged.keys())
        assert.ok(rows.has(id), `${site.name} lacks row ${id}`);
    }
    // A row that only one site ever wrote is exactly what that site acknowledged.
    if (failed === 0) {
      const rows = new Map(await sites[0].select("SELECT id, text FROM tests"));
      for (const [id, text] of acknowledged) assert.equal(rows.get(id), text);
    }
    t.diagnostic(
      `${failed} answers lost, converged ${took} ms after the last write`,
    );
  },
);
