// SPDX-License-Identifier: Apache-2.0
//
// Writes VERSION.json beside this script: documents made by one released version of npm loro-crdt,
// and what they mean.
//
//   node generate.mjs WRITER REFERENCE
//
// Both are paths of unpacked loro-crdt packages; REFERENCE is the one that the engine is held to.
//
// Per document: "updates" and "snapshot" (base64), "version", "frontiers", "json" as REFERENCE reads
// the updates, and "writer_json" only where the writer itself shows something else. REFERENCE must
// read both blobs alike. Versions before 1.0.0, and exportFrom() and exportSnapshot() of the early ones after
// it, write encodings of another kind: they are in "old" with their mode.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";

const require = createRequire(import.meta.url);
const [writerPath, referencePath] = process.argv.slice(2, 4).map((path) => resolve(path));
const writer = require(writerPath);
const reference = require(referencePath);
const { version } = JSON.parse(readFileSync(`${writerPath}/package.json`, "utf8"));
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const modeOf = (blob) => blob[20] * 256 + blob[21];

// A fixed sequence of numbers, so that a run gives the same edits.
function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, pick: (items) => items[below(items.length)] };
}

const styles = {
  bold: { expand: "after" },
  link: { expand: "none" },
  note: { expand: "both" },
  head: { expand: "before" },
};

function open(peer) {
  const doc = new writer.LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle(styles);
  return doc;
}

function pull(to, from) {
  to.import(from.export({ mode: "update", from: to.version() }));
}

function synchronise(docs) {
  for (let round = 0; round < 2; round += 1)
    for (const a of docs) for (const b of docs) if (a !== b) pull(a, b);
}

// ---- documents -----------------------------------------------------------------------------------

function values() {
  const doc = open("1");
  const map = doc.getMap("values");
  const all = {
    null: null,
    true: true,
    false: false,
    int: -123456789,
    large: 9007199254740991,
    double: 0.1,
    text: "grüße 🙂",
    binary: new Uint8Array([0, 1, 255]),
    "": "empty key",
    "𐀀": "astral key",
    list: [1, [2, "three", null], { four: 4 }],
    object: { b: 1, a: [true, { c: 0.5 }] },
    gone: 1,
  };
  for (const [key, value] of Object.entries(all)) map.set(key, value);
  doc.commit({ message: "first", timestamp: 1700000000 });
  map.delete("gone");
  map.set("int", 7);
  doc.commit({ message: "second: ü🙂", timestamp: 1700000001 });
  return [doc];
}

// Every kind inside every kind that can hold containers.
function nested() {
  const doc = open("18446744073709551614");
  const make = (name) => new writer[name]();
  // Early releases have counters only as roots.
  const kinds = ["LoroMap", "LoroList", "LoroText", "LoroMovableList", "LoroTree", "LoroCounter"].filter(
    (name) => typeof make(name).kind === "function",
  );
  const fill = (child, name, depth) => {
    if (name === "LoroText") {
      child.insert(0, `a𝄞${depth}é`);
      child.mark({ start: 0, end: 3 }, "bold", true);
    } else if (name === "LoroCounter") {
      child.increment(depth + 0.5);
    } else if (name === "LoroTree") {
      const parent = child.createNode();
      parent.data.set("depth", depth);
      const node = child.createNode(parent.id);
      if (depth < 2) fill(node.data.setContainer("text", make("LoroText")), "LoroText", depth + 1);
      child.createNode(parent.id, 0);
    } else if (depth >= 2) {
      if (name === "LoroMap") child.set("leaf", depth);
      else child.insert(0, `leaf ${depth}`);
    } else {
      for (const kind of kinds) {
        const grandchild =
          name === "LoroMap"
            ? child.setContainer(kind, make(kind))
            : child.insertContainer(child.length, make(kind));
        fill(grandchild, kind, depth + 1);
      }
    }
  };
  fill(doc.getMap("map"), "LoroMap", 0);
  doc.commit({ message: "map" });
  fill(doc.getList("list"), "LoroList", 1);
  fill(doc.getMovableList("movable"), "LoroMovableList", 1);
  fill(doc.getTree("tree"), "LoroTree", 0);
  doc.commit();
  doc.getMap("map").delete("LoroList");
  doc.getList("list").delete(1, 2);
  doc.commit();
  return [doc];
}

const words = ["a", "bc", "é", "🙂", "𝄞x", " the ", "\n", "日本"];

// Positions of the JavaScript API are UTF-16 units; this one is between two scalars.
function boundary(text, random) {
  const points = [...text.toString()];
  return points.slice(0, random.below(points.length + 1)).join("").length;
}

function range(text, random) {
  const ends = [boundary(text, random), boundary(text, random)].sort((a, b) => a - b);
  return { start: ends[0], end: ends[1] };
}

function editText(text, random) {
  const roll = random.below(10);
  const { start, end } = range(text, random);
  if (roll < 5) text.insert(start, random.pick(words));
  else if (roll < 7) text.delete(start, Math.min(end, start + 8) < end ? 0 : end - start);
  else if (start === end) text.insert(start, "-");
  else if (roll === 7) text.unmark({ start, end }, random.pick(Object.keys(styles)));
  else text.mark({ start, end }, random.pick(Object.keys(styles)), random.pick([true, "v", 3, null]));
}

function editList(list, random) {
  const roll = random.below(10);
  const { length } = list;
  if (length === 0 || roll < 5) list.insert(random.below(length + 1), random.pick([1, "x", null, 2.5]));
  else if (roll < 7) list.delete(random.below(length), 1);
  else if (list.move && roll === 7) list.set(random.below(length), random.pick(words));
  else if (list.move) list.move(random.below(length), random.below(length));
  else list.insertContainer(random.below(length + 1), new writer.LoroMap()).set("k", roll);
}

function editTree(tree, random) {
  const nodes = tree.getNodes().filter((node) => !(node.isDeleted?.() ?? tree.isNodeDeleted(node.id)));
  const roll = random.below(10);
  if (nodes.length < 3 || roll < 4) {
    const parent = nodes.length && roll ? random.pick(nodes) : undefined;
    (parent ? parent.createNode() : tree.createNode()).data.set("n", roll);
  } else if (roll < 6) {
    tree.delete(random.pick(nodes).id);
  } else {
    const [node, parent] = [random.pick(nodes), random.pick(nodes)];
    try {
      tree.move(node.id, roll === 9 ? undefined : parent.id);
    } catch {
      // A cycle: this version refuses it, and so there is no op.
    }
  }
}

function edit(doc, random, kinds) {
  const kind = random.pick(kinds);
  if (kind === "text") editText(doc.getText("text"), random);
  else if (kind === "list") editList(doc.getList("list"), random);
  else if (kind === "movable") editList(doc.getMovableList("movable"), random);
  else if (kind === "tree") editTree(doc.getTree("tree"), random);
  else if (kind === "counter") doc.getCounter("counter").increment(random.below(9) - 3.5);
  else if (random.below(4) === 0) doc.getMap("map").delete(random.pick(words));
  else doc.getMap("map").set(random.pick(words), random.below(1000));
}

function concurrent(seed, { peers, rounds, edits, kinds }) {
  const random = randomFrom(seed);
  const docs = peers.map(open);
  for (let round = 0; round < rounds; round += 1) {
    docs.forEach((doc, index) => {
      for (let i = 0; i < edits; i += 1) edit(doc, random, kinds);
      doc.commit(round % 2 ? { message: `round ${round}`, timestamp: 1700000000 + round * 7 + index } : {});
    });
    pull(random.pick(docs), random.pick(docs));
    if (round % 3 === 2) synchronise(docs);
  }
  return docs;
}

// Enough text and keys for several change blocks and several blocks of the stores in a snapshot.
function large() {
  const random = randomFrom(5);
  const doc = open("42");
  const text = doc.getText("text");
  for (let i = 0; i < 20; i += 1) {
    text.insert(boundary(text, random), random.pick(words).repeat(random.below(9)) + i);
    for (let j = 0; j < 4; j += 1) doc.getMap("map").set(`key ${(i * 7919) % 97} ${j}`, random.below(1e9));
    if (i % 9 === 0) doc.commit({ message: `step ${i}` });
  }
  for (let i = 0; i < 40; i += 1) doc.getMap("blobs").set(`b${i}`, `${random.below(1e9)}-`.repeat(3));
  doc.getMap("blobs").set("wide", "0123456789".repeat(420));
  doc.commit();
  return [doc];
}

// Deleted in both directions, so that delete spans run either way; roots that end empty.
function emptied() {
  const doc = open("9");
  const text = doc.getText("text");
  text.insert(0, "backwards and forwards");
  doc.commit();
  for (let i = 0; i < 9; i += 1) text.delete(8 - i, 1);
  while (text.length > 3) text.delete(0, 1);
  doc.getList("gone").insert(0, 1);
  doc.getList("gone").delete(0, 1);
  doc.getText("erased").insert(0, "x");
  doc.getText("erased").delete(0, 1);
  doc.commit();
  return [doc];
}

const all = ["text", "list", "movable", "tree", "counter", "map"];
const documents = {
  values,
  nested,
  emptied,
  large,
  concurrent_text: () => concurrent(1, { peers: ["1", "2", "3"], rounds: 10, edits: 7, kinds: ["text"] }),
  concurrent_lists: () =>
    concurrent(2, { peers: ["30", "4", "18446744073709551613"], rounds: 10, edits: 6, kinds: ["list", "movable"] }),
  concurrent_tree: () => concurrent(3, { peers: ["5", "6", "7"], rounds: 10, edits: 5, kinds: ["tree"] }),
  concurrent_all: () =>
    concurrent(4, { peers: ["11", "13", "9223372036854775808", "12"], rounds: 12, edits: 6, kinds: all }),
};

// ---- what they mean ------------------------------------------------------------------------------

function sorted(value) {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

function read(blob) {
  const doc = new reference.LoroDoc();
  doc.import(blob);
  return {
    version: sorted(Object.fromEntries([...doc.oplogVersion().toJSON()].map(([p, n]) => [String(p), n]))),
    frontiers: doc
      .oplogFrontiers()
      .map(({ peer, counter }) => `${counter}@${peer}`)
      .sort(),
    json: sorted(doc.toJSON()),
  };
}

function isEmptyRoot(root) {
  return root === "" || root === 0 || (typeof root === "object" && Object.keys(root).length === 0);
}

const withoutEmptyRoots = (json) =>
  Object.fromEntries(Object.entries(json).filter(([, root]) => !isEmptyRoot(root)));

function describe(name, docs) {
  synchronise(docs);
  const [doc] = docs;
  const updates = doc.export({ mode: "update" });
  const snapshot = doc.export({ mode: "snapshot" });
  const meant = read(updates);
  const fromSnapshot = read(snapshot);
  for (const what of ["version", "frontiers"])
    if (!isDeepStrictEqual(meant[what], fromSnapshot[what])) throw new Error(`${name}: ${what} differs`);
  if (!isDeepStrictEqual(withoutEmptyRoots(meant.json), withoutEmptyRoots(fromSnapshot.json)))
    throw new Error(`${name}: the reference reads updates and snapshot differently`);
  const own = sorted(doc.toJSON());
  const result = { name, ...meant, updates: base64(updates), snapshot: base64(snapshot) };
  if (!isDeepStrictEqual(withoutEmptyRoots(own), withoutEmptyRoots(meant.json))) {
    console.log(`${version} ${name}: the writer shows something else than the reference`);
    result.writer_json = own;
  }
  return result;
}

// What exportFrom() and exportSnapshot() write, where that is an encoding of before 1.0.0.
function oldEncodings() {
  const doc = new (writer.LoroDoc ?? writer.Loro)();
  doc.setPeerId("1");
  doc.getText("text").insert(0, "old");
  doc.getMap("map").set("a", 1);
  doc.commit();
  return [doc.exportFrom?.(), doc.exportSnapshot?.()]
    .filter((blob) => blob && modeOf(blob) !== 3 && modeOf(blob) !== 4)
    .map((blob) => ({ mode: modeOf(blob), blob: base64(blob) }));
}

const hasFastModes = Number(version.split(".")[0]) >= 1 && !version.includes("-");
const made = hasFastModes ? Object.entries(documents).map(([name, make]) => describe(name, make())) : [];
const lines = (items) => `[\n${items.map((item) => JSON.stringify(item)).join(",\n")}\n]`;
writeFileSync(
  new URL(`${version}.json`, import.meta.url),
  `{"version":"${version}","documents":${lines(made)},"old":${lines(oldEncodings())}}\n`,
);
