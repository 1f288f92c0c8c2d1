// SPDX-License-Identifier: Apache-2.0
//
// Merrow's document engine against loro-crdt, on seeded random cases: JSON, version vectors, frontiers and import
// status agree in both directions, and still agree after both go on editing. lib/differential.mjs says how.
//
// MERROW_CASES and MERROW_SEED choose how many cases run and from which seed. MERROW_DOC_WORKER replaces the engine
// under test by another program that speaks its contract.

import assert from "node:assert/strict";
import { test } from "node:test";
import { merrowBinary } from "./lib/binary.mjs";
import { featuresFromEnvironment, runCases } from "./lib/differential.mjs";
import { LoroEngine, WorkerEngine } from "./lib/doc_engines.mjs";
import { seedFromEnvironment } from "./lib/random.mjs";
import { fileURLToPath } from "node:url";

const npmWorker = [
  process.execPath,
  fileURLToPath(new URL("lib/npm_doc_worker.mjs", import.meta.url)),
];
const features = featuresFromEnvironment();

const enginesOf = (command, options) => async () => ({
  tested: new WorkerEngine(command, options),
  loro: new LoroEngine(),
});

function merrowWorker() {
  if (process.env.MERROW_DOC_WORKER)
    return process.env.MERROW_DOC_WORKER.split(" ");
  return [merrowBinary(), "doc", "worker"];
}

async function agreesOnRandomCases(t, features) {
  const cases = Number(process.env.MERROW_CASES ?? 2000);
  const firstSeed = seedFromEnvironment(1);
  const started = Date.now();
  const failure = await runCases({
    openEngines: enginesOf(merrowWorker()),
    firstSeed,
    cases,
    features,
  });
  if (failure) assert.fail(failure);
  t.diagnostic(
    `${cases} cases from seed ${firstSeed} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
}

test(
  "the engine agrees with loro-crdt on random cases",
  { timeout: 1_200_000 },
  (t) => agreesOnRandomCases(t, features),
);

// MERROW_FEATURES chooses what the test above does; by itself it is what server rows hold most.
if (process.env.MERROW_FEATURES === undefined) {
  test(
    "the engine agrees with loro-crdt on random cases with marks, movable lists and trees",
    { timeout: 1_200_000 },
    (t) =>
      agreesOnRandomCases(t, { marks: true, movable: true, tree: true }),
  );
}

test(
  "the harness passes when loro-crdt is tested against itself",
  { timeout: 300_000 },
  async () => {
    const failure = await runCases({
      openEngines: enginesOf(npmWorker),
      firstSeed: 1,
      cases: 60,
    });
    assert.equal(failure, null);
  },
);

for (const [bug, cases, expected] of [
  ["text", 40, /JSON differs/],
  ["vv", 40, /version vector differs/],
  ["crash", 40, /worker died \(exit code 70/],
]) {
  test(
    `the harness notices a broken engine and shrinks the case: ${bug}`,
    { timeout: 300_000 },
    async () => {
      const openEngines = enginesOf([
        "/usr/bin/env",
        `MERROW_WORKER_BUG=${bug}`,
        ...npmWorker,
      ]);
      const failure = await runCases({
        openEngines,
        firstSeed: 1,
        cases,
        shrinkBudgetMs: 20_000,
      });
      assert.match(failure ?? "no failure", expected);
      const steps = Number(/shrunk to (\d+) steps/.exec(failure)?.[1]);
      assert.ok(steps <= 14, `the shrunk case has ${steps} steps:\n${failure}`);
    },
  );
}
