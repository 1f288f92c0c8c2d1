// SPDX-License-Identifier: Apache-2.0
//
// Measures Merrow's document engine against others, in one run on one machine, and writes
// bench/results/engine.md. tools/run-engine-benchmarks builds what this needs and calls it.
//
//   node bench/engine.mjs [--rounds N] [--only PART]... [--no-report]
//
// Every engine is a program with the command line ENGINE WORKLOAD DATA (bench/engine_workloads.cc,
// bench/peers). A workload is run by all engines by turns, once per round, so that what else the
// machine does hits all of them alike; the median over all rounds counts. All engines must end with
// the same result: a hash of it is compared.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { goals, groups } from "./engine_plan.mjs";
import { markdown } from "./engine_report.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const dataFolder = path.join(root, "build/bench-data");
const traceFolder = process.env.MERROW_TRACES ?? path.join(root, "bench/data");
const peers = path.join(root, "build/bench-peers/release/engine_peers");
const merrow = process.env.MERROW_WORKLOADS ?? path.join(root, "build/release/bench/engine_workloads");

// --- Inputs ---

/** A trace of josephg/editing-traces in the form that bench/peers/src/data.rs describes. */
function packTrace(json) {
  const parts = [];
  const number = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  number(json.txns.length);
  for (const txn of json.txns) {
    number(txn.agent ?? 0);
    const parents = txn.parents ?? [];
    number(parents.length);
    parents.forEach(number);
    number(txn.patches.length);
    for (const [position, deleted, inserted] of txn.patches) {
      const text = Buffer.from(inserted, "utf8");
      number(position);
      number(deleted);
      number(text.length);
      parts.push(text);
    }
  }
  return Buffer.concat(parts);
}

/** Writes the inputs unless those that are there were made by the same sources. */
function prepare() {
  mkdirSync(dataFolder, { recursive: true });
  const hash = createHash("sha256");
  const traces = ["automerge-paper", "friendsforever"];
  for (const name of traces) {
    const file = path.join(traceFolder, `${name}.json.gz`);
    if (!existsSync(file)) {
      console.error(`bench-engine: ${file} is missing. It is part of github.com/josephg/editing-traces; set`);
      console.error("MERROW_TRACES to the folder that holds it.");
      process.exit(1);
    }
    hash.update(readFileSync(file));
  }
  for (const source of ["src/gen.rs", "src/data.rs", "Cargo.lock"]) {
    hash.update(readFileSync(path.join(root, "bench/peers", source)));
  }
  const made = path.join(dataFolder, "made-from");
  const digest = hash.digest("hex");
  if (existsSync(made) && readFileSync(made, "utf8") === digest) return;
  console.log("bench-engine: making the inputs");
  for (const name of traces) {
    const json = JSON.parse(gunzipSync(readFileSync(path.join(traceFolder, `${name}.json.gz`))));
    writeFileSync(path.join(dataFolder, `${name}.trace`), packTrace(json));
  }
  execFileSync(peers, ["generate", dataFolder], { stdio: "inherit" });
  writeFileSync(made, digest);
}

// --- Measuring ---

function run(engine, workload) {
  const program = engine === "merrow" ? merrow : peers;
  const child = spawnSync(program, [engine, workload, dataFolder], { encoding: "utf8" });
  if (child.status !== 0) {
    throw new Error(`${engine} ${workload}: ${child.error ?? child.signal ?? child.status}\n${child.stderr}`);
  }
  return JSON.parse(child.stdout);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Per engine {value, bytes, operations}; the value is in nanoseconds (or bytes) per repetition. */
function measure(line, roundsMax) {
  const samples = new Map(line.engines.map((engine) => [engine, []]));
  const results = {};
  let check;
  for (let round = 0; round < Math.min(line.rounds, roundsMax); round++) {
    for (const engine of line.engines) {
      // The others are there for orientation.
      const isMain = engine === "merrow" || engine === "loro";
      if (!isMain && round >= 2) continue;
      const report = run(engine, line.workload);
      check ??= report.check;
      if (report.check !== check) {
        throw new Error(`${line.workload}: ${engine} ends with ${report.check}, others with ${check}`);
      }
      samples.get(engine).push(median(report.samples));
      results[engine] = report;
    }
  }
  const entries = line.engines.map((engine) => {
    const { bytes, operations } = results[engine];
    return [engine, { value: median(samples.get(engine)), bytes, operations }];
  });
  return Object.fromEntries(entries);
}

function machine() {
  const cpu = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return `${cpu[0].model.trim()}, ${cpu.length} cores, ${memory} GiB, ${os.type()} ${os.arch()}`;
}

function versions() {
  const lock = readFileSync(path.join(root, "bench/peers/Cargo.lock"), "utf8");
  const crates = ["loro", "diamond-types", "yrs", "automerge"];
  const entries = crates.map((name) => [name, lock.match(`name = "${name}"\nversion = "([^"]+)"`)[1]]);
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" });
  const rustc = execFileSync("rustc", ["--version"], { encoding: "utf8" }).split(" ")[1];
  return { ...Object.fromEntries(entries), merrow: commit.trim(), rustc };
}

function main() {
  const options = { rounds: Infinity, only: [], report: true };
  const words = process.argv.slice(2);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "--rounds") options.rounds = Number(words.shift());
    else if (word === "--only") options.only.push(words.shift());
    else if (word === "--no-report") options.report = false;
    else throw new Error(`unknown option ${word}`);
  }
  prepare();
  const wanted = (line) => options.only.length === 0 || options.only.some((part) => line.workload.includes(part));
  const results = new Map();
  for (const group of groups) {
    for (const line of group.lines.filter(wanted)) {
      const result = measure(line, options.rounds);
      results.set(line.workload, result);
      const { merrow, ...others } = result;
      const ratios = Object.entries(others).map(([name, { value }]) => `${name} ${(value / merrow.value).toFixed(2)}`);
      const shown = line.workload.padEnd(30);
      console.log(`${shown} ${String(Math.round(merrow.value)).padStart(12)}  ${ratios.join("  ")}`);
    }
  }
  if (!options.report || options.only.length > 0) return;
  const page = markdown({ groups, goals, results, machine: machine(), versions: versions(), date: new Date() });
  writeFileSync(path.join(root, "bench/results/engine.md"), page.text);
  console.log(`bench-engine: wrote bench/results/engine.md; ${page.met} of ${page.judged} goals met`);
}

main();
