// SPDX-License-Identifier: Apache-2.0
//
// Merrow's document engine against loro-crdt, on seeded random cases: JSON, marks, version vectors, frontiers, import
// status, earlier versions and histories agree in both directions, and still agree after both go on editing.
// lib/differential_run.mjs says how.
//
// MERROW_CASES and MERROW_SEED choose how many cases run and from which seed, MERROW_FEATURES what is in them,
// MERROW_SHARDS over how many processes. MERROW_DOC_WORKER replaces the engine under test by another program that
// speaks its contract.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { merrowBinary } from "./lib/binary.mjs";
import { runCases, runSharded } from "./lib/differential.mjs";
import { everyFeature } from "./lib/differential_case.mjs";
import { seedFromEnvironment } from "./lib/random.mjs";

const npmWorker = [
  process.execPath,
  fileURLToPath(new URL("lib/npm_doc_worker.mjs", import.meta.url)),
];

function testedWorker() {
  if (process.env.MERROW_DOC_WORKER)
    return process.env.MERROW_DOC_WORKER.split(" ");
  return [merrowBinary(), "doc", "worker"];
}

test(
  "the engine agrees with loro-crdt on random cases",
  { timeout: 3_600_000 },
  async (t) => {
    const cases = Number(process.env.MERROW_CASES ?? 20_000);
    const firstSeed = seedFromEnvironment(1);
    const started = Date.now();
    const failure = await runSharded({
      command: testedWorker(),
      firstSeed,
      cases,
      shards: Number(process.env.MERROW_SHARDS ?? 2),
    });
    if (failure) assert.fail(failure);
    t.diagnostic(
      `${cases} cases from seed ${firstSeed} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
  },
);

const firstSeeds = (count) => Array.from({ length: count }, (_, i) => i + 1);

test(
  "the harness passes when loro-crdt is tested against itself",
  { timeout: 300_000 },
  async () => {
    assert.equal(
      await runCases({
        command: npmWorker,
        seeds: firstSeeds(100),
        features: new Set(everyFeature),
      }),
      null,
    );
  },
);

for (const [bug, expected] of [
  ["text", /JSON differs/],
  ["vv", /version vector differs/],
  ["crash", /worker died \(exit code 70/],
  ["checkout", /JSON differs/],
  ["message", /JSON update of .* differs/],
]) {
  test(
    `the harness notices a broken engine and shrinks the case: ${bug}`,
    { timeout: 300_000 },
    async () => {
      const failure = await runCases({
        command: ["/usr/bin/env", `MERROW_WORKER_BUG=${bug}`, ...npmWorker],
        seeds: firstSeeds(60),
        features: new Set(everyFeature),
        shrinkBudgetMs: 20_000,
      });
      assert.match(failure ?? "no failure", expected);
      const steps = Number(/shrunk to (\d+) steps/.exec(failure)?.[1]);
      assert.ok(steps <= 14, `the shrunk case has ${steps} steps:\n${failure}`);
    },
  );
}
