// SPDX-License-Identifier: Apache-2.0
//
// 65,000 rows in transactions of up to 10,000, over a chain of four of which the last never talks to the first. Every
// transaction becomes visible as a whole, at every site and every moment.

import assert from "node:assert/strict";
import { test } from "node:test";
import { converged, convergeMs, startChain } from "./lib/site.mjs";

// One of 10,000 rows, then 1,000, 900, ... 100, ten times.
const sizes = [10_000];
for (let round = 0; round < 10; round += 1)
  for (let size = 1000; size >= 100; size -= 100) sizes.push(size);
const total = sizes.reduce((sum, size) => sum + size, 0);

test(
  `${total} rows in ${sizes.length} transactions over a chain of four`,
  { timeout: 3 * convergeMs },
  async (t) => {
    assert.equal(total, 65_000);
    const sites = await startChain(t, 4);
    const [first] = sites;
    const last = sites[3];
    let written = false;
    // Looks at the other end all the while.
    const watcher = (async () => {
      let looks = 0;
      let count = 0;
      while (count < total) {
        const rows = await last.select(
          "SELECT substr(text, 1, instr(text, ' ') - 1), count(*) FROM tests GROUP BY 1",
        );
        for (const [transaction, seen] of rows)
          assert.equal(
            seen,
            sizes[Number(transaction)],
            `transaction ${transaction} is visible in part`,
          );
        count = rows.reduce((sum, [, seen]) => sum + seen, 0);
        looks += 1;
        if (written && count < total)
          await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return looks;
    })();
    const writer = (async () => {
      let id = 0;
      for (const [index, size] of sizes.entries()) {
        const statements = [];
        for (let i = 0; i < size; i += 1) {
          statements.push([
            "INSERT INTO tests VALUES (?, ?)",
            [id, `${index} row ${i}`],
          ]);
          id += 1;
        }
        await first.transact(statements);
      }
      written = true;
    })();
    const start = Date.now();
    const [looks] = await Promise.all([watcher, writer]);
    t.diagnostic(
      `${total} rows at the other end after ${Date.now() - start} ms; ${looks} looks`,
    );
    await converged(sites);
    const { links } = (await last.status()).replication;
    assert.equal(links.length, 1);
    assert.notEqual(links[0].peer, (await first.status()).site);
  },
);
