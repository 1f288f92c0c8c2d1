// SPDX-License-Identifier: Apache-2.0
//
// Column rows against cr-sqlite 0.16, on seeded random cases: schemas, writes of every kind, and partial, repeated and
// reordered exchange among two to four sites of both kinds. lib/cells_run.mjs says what is compared.
//
// MERROW_CASES and MERROW_SEED choose how many cases run and from which seed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEngines, runCellCases } from "./lib/cells_run.mjs";
import { seedFromEnvironment } from "./lib/random.mjs";

test(
  "column rows merge as cr-sqlite's do",
  { timeout: 3_600_000 },
  async (t) => {
    const cases = Number(process.env.MERROW_CASES ?? 5000);
    const firstSeed = seedFromEnvironment(1);
    const started = Date.now();
    const engines = await makeEngines();
    const failure = await runCellCases({ firstSeed, cases, engines });
    for (const engine of engines) await engine.stop();
    assert.equal(failure, null, failure ?? "");
    t.diagnostic(
      `${cases} cases from seed ${firstSeed} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
  },
);
