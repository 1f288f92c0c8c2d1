// SPDX-License-Identifier: Apache-2.0
//
// Writes concurrent_text.json: documents that several peers edited concurrently, made by npm
// loro-crdt. Each has a root text "t" and a root list "l". Run it where loro-crdt 1.17.1 can be
// resolved:
//
//   node generate_concurrent_text.mjs OUTPUT_FILE [CASES] [FIRST_SEED]
//
// A case has "updates", the whole history as loro-crdt's JSON updates; the merged "text", "delta"
// and "list"; and "edits": local edits on the merged document by position in Unicode scalars, with
// the ops that loro-crdt made of each and the "edited_delta" after them.

import { writeFileSync } from "node:fs";
import { LoroDoc } from "loro-crdt";

const PEERS = ["1", "2", "9223372036854775809", "18446744073709551600", "77", "12"];
const STYLES = {
  bold: { expand: "after" },
  link: { expand: "none" },
  before: { expand: "before" },
  both: { expand: "both" },
};

// A fixed sequence of numbers, so that a run gives the same cases.
function random(seed) {
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { below: (n) => Math.floor(next() * n), chance: (p) => next() < p };
}

function newDoc(peer) {
  const doc = new LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle(STYLES);
  return doc;
}

// Attributes come in hash order, and now and then neighbours with equal ones are not joined.
function normal(delta) {
  const result = [];
  for (const { insert, attributes } of delta) {
    const sorted = Object.fromEntries(Object.entries(attributes ?? {}).sort());
    const key = JSON.stringify(sorted);
    if (result.at(-1)?.key === key) result.at(-1).insert += insert;
    else result.push({ key, insert, ...(key === "{}" ? {} : { attributes: sorted }) });
  }
  return result.map(({ key, ...item }) => item);
}

const scalars = (text) => Array.from(text);
const utf16 = (text, unicode) => scalars(text).slice(0, unicode).join("").length;

function randomText(r, letter) {
  const words = ["", "b", " word", "\u00e9\u4e2d", "\u{1f600}", "\n", "xyz longer words typed at once"];
  return letter + words[r.below(words.length)];
}

// One random edit; returns what was done, in scalars.
function edit(r, doc, letter, options) {
  const text = doc.getText("t");
  const list = doc.getList("l");
  const content = text.toString();
  const length = scalars(content).length;
  const dice = r.below(100);
  let done;
  if (dice < 45 || length === 0) {
    const at = [0, length, r.below(length + 1), r.below(length + 1)][r.below(4)];
    done = { kind: "insert", at, text: randomText(r, letter) };
    text.insert(utf16(content, at), done.text);
  } else if (dice < 70) {
    const from = r.below(length);
    const count = 1 + r.below(Math.min(length - from, 7));
    done = { kind: "delete", at: from, count };
    if (r.chance(0.3)) {
      for (let i = count; i-- > 0; ) {  // backspaces
        const a = utf16(content, from + i);
        text.delete(a, utf16(content, from + i + 1) - a);
      }
      done.kind = "backspaces";
    } else {
      const a = utf16(content, from);
      text.delete(a, utf16(content, from + count) - a);
    }
  } else if (dice < 85 && options.styles) {
    const from = r.below(length);
    const count = 1 + r.below(length - from);
    const range = { start: utf16(content, from), end: utf16(content, from + count) };
    const key = Object.keys(STYLES)[r.below(4)];
    done = { kind: "mark" };
    if (r.chance(0.3)) text.unmark(range, key);
    else text.mark(range, key, [true, letter, 3, false][r.below(4)]);
  } else if (dice < 95 || list.length === 0) {
    const at = r.below(list.length + 1);
    done = { kind: "list" };
    const count = 1 + r.below(3);
    for (let i = 0; i < count; i++) list.insert(at + i, `${letter}${i}`);
  } else {
    const at = r.below(list.length);
    done = { kind: "list" };
    list.delete(at, 1 + r.below(Math.min(list.length - at, 3)));
  }
  doc.commit();
  return done;
}

function pull(to, from) {
  to.import(from.export({ mode: "update", from: to.version() }));
}

function makeCase(seed) {
  const r = random(seed);
  const options = { styles: seed % 3 !== 0 };
  const count = 2 + r.below(4);
  const docs = PEERS.slice().sort(() => r.below(3) - 1).slice(0, count).map(newDoc);
  const steps = 10 + r.below(40);
  for (let i = 0; i < steps; i++) {
    const doc = docs[r.below(count)];
    if (r.chance(0.25)) pull(doc, docs[r.below(count)]);
    else edit(r, doc, String.fromCharCode(97 + (i % 26)), options);
  }
  for (const a of docs) for (const b of docs) if (a !== b) pull(a, b);
  for (const doc of docs) pull(doc, docs[0]);
  // What a fresh peer makes of the updates is what counts.
  const fresh = newDoc("55555");
  fresh.import(docs[0].export({ mode: "update" }));
  const values = [...docs, fresh].map((doc) =>
    JSON.stringify([normal(doc.getText("t").toDelta()), doc.getList("l").toJSON()]),
  );
  if (values.some((value) => value !== values[0])) throw new Error(`seed ${seed}: peers differ`);
  const result = {
    name: `seed ${seed}`,
    updates: JSON.parse(JSON.stringify(fresh.exportJsonUpdates())),
    text: fresh.getText("t").toString(),
    delta: normal(fresh.getText("t").toDelta()),
    list: fresh.getList("l").toJSON(),
    edits: [],
  };
  for (let i = 0; i < 6; i++) {
    const before = fresh.version();
    const done = edit(r, fresh, "Z", { styles: true });
    const exported = fresh.exportJsonUpdates(before).changes;
    done.ops = exported.flatMap((change) => change.ops).filter((op) => op.container.includes("Text"));
    if (done.kind !== "list") result.edits.push(done);
  }
  result.edited_delta = normal(fresh.getText("t").toDelta());
  return result;
}

const [output = "concurrent_text.json", cases = "40", first = "1"] = process.argv.slice(2);
const all = [];
for (let i = 0; i < Number(cases); i++) all.push(makeCase(Number(first) + i));
writeFileSync(output, "[\n" + all.map((c) => JSON.stringify(c)).join(",\n") + "\n]\n");
