// SPDX-License-Identifier: Apache-2.0
//
// Differential cases by the thousand: run them over several processes, find the first that fails, shrink it and say
// how to see it again. differential_case.mjs says what a case is, differential_run.mjs what has to hold.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { featuresFromEnvironment, generateCase } from "./differential_case.mjs";
import { messageOf, Run } from "./differential_run.mjs";
import { LoroEngine, WorkerDied, WorkerEngine } from "./doc_engines.mjs";

// ---- shrinking -----------------------------------------------------------------------------------------------------

// The smallest failing sublist of the case's steps that was found (delta debugging, then smaller edits), within a
// budget. `attempt(case)` resolves to the failure or null.
export async function shrinkCase(
  testCase,
  attempt,
  { budgetMs = 60_000 } = {},
) {
  const deadline = Date.now() + budgetMs;
  let best = testCase;
  const tryCase = async (steps) => {
    if (Date.now() > deadline) return false;
    const candidate = { ...best, steps };
    if ((await attempt(candidate)) === null) return false;
    best = candidate;
    return true;
  };
  let chunk = Math.ceil(best.steps.length / 2);
  while (chunk >= 1 && Date.now() < deadline) {
    let removed = false;
    for (let start = 0; start < best.steps.length;) {
      const rest = [
        ...best.steps.slice(0, start),
        ...best.steps.slice(start + chunk),
      ];
      if (rest.length < best.steps.length && (await tryCase(rest)))
        removed = true;
      else start += chunk;
    }
    if (chunk === 1 && !removed) break;
    chunk = chunk === 1 ? 1 : Math.ceil(chunk / 2);
  }
  for (let i = 0; i < best.steps.length; i += 1) {
    for (let count = 1; count < (best.steps[i].count ?? 1); count += 1) {
      if (
        await tryCase(
          best.steps.map((step, j) => (j === i ? { ...step, count } : step)),
        )
      )
        break;
    }
  }
  return best;
}

// ---- many cases ----------------------------------------------------------------------------------------------------

const openEngines = (command) => ({
  tested: new WorkerEngine(command),
  loro: new LoroEngine(),
});

async function closeEngines({ tested, loro }) {
  await tested.close();
  await loro.close();
}

// Runs the cases of `seeds`, many at a time over one pipelined worker, `command`. Resolves to null or, for a case that
// fails, a report with its seed and a shrunk list of steps.
export async function runCases({
  command,
  seeds,
  concurrency = 32,
  features = featuresFromEnvironment(),
  shrinkBudgetMs = 60_000,
}) {
  const engines = openEngines(command);
  const source = seeds[Symbol.iterator]();
  let failedSeed = null;
  const suspects = new Set(); // Seeds in flight when the worker died: one of them killed it.
  const lane = async () => {
    while (failedSeed === null && suspects.size === 0) {
      const { value: seed, done } = source.next();
      if (done) return;
      try {
        await new Run(engines, generateCase(seed, features), features).run();
      } catch (error) {
        if (error instanceof WorkerDied) suspects.add(seed);
        else failedSeed ??= seed;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  await closeEngines(engines);
  if (failedSeed === null && suspects.size === 0) return null;

  const attempt = async (testCase, trace) => {
    const fresh = openEngines(command);
    try {
      await new Run(fresh, testCase, features, trace).run();
      return null;
    } catch (error) {
      return error;
    } finally {
      await closeEngines(fresh);
    }
  };
  const failed = failedSeed === null ? [...suspects] : [failedSeed];
  for (const seed of failed) {
    const failure = await attempt(generateCase(seed, features));
    if (failure === null) continue;
    const shrunk = await shrinkCase(generateCase(seed, features), attempt, {
      budgetMs: shrinkBudgetMs,
    });
    const lines = [];
    const last = (await attempt(shrunk, (line) => lines.push(line))) ?? failure;
    return report({ seed, shrunk, lines, failure: last, features });
  }
  return `seeds ${failed.join(", ")} failed among ${concurrency} cases at once, but not one at a time`;
}

function report({ seed, shrunk, lines, failure, features }) {
  const pairs = shrunk.pairs
    .map(({ tested, loro }) => `${tested}/${loro}`)
    .join(", ");
  return [
    `case with seed ${seed} fails: ${messageOf(failure)}`,
    `replay: MERROW_SEED=${seed} MERROW_CASES=1 MERROW_FEATURES=${[...features]} node --test test/node/differential.test.mjs`,
    `shrunk to ${shrunk.steps.length} steps; pairs of peers (tested/loro) in order: ${pairs}`,
    ...lines.map((line) => `  ${line}`),
  ].join("\n");
}

function* everyNth(first, count, step) {
  for (let i = 0; i < count; i += step) yield first + i;
}

// Runs `cases` cases from `firstSeed` on in `shards` processes, each with a worker of its own. Resolves as runCases.
export async function runSharded({ command, firstSeed, cases, shards = 2 }) {
  const program = fileURLToPath(
    new URL("differential_shard.mjs", import.meta.url),
  );
  const children = Array.from({ length: Math.min(shards, cases) }, () =>
    fork(program),
  );
  const results = children.map(
    (child, index) =>
      new Promise((resolve) => {
        child.once("message", resolve);
        child.once("exit", (code, signal) =>
          resolve(`a shard ended (exit code ${code}, signal ${signal})`),
        );
        child.send({
          command,
          firstSeed: firstSeed + index,
          cases: cases - index,
          step: children.length,
        });
      }),
  );
  // The first failure ends the run.
  const failure = await Promise.race([
    Promise.all(results).then((all) => all.find(Boolean) ?? null),
    ...results.map((result) =>
      result.then((text) => text ?? new Promise(() => {})),
    ),
  ]);
  for (const child of children) child.kill();
  return failure;
}

// The other end of runSharded.
export function runShard({ command, firstSeed, cases, step }) {
  return runCases({ command, seeds: everyNth(firstSeed, cases, step) });
}
