// SPDX-License-Identifier: Apache-2.0
//
// Writes change_blocks.json: FastUpdates blobs made by npm loro-crdt, and what they hold according
// to its JSON export. Run it where loro-crdt 1.17.1 can be resolved:
//
//   node generate_change_blocks.mjs > change_blocks.json
//
// "canonical": Loro's bytes depend on nothing but the content, so our writer must give the same.
// Not so when a change depends on several other peers, whose order Loro takes from a hash table.

import {
  LoroCounter,
  LoroDoc,
  LoroList,
  LoroMap,
  LoroMovableList,
  LoroText,
  LoroTree,
} from "loro-crdt";

function newDoc(peer) {
  const doc = new LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle({
    bold: { expand: "after" },
    link: { expand: "none" },
    both: { expand: "both" },
    before: { expand: "before" },
  });
  return doc;
}

const cases = [];
function add(name, doc, from) {
  doc.commit();
  const updates = doc.exportJsonUpdates(from, undefined, false);
  cases.push({
    name,
    canonical: updates.changes.every(
      (change) =>
        change.deps.filter((dep) => dep.split("@")[1] !== change.id.split("@")[1]).length < 2,
    ),
    blob: Buffer.from(doc.export({ mode: "update", from })).toString("hex"),
    changes: updates.changes,
  });
}
function single(name, edit) {
  const doc = newDoc("1");
  edit(doc);
  add(name, doc);
}

single("map set", (doc) => doc.getMap("m").set("k", "v"));
single("map set and delete", (doc) => {
  const map = doc.getMap("m");
  map.set("k", 1);
  map.set("l", 2);
  map.delete("k");
});
single("values", (doc) => {
  const map = doc.getMap("m");
  const values = [null, true, false, 0, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 40), 2 ** 52, 0.5];
  values.push(-0.1, 1e300, "", "text", "\u{1F600} \u6f22", [], {}, [1, [2, [3, {}]]]);
  values.push({ a: 1, b: { c: [true, null], a: "again" } });
  values.forEach((value, i) => map.set(`k${i}`, value));
  doc.getList("l").push({ k1: { k2: "keys that are known" }, a: [] });
});
single("text typed in one commit", (doc) => {
  [..."hello"].forEach((c, i) => doc.getText("t").insert(i, c));
});
single("text typed in many commits", (doc) => {
  [..."hello world"].forEach((c, i) => {
    doc.getText("t").insert(i, c);
    doc.commit();
  });
});
single("text backspaces", (doc) => {
  const text = doc.getText("t");
  text.insert(0, "hello world");
  for (const i of [8, 7, 6]) text.delete(i, 1);
  for (let i = 0; i < 3; ++i) text.delete(1, 1);
  text.delete(0, 2);
  text.delete(1, 1);
});
single("text astral", (doc) => {
  const text = doc.getText("t");
  text.insert(0, "a\u{1F600}\u{1D4B3}e\u0301");
  text.insert(3, "\u6f22");
  text.delete(1, 2);
});
single("text long", (doc) => doc.getText("t").insert(0, "0123456789".repeat(700)));
single("marks", (doc) => {
  const text = doc.getText("t");
  text.insert(0, "hello world");
  text.mark({ start: 0, end: 5 }, "bold", true);
  text.mark({ start: 2, end: 7 }, "link", { url: "https://example.org", bold: 1 });
  text.mark({ start: 3, end: 4 }, "both", "x");
  text.mark({ start: 0, end: 11 }, "before", 1);
  text.insert(8, "X");
  text.unmark({ start: 1, end: 3 }, "bold");
  text.unmark({ start: 2, end: 4 }, "link");
});
single("list", (doc) => {
  const list = doc.getList("l");
  list.push(1);
  list.push("two");
  list.insert(0, [3]);
  list.insertContainer(1, new LoroMap()).set("in", "a list");
  list.delete(2, 2);
});
single("movable list", (doc) => {
  const list = doc.getMovableList("l");
  for (const value of ["a", "b", "c", "d"]) list.push(value);
  list.move(0, 2);
  list.set(1, { nested: [1, 2] });
  list.setContainer(0, new LoroText()).insert(0, "in");
  list.delete(1, 2);
});
single("tree", (doc) => {
  const tree = doc.getTree("t");
  const root = tree.createNode();
  const child = root.createNode();
  root.createNode(0);
  const other = tree.createNode(undefined, 0);
  root.data.set("title", "root");
  tree.move(child.id, other.id);
  tree.delete(root.id);
});
single("tree with many positions", (doc) => {
  const tree = doc.getTree("t");
  for (let i = 0; i < 40; ++i) tree.createNode(undefined, i % 3 === 0 ? 0 : (i * 7) % (i + 1));
});
single("counter", (doc) => {
  const counter = doc.getCounter("n");
  for (const delta of [1, -1, 0.5, 134217727, 134217728, -134217727, -134217728, 1e-17, 1e300]) {
    counter.increment(delta);
  }
});
single("every container in every container", (doc) => {
  const make = () => [
    new LoroMap(),
    new LoroList(),
    new LoroText(),
    new LoroTree(),
    new LoroMovableList(),
    new LoroCounter(),
  ];
  make().forEach((child, i) => doc.getMap("m").setContainer(`c${i}`, child));
  make().forEach((child) => doc.getList("l").pushContainer(child));
  make().forEach((child) => doc.getMovableList("l").pushContainer(child));
  doc.getTree("t").createNode().data.setContainer("deep", new LoroMap()).set("x", 1);
});
single("one name, every kind", (doc) => {
  doc.getMap("a").set("a", "a");
  doc.getList("a").push(1);
  doc.getText("a").insert(0, "a");
  doc.getMovableList("a").push(1);
  doc.getTree("a").createNode();
  doc.getCounter("a").increment(1);
});
single("messages and timestamps", (doc) => {
  const steps = [0, 1, 60, 64, 65, 300, 3000, 5000, 2000000, 1, 10000000, 0, 2 ** 33];
  let timestamp = 1700000000;
  steps.forEach((step, i) => {
    timestamp += step;
    doc.getMap("m").set("k", i);
    doc.commit({ timestamp, message: i % 3 === 1 ? `message ${i} \u00e9` : undefined });
  });
});
for (const count of [2, 7, 8, 9, 10, 64, 65, 66, 200]) {
  single(`${count} changes`, (doc) => {
    for (let i = 0; i < count; ++i) {
      doc.getMap("m").set("k", i % 2);
      doc.commit({ message: `${i % 5}` });
    }
  });
}
{
  const peers = ["18446744073709551614", "9223372036854775808", "42"];
  const docs = peers.map(newDoc);
  for (let round = 0; round < 4; ++round) {
    docs.forEach((doc, i) => {
      doc.getText("t").insert(0, `${i}`);
      doc.getList("l").push(round);
      doc.commit({ message: `${round}` });
    });
    docs[1].import(docs[0].export({ mode: "update" }));
    if (round % 2 === 1) docs[2].import(docs[1].export({ mode: "update" }));
    const text = docs[2].getText("t");
    text.delete(0, Math.min(3, text.length));
  }
  add("three peers that meet", docs[2]);
  add("the tail of three peers", docs[2], docs[0].oplogVersion());
}
{
  const doc = newDoc("5");
  doc.getText("t").insert(0, "hello");
  doc.commit();
  const version = doc.oplogVersion();
  doc.getText("t").insert(5, " world");
  add("a slice of a run", doc, version);
}

process.stdout.write(`[\n${cases.map((one) => JSON.stringify(one)).join(",\n")}\n]\n`);
