// SPDX-License-Identifier: Apache-2.0
//
// The server's budget for open documents (--doc-memory): rows that need many times as much are edited at random, the
// cache stays within the budget, and nothing is lost, also not over a restart.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroDoc } from "loro-crdt";
import { Random, seedFromEnvironment } from "./lib/random.mjs";
import { startServer } from "./lib/server.mjs";

const rows = 600;
const edits = 3000;

test(
  "documents are kept under the byte budget and come back as they were",
  { timeout: 300_000 },
  async (t) => {
    const seed = seedFromEnvironment(6);
    const random = new Random(seed);
    const server = await startServer(t, { args: ["--doc-memory", "512KiB"] });
    const docs = Array.from({ length: rows }, () => ({
      doc: new LoroDoc(),
      sent: undefined,
    }));
    const push = async (index) => {
      const row = docs[index];
      const update = row.doc.export({ mode: "update", from: row.sent });
      row.sent = row.doc.version();
      const response = await fetch(`${server.url}/api/crdt/note/row${index}`, {
        method: "POST",
        body: JSON.stringify({ update: Buffer.from(update).toString("hex") }),
      });
      assert.equal(response.status, 200, await response.text());
    };
    const inBatches = async (indices, action) => {
      for (let at = 0; at < indices.length; at += 50) {
        // Several edits of one row would overtake each other; one is enough.
        await Promise.all([...new Set(indices.slice(at, at + 50))].map(action));
        const [used, budget] = [
          await server.metric("merrow_store_cache_bytes"),
          await server.metric("merrow_store_cache_budget_bytes"),
        ];
        assert.equal(budget, 512 * 1024);
        assert.ok(
          used <= budget,
          `${used} bytes in the cache, the budget is ${budget}`,
        );
      }
    };

    const all = [...docs.keys()];
    await inBatches(all, async (index) => {
      const { doc } = docs[index];
      doc
        .getText("body")
        .insert(0, `row ${index} `.repeat(random.between(20, 400)));
      doc.commit();
      await push(index);
    });
    const chosen = Array.from({ length: edits }, () => random.below(rows));
    await inBatches(chosen, async (index) => {
      const { doc } = docs[index];
      const text = doc.getText("body");
      if (random.chance(0.7))
        text.insert(random.below(text.length + 1), "edit ");
      else text.delete(random.below(text.length - 8), 8);
      doc.getCounter("votes").increment(1);
      doc.commit();
      await push(index);
    });
    assert.ok(
      (await server.metric("merrow_store_cache_evictions_total")) > rows,
    );

    const check = async () => {
      for (const index of all) {
        const { body, votes } = await server.row("note", `row${index}`);
        assert.equal(
          body,
          docs[index].doc.getText("body").toString(),
          `row${index}, seed ${seed}`,
        );
        assert.equal(votes ?? 0, docs[index].doc.getCounter("votes").value);
      }
    };
    await check();
    await server.kill();
    await server.start();
    await check();
    t.diagnostic(
      `${rows} rows, seed ${seed}, ${await server.metric("process_resident_memory_bytes")} bytes resident`,
    );
  },
);
