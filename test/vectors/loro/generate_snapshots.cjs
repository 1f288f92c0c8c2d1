// SPDX-License-Identifier: Apache-2.0
//
// Writes snapshots.json: snapshots made by loro-crdt, with what they mean. Read by
// src/loro/snapshot_test.cc and state_codec_test.cc. Peers and timestamps are fixed, but the order
// of hash maps is not, so that a new run gives other bytes of the same meaning.
//
//   NODE_PATH=test/node/node_modules node test/vectors/loro/generate_snapshots.cjs
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { LoroDoc, LoroMap, LoroList, LoroText, LoroCounter, LoroMovableList } = require("loro-crdt");

function newDoc(peer) {
  const doc = new LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle({
    bold: { expand: "after" },
    link: { expand: "none" },
    comment: { expand: "both" },
  });
  return doc;
}

function sync(a, b) {
  const forB = a.export({ mode: "update", from: b.oplogVersion() });
  const forA = b.export({ mode: "update", from: a.oplogVersion() });
  b.import(forB);
  a.import(forA);
}

function maps() {
  const a = newDoc("1");
  const map = a.getMap("map");
  map.set("null", null);
  map.set("true", true);
  map.set("false", false);
  map.set("int", -123456789);
  map.set("double", 0.1);
  map.set("text", "grüße 🙂");
  map.set("binary", new Uint8Array([0, 1, 255]));
  map.set("list", [1, [2, "three", null], { four: 4 }]);
  map.set("object", { b: 1, a: [true, { c: 0.5 }] });
  map.set("gone", 1);
  map.delete("gone");
  map.set("\u{E000}", "before");
  map.set("\u{10000}", "after");
  map.setContainer("child", new LoroMap()).setContainer("list", new LoroList()).insert(0, "x");
  a.commit();
  const b = newDoc("18446744073709551614");
  b.getMap("map").set("int", 7);
  b.getMap("map").delete("text");
  b.commit();
  sync(a, b);
  return a;
}

function lists() {
  const a = newDoc("1");
  const list = a.getList("list");
  list.insert(0, 1);
  list.insert(1, "two");
  list.insert(2, [3]);
  list.insert(0, null);
  list.insertContainer(4, new LoroText()).insert(0, "inner");
  a.commit();
  const b = newDoc("2");
  sync(a, b);
  for (let i = 0; i < 20; ++i) b.getList("list").insert(i, i);
  a.getList("list").delete(1, 1);
  a.getList("list").insert(1, { k: "v" });
  a.commit();
  b.commit();
  sync(a, b);
  return a;
}

function texts() {
  const a = newDoc("1");
  const text = a.getText("text");
  text.insert(0, "Hello wörld 🙂 end");
  text.mark({ start: 0, end: 5 }, "bold", true);
  text.mark({ start: 3, end: 11 }, "link", "https://example.org/");
  a.commit();
  const b = newDoc("2");
  sync(a, b);
  b.getText("text").insert(5, " there");
  b.getText("text").mark({ start: 2, end: 8 }, "comment", { by: "b", n: [1, 2] });
  a.getText("text").delete(2, 2);
  a.getText("text").unmark({ start: 0, end: 2 }, "bold");
  a.commit();
  b.commit();
  sync(a, b);
  return a;
}

function movableLists() {
  const a = newDoc("1");
  const list = a.getMovableList("movable");
  for (let i = 0; i < 8; ++i) list.insert(i, "item " + i);
  list.setContainer(3, new LoroMap()).set("k", "v");
  a.commit();
  const b = newDoc("2");
  sync(a, b);
  b.getMovableList("movable").move(0, 5);
  b.getMovableList("movable").set(2, "set by b");
  b.getMovableList("movable").move(7, 1);
  a.getMovableList("movable").move(0, 3);
  a.getMovableList("movable").delete(4, 1);
  a.getMovableList("movable").set(2, "set by a");
  a.getMovableList("movable").move(6, 0);
  a.commit();
  b.commit();
  sync(a, b);
  a.getMovableList("movable").move(2, 0);
  a.commit();
  return a;
}

function trees() {
  const a = newDoc("1");
  const tree = a.getTree("tree");
  const root = tree.createNode();
  root.data.set("title", "root");
  const nodes = [];
  for (let i = 0; i < 5; ++i) nodes.push(root.createNode());
  nodes[1].createNode(0);
  const leaf = nodes[1].createNode(0);
  tree.delete(nodes[3].id);
  tree.move(nodes[4].id, nodes[0].id, 0);
  a.commit();
  const b = newDoc("2");
  sync(a, b);
  b.getTree("tree").move(nodes[0].id, nodes[2].id, 0);
  b.getTree("tree").createNode();
  a.getTree("tree").move(nodes[2].id, nodes[0].id, 0);
  a.getTree("tree").delete(nodes[1].id);
  a.getTree("tree").createNode(undefined, 0);
  a.commit();
  b.commit();
  b.getTree("tree").move(leaf.id, root.id, 1);
  b.commit();
  sync(a, b);
  return a;
}

function counters() {
  const a = newDoc("1");
  a.getCounter("counter").increment(41.5);
  a.getCounter("counter").increment(-3);
  a.getMap("map").setContainer("nested", new LoroCounter()).increment(2);
  a.commit();
  return a;
}

function everything() {
  const a = newDoc("1");
  const b = newDoc("9000000000000000000");
  for (const make of [maps, lists, texts, movableLists, trees, counters]) {
    const part = make();
    // The same peers made each part: give every part's content to peers of its own.
    const json = part.toJSON();
    const holder = a.getMap("parts").setContainer(make.name, new LoroText());
    holder.insert(0, JSON.stringify(json, (_, v) => (v instanceof Uint8Array ? [...v] : v)));
  }
  a.getText("text").insert(0, "abc".repeat(100));
  a.getText("text").mark({ start: 10, end: 200 }, "bold", true);
  const movable = a.getMovableList("movable");
  for (let i = 0; i < 30; ++i) movable.insert(0, i);
  for (let i = 0; i < 10; ++i) movable.move(i, 29 - i);
  const tree = a.getTree("tree");
  let node = tree.createNode();
  for (let i = 0; i < 20; ++i) node = i % 3 ? node.createNode() : tree.createNode();
  a.getCounter("counter").increment(1);
  a.getMap("m".repeat(300)).set("k".repeat(300), "long names");
  a.getMap("m".repeat(300) + "2").set("k", "a long common prefix");
  for (let i = 0; i < 300; ++i) a.getMap("big").set("key " + i, i);
  a.commit();
  sync(a, b);
  b.getText("text").insert(150, "from b");
  b.getMovableList("movable").move(3, 20);
  a.getMovableList("movable").move(3, 10);
  a.getText("text").delete(140, 30);
  a.commit();
  b.commit();
  sync(a, b);
  return a;
}

function large() {
  const a = newDoc("1");
  a.getMap("map").set("large", "0123456789".repeat(7000));
  a.getText("text").insert(0, "x");
  a.commit();
  return a;
}

function shallow(tail) {
  const doc = everything();
  const frontiers = doc.oplogFrontiers();
  for (let i = 0; i < tail; ++i) doc.getMap("later").set("k" + (i % 50), i);
  doc.getText("text").insert(0, "later ");
  doc.commit();
  return { doc, blob: doc.export({ mode: "shallow-snapshot", frontiers }) };
}

function toJson(doc) {
  return JSON.parse(
    JSON.stringify(doc.toJSON(), (_, v) => (v instanceof Uint8Array ? [...v] : v))
  );
}

function vector(name, meaning, doc, blob) {
  return {
    name,
    meaning,
    version: Object.fromEntries(
      [...doc.oplogVersion().toJSON()].map(([peer, end]) => [String(peer), end])
    ),
    frontiers: doc.oplogFrontiers().map(({ peer, counter }) => `${counter}@${peer}`),
    changes: doc.changeCount(),
    json: toJson(doc),
    snapshot: Buffer.from(blob ?? doc.export({ mode: "snapshot" })).toString("base64"),
  };
}

const shallowOmitted = shallow(3);
const shallowOverlay = shallow(400);
const vectors = [
  vector("empty", "nothing at all", newDoc("1")),
  vector("map", "every value kind, a tombstone, concurrent writes", maps()),
  vector("list", "two peers, a deletion, a child text", lists()),
  vector("text", "marks of three kinds, one of them undone, concurrent edits", texts()),
  vector("movable_list", "concurrent moves and sets, invisible items", movableLists()),
  vector("tree", "moves that would be a cycle, deleted subtrees", trees()),
  vector("counter", "a root and a child", counters()),
  vector("everything", "all kinds, long keys, many keys", everything()),
  vector("large", "a state and a change block of more than 64 KiB", large()),
  vector("shallow_omitted", "trimmed history; the state at the end is omitted",
         shallowOmitted.doc, shallowOmitted.blob),
  vector("shallow_overlay", "trimmed history; the state at the end is an overlay",
         shallowOverlay.doc, shallowOverlay.blob),
];
const out = path.join(__dirname, "snapshots.json");
fs.writeFileSync(
  out,
  "[\n" + vectors.map((v) => JSON.stringify(v)).join(",\n") + "\n]\n"
);
for (const v of vectors) console.log(v.name, v.snapshot.length);
