// SPDX-License-Identifier: Apache-2.0
//
// The contract of `merrow doc worker`: a list of requests, the same for the engine and for loro-crdt behind the same
// contract, must be answered alike, refusals included. Blobs are not compared but imported again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { merrowBinary } from "./lib/binary.mjs";
import { comparableJson } from "./lib/differential_compare.mjs";

const npmWorker = [
  process.execPath,
  fileURLToPath(new URL("lib/npm_doc_worker.mjs", import.meta.url)),
];
const tested = process.env.MERROW_DOC_WORKER?.split(" ") ?? [
  merrowBinary(),
  "doc",
  "worker",
];

// Sends requests one after the other; a request may be a function of what was answered so far.
async function answersOf([program, ...args], requests) {
  const worker = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: worker.stdout })[
    Symbol.asyncIterator
  ]();
  const answers = [];
  for (const request of requests) {
    const sent = typeof request === "function" ? request(answers) : request;
    const text = typeof sent === "string" ? sent : JSON.stringify(sent);
    worker.stdin.write(`${text}\n`);
    answers.push(JSON.parse((await lines.next()).value));
  }
  worker.stdin.end();
  const [code] = await once(worker, "close");
  return { answers, code };
}

const body = "cid:root-body:Text";
const row = "cid:root-row:Map";
const edit = (doc, container, op) => ({ cmd: "edit", doc, container, op });
const last = (answers) => answers.at(-1);
const importInto = (doc) => (answers) => ({
  cmd: "import",
  doc,
  bytes: last(answers).bytes ?? "",
});
const at5 = [{ peer: "1", counter: 4 }];

const requests = [
  { cmd: "new", doc: "a", peer: "1", id: "first" },
  { cmd: "new", doc: "b", peer: "18446744073709551614", id: [1, { x: null }] },
  edit("a", body, { insert: [0, "héllo"] }),
  { cmd: "commit", doc: "a", message: "one", timestamp: 1_700_000_000 },
  edit("a", body, { insert: [5, " 𝄞"] }),
  { cmd: "commit", doc: "a", message: "two" },
  edit("a", row, { set: ["k", [1, "x", null]] }),
  edit("a", row, { setContainer: ["child", "List"] }),
  { cmd: "version", doc: "a" },
  { cmd: "jsonUpdates", doc: "a" },
  { cmd: "json", doc: "a" },
  { cmd: "delta", doc: "a", container: body },
  // Updates, all and what is lacking.
  { cmd: "export", doc: "a", mode: "update", from: { 1: 2 } },
  importInto("b"),
  { cmd: "export", doc: "a", mode: "update" },
  importInto("b"),
  { cmd: "version", doc: "b" },
  { cmd: "json", doc: "b" },
  edit("b", body, { delete: [0, 1] }),
  { cmd: "commit", doc: "b" },
  { cmd: "export", doc: "b", mode: "snapshot" },
  importInto("a"),
  { cmd: "json", doc: "a" },
  // A range that depends on what the receiver has not, then what it lacks.
  { cmd: "new", doc: "c", peer: "3" },
  {
    cmd: "export",
    doc: "a",
    mode: "updates-in-range",
    spans: [{ id: { peer: "1", counter: 5 }, len: 2 }],
  },
  importInto("c"),
  {
    cmd: "export",
    doc: "a",
    mode: "updates-in-range",
    spans: [{ id: { peer: "1", counter: 0 }, len: 5 }],
  },
  importInto("c"),
  { cmd: "version", doc: "c" },
  { cmd: "json", doc: "c" },
  // Earlier versions.
  { cmd: "checkout", doc: "a", frontiers: at5 },
  { cmd: "json", doc: "a" },
  { cmd: "version", doc: "a" },
  edit("a", body, { insert: [0, "no"] }),
  { cmd: "checkout", doc: "a", frontiers: [] },
  { cmd: "json", doc: "a" },
  { cmd: "checkout", doc: "a", frontiers: [{ peer: "9", counter: 1 }] },
  { cmd: "checkoutToLatest", doc: "a" },
  { cmd: "json", doc: "a" },
  edit("a", body, { insert: [0, "yes"] }),
  { cmd: "commit", doc: "a" },
  // Shallow snapshots.
  { cmd: "export", doc: "a", mode: "shallow-snapshot", frontiers: at5 },
  (answers) => ({ cmd: "new", doc: "d", peer: "4", id: answers.length }),
  (answers) => ({ cmd: "import", doc: "d", bytes: answers.at(-2).bytes }),
  { cmd: "json", doc: "d" },
  { cmd: "version", doc: "d" },
  { cmd: "checkout", doc: "d", frontiers: at5 },
  { cmd: "json", doc: "d" },
  { cmd: "checkoutToLatest", doc: "d" },
  edit("d", body, { insert: [0, "d"] }),
  { cmd: "commit", doc: "d" },
  { cmd: "export", doc: "a", mode: "shallow-snapshot" },
  (answers) => ({ cmd: "new", doc: "e", peer: "5", id: answers.length }),
  (answers) => ({ cmd: "import", doc: "e", bytes: answers.at(-2).bytes }),
  { cmd: "json", doc: "e" },
  {
    cmd: "export",
    doc: "c",
    mode: "shallow-snapshot",
    frontiers: [{ peer: "9", counter: 1 }],
  },
  // Refusals.
  { cmd: "free", doc: "e" },
  { cmd: "json", doc: "e" },
  { cmd: "nope", doc: "a" },
  { cmd: "import", doc: "a", bytes: "AAAA" },
  edit("a", body, { insert: [999, "x"] }),
  edit("a", body, { nope: [] }),
  edit("a", "cid:0@77:Map", { set: ["k", 1] }),
  edit("a", "nonsense", { set: ["k", 1] }),
  edit("a", row, { setContainer: ["k", "Nope"] }),
  "not json",
  { cmd: "json", doc: "a" },
];

test("the engine answers requests as loro-crdt does", async () => {
  const ours = await answersOf(tested, requests);
  const theirs = await answersOf(npmWorker, requests);
  assert.equal(ours.code, 0);
  // Empty roots are shown or not, as loro-crdt happens to hold a document.
  const comparable = ({ id = null, bytes, error, value, ...rest }) => ({
    id,
    ...rest,
    value: Array.isArray(value) ? value : comparableJson(value ?? {}),
    bytes: bytes !== undefined,
    isRefused: error !== undefined,
  });
  requests.forEach((request, i) => {
    const what = `request ${i}: ${JSON.stringify(typeof request === "function" ? "(depends)" : request)}`;
    const [our, their] = [ours.answers[i], theirs.answers[i]];
    assert.deepEqual(comparable(our), comparable(their), what);
    if (our.error) {
      assert.match(our.error.code, /^[a-z_]+$/, what);
      assert.equal(typeof our.error.message, "string");
    }
  });
});
