// SPDX-License-Identifier: Apache-2.0
//
// Writes movable_list.json and tree.json: documents of several peers, made by npm loro-crdt, each
// as one FastUpdates blob (base64), the snapshot (base64) and the deep value of the root container
// "c". Run it where loro-crdt 1.17.1 can be resolved:
//
//   node generate_movable.mjs OUTPUT_FOLDER
//
// A case also has "edits": local edits by position on the loaded snapshot, as peer 77, with the ops
// that each made, from loro-crdt's JSON export; and "edited", the deep value after them.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { LoroDoc, LoroMap } from "loro-crdt";

const folder = process.argv[2] ?? ".";

// A fixed sequence of numbers, so that a run gives the same cases.
function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return { below: (n) => Math.floor(next() * n), chance: (p) => next() < p };
}

function peers(ids) {
  return ids.map((id) => {
    const doc = new LoroDoc();
    doc.setPeerId(id);
    return doc;
  });
}

function pull(to, from) {
  to.import(from.export({ mode: "update", from: to.version() }));
}

function synchronise(docs) {
  for (const a of docs) for (const b of docs) if (a !== b) pull(a, b);
}

const base64 = (bytes) => Buffer.from(bytes).toString("base64");

function finish(name, docs, options) {
  synchronise(docs);
  const values = docs.map((doc) => JSON.stringify(doc.toJSON()));
  if (values.some((value) => value !== values[0])) throw new Error(`${name}: peers differ`);
  // What a fresh peer makes of the updates is what counts.
  const fresh = new LoroDoc();
  const updates = docs[0].export({ mode: "update" });
  fresh.import(updates);
  const snapshot = docs[0].export({ mode: "snapshot" });
  const value = fresh.toJSON().c;
  if (JSON.stringify(value) !== JSON.stringify(docs[0].toJSON().c)) {
    throw new Error(`${name}: a fresh peer differs`);
  }
  return { name, value, updates: base64(updates), snapshot: base64(snapshot), ...options };
}

// --- Movable list ---

const lists = [];
function list(name, ids, play) {
  const docs = peers(ids);
  play(docs, docs.map((doc) => doc.getMovableList("c")));
  const result = finish(name, docs, {});
  const editor = new LoroDoc();
  editor.setPeerId("77");
  editor.import(Buffer.from(result.snapshot, "base64"));
  result.edits = listEdits(editor, random(name.length));
  result.edited = editor.toJSON().c;
  lists.push(result);
}

function listEdits(doc, { below }) {
  const edits = [];
  const c = doc.getMovableList("c");
  for (let i = 0; i < 12; ++i) {
    const before = doc.version();
    const kind = ["insert", "move", "delete", "set"][i % 4];
    let args;
    if (kind === "insert") args = [below(c.length + 1), `n${i}`];
    if (kind !== "insert" && c.length === 0) continue;
    if (kind === "move") args = [below(c.length), below(c.length)];
    if (kind === "set") args = [below(c.length), `s${i}`];
    if (kind === "delete") {
      const start = below(c.length);
      args = [start, 1 + below(Math.min(3, c.length - start))];
    }
    c[kind](...args);
    doc.commit();
    edits.push({ kind, args, ops: opsSince(doc, before) });
  }
  return edits;
}

function opsSince(doc, before) {
  const updates = doc.exportJsonUpdates(before, undefined, false);
  return updates.changes.flatMap((change) => change.ops.map((op) => op.content));
}

list("empty after deletes", ["1"], (_, [c]) => {
  c.push("a");
  c.push("b");
  c.delete(0, 2);
});
list("moves of one peer", ["1"], (_, [c]) => {
  for (const value of ["a", "b", "c", "d", "e"]) c.push(value);
  c.move(0, 3);
  c.move(4, 0);
  c.move(2, 3);
  c.set(1, { deep: [1, 2.5, null, true] });
});
list("move and delete: the move wins", ["1", "2"], (docs, [a, b]) => {
  for (const value of ["a", "b", "c", "d"]) a.push(value);
  pull(docs[1], docs[0]);
  a.move(0, 3);
  b.delete(0, 1);
});
list("two moves: the later wins and leaves an item", ["1", "18446744073709551610"], (docs, [a, b]) => {
  for (const value of ["a", "b", "c", "d", "e"]) a.push(value);
  pull(docs[1], docs[0]);
  a.move(0, 2);
  b.move(0, 4);
  a.move(3, 1);
  a.move(1, 0);
});
list("delete and set: it stays deleted", ["1", "2"], (docs, [a, b]) => {
  for (const value of ["a", "b", "c"]) a.push(value);
  pull(docs[1], docs[0]);
  a.set(1, "A");
  b.delete(1, 1);
});
list("move of an element that was set and deleted elsewhere", ["1", "2", "3"], (docs, [a, b, c]) => {
  for (const value of ["a", "b", "c"]) a.push(value);
  pull(docs[1], docs[0]);
  pull(docs[2], docs[0]);
  b.set(1, "B1");
  b.set(1, "B2");
  b.delete(1, 1);
  c.move(1, 0);
  c.set(0, "C");
});
list("equal values set concurrently", ["1", "2", "3"], (docs, [a, b, c]) => {
  a.push("a");
  pull(docs[1], docs[0]);
  pull(docs[2], docs[0]);
  a.set(0, "same");
  b.set(0, "same");
  c.set(0, "a");
  pull(docs[0], docs[1]);
  pull(docs[0], docs[2]);
  a.set(0, "a");
});
list("containers as elements", ["1", "2"], (docs, [a, b]) => {
  a.insertContainer(0, new LoroMap()).set("k", 1);
  a.push("x");
  pull(docs[1], docs[0]);
  b.setContainer(1, new LoroMap()).set("l", 2);
  a.move(0, 1);
  b.delete(0, 1);
});

function randomList(seed) {
  const { below, chance } = random(seed);
  const ids = ["1", "2", "9223372036854775809", "3"].slice(0, 2 + below(3));
  list(`random ${seed}`, ids, (docs, containers) => {
    for (let step = 0; step < 60; ++step) {
      const who = below(docs.length);
      const c = containers[who];
      if (chance(0.25)) {
        pull(docs[who], docs[below(docs.length)]);
      } else if (c.length === 0 || chance(0.35)) {
        c.insert(below(c.length + 1), `${who}.${step}`);
      } else if (chance(0.5)) {
        c.move(below(c.length), below(c.length));
      } else if (chance(0.5)) {
        c.set(below(c.length), `${who}.${step}`);
      } else {
        const start = below(c.length);
        c.delete(start, 1 + below(Math.min(3, c.length - start)));
      }
    }
  });
}
for (let seed = 1; seed <= 25; ++seed) randomList(seed);

// --- Tree ---

const trees = [];
function tree(name, ids, play) {
  const docs = peers(ids);
  play(docs, docs.map((doc) => doc.getTree("c")));
  const result = finish(name, docs, {});
  const editor = new LoroDoc();
  editor.setPeerId("77");
  editor.import(Buffer.from(result.snapshot, "base64"));
  result.edits = treeEdits(editor, random(name.length));
  result.edited = editor.toJSON().c;
  trees.push(result);
}

const nodeIds = (c) => c.nodes().map((node) => node.id).sort();

function treeEdits(doc, { below, chance }) {
  const edits = [];
  const c = doc.getTree("c");
  for (let i = 0; i < 16; ++i) {
    const before = doc.version();
    const ids = nodeIds(c);
    const parent = ids.length === 0 || chance(0.4) ? undefined : ids[below(ids.length)];
    const node = ids[below(ids.length)];
    const siblings =
      parent === undefined ? c.roots().length : (c.getNodeByID(parent).children() ?? []).length;
    const index = chance(0.3) ? undefined : below(siblings + 1);
    const kind = ["create", "move", "create", "move", "delete"][i % 5];
    if (kind !== "create" && node === undefined) continue;
    const args = kind === "create" ? [parent, index] : kind === "move" ? [node, parent, index] : [node];
    const method = { create: "createNode", move: "move", delete: "delete" }[kind];
    let failed = false;
    try {
      c[method](...args);
    } catch {
      failed = true;
    }
    doc.commit();
    edits.push({
      kind,
      args: args.map((arg) => arg ?? null),
      failed,
      ops: opsSince(doc, before),
    });
  }
  return edits;
}

tree("nested with metadata", ["1"], (_, [c]) => {
  const a = c.createNode();
  const b = a.createNode();
  b.createNode().data.set("deep", [1, { x: null }]);
  a.createNode(0);
  c.createNode(undefined, 0).data.set("k", "v");
  c.createNode(undefined, 1);
});
tree("concurrent cycle", ["1", "2"], (docs, [a, b]) => {
  const x = a.createNode();
  const y = a.createNode();
  pull(docs[1], docs[0]);
  a.move(x.id, y.id);
  b.move(y.id, x.id);
});
tree("cycle of three, then undone", ["1", "2", "3"], (docs, [a, b, c]) => {
  const [x, y, z] = [a.createNode(), a.createNode(), a.createNode()];
  pull(docs[1], docs[0]);
  pull(docs[2], docs[0]);
  a.move(x.id, y.id);
  b.createNode();
  b.move(y.id, z.id);
  c.move(z.id, x.id);
  c.move(z.id, undefined, 0);
});
tree("deleted parent with children that move out", ["1", "2"], (docs, [a, b]) => {
  const x = a.createNode();
  const y = x.createNode();
  const z = y.createNode();
  z.data.set("name", "z");
  pull(docs[1], docs[0]);
  a.delete(x.id);
  b.move(y.id, undefined);
  b.createNode(x.id);
});
tree("equal positions", ["1", "2", "18446744073709551610"], (docs, trees_) => {
  for (const c of trees_) for (let i = 0; i < 3; ++i) c.createNode(undefined, 0);
});

function randomTree(seed) {
  const { below, chance } = random(seed * 7919);
  const ids = ["1", "2", "9223372036854775809", "3"].slice(0, 2 + below(3));
  tree(`random ${seed}`, ids, (docs, containers) => {
    for (let step = 0; step < 60; ++step) {
      const who = below(docs.length);
      const c = containers[who];
      const nodes = nodeIds(c);
      const pick = () => (nodes.length === 0 || chance(0.3) ? undefined : nodes[below(nodes.length)]);
      try {
        if (chance(0.25)) {
          pull(docs[who], docs[below(docs.length)]);
        } else if (nodes.length === 0 || chance(0.3)) {
          const parent = pick();
          const siblings = parent === undefined ? c.roots() : c.getNodeByID(parent).children() ?? [];
          c.createNode(parent, below(siblings.length + 1));
        } else if (chance(0.75)) {
          const parent = pick();
          const siblings = parent === undefined ? c.roots() : c.getNodeByID(parent).children() ?? [];
          c.move(nodes[below(nodes.length)], parent, below(siblings.length + 1));
        } else {
          c.delete(nodes[below(nodes.length)]);
        }
      } catch {
        // A cycle, a deleted node or an index too far: no op was made.
      }
    }
  });
}
for (let seed = 1; seed <= 25; ++seed) randomTree(seed);

const lines = (cases) => `[\n${cases.map((item) => JSON.stringify(item)).join(",\n")}\n]\n`;
writeFileSync(join(folder, "movable_list.json"), lines(lists));
writeFileSync(join(folder, "tree.json"), lines(trees));
