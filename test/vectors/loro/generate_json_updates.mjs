// SPDX-License-Identifier: Apache-2.0
//
// Writes json_updates.json: documents made by npm loro-crdt, each as JSON updates (the text that
// exportJsonUpdates stands for), as one FastUpdates blob (base64), and as the deep value that the
// blob means. Run it where loro-crdt 1.17.1 can be resolved:
//
//   node generate_json_updates.mjs OUTPUT_FOLDER

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  LoroCounter,
  LoroDoc,
  LoroList,
  LoroMap,
  LoroMovableList,
  LoroText,
  LoroTree,
} from "loro-crdt";

const folder = process.argv[2] ?? ".";

function document(peer) {
  const doc = new LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle({
    bold: { expand: "after" },
    link: { expand: "none" },
    note: { expand: "both" },
    head: { expand: "before" },
  });
  return doc;
}

const cases = {
  "nothing at all": () => document("1"),

  "text with marks and deletes": () => {
    const doc = document("5");
    const text = doc.getText("body");
    text.insert(0, 'hello 😀 "wor\\ld"\n\u0000\u2028e\u0301');
    text.mark({ start: 0, end: 3 }, "bold", true);
    text.mark({ start: 2, end: 8 }, "link", { href: "x", n: [1, null] });
    text.mark({ start: 1, end: 4 }, "note", 7);
    text.mark({ start: 1, end: 4 }, "head", "h");
    text.delete(3, 2);
    text.unmark({ start: 0, end: 1 }, "bold");
    for (let at = 3; at > 1; at -= 1) text.delete(at - 1, 1);
    text.insert(1, "X");
    return doc;
  },

  "values of a map": () => {
    const doc = document("18446744073709551614");
    const map = doc.getMap("заметка 𝄞");
    const values = [
      null,
      true,
      false,
      0,
      -1,
      2 ** 53 - 1,
      1 - 2 ** 53,
      0.5,
      -0.1,
      1e21,
      1.5e300,
      5e-324,
      "",
      "x\u007f\u0080",
      [],
      [[[]]],
      {},
      { b: [1, { c: "x" }], a: "" },
    ];
    values.forEach((value, i) => map.set(`k${i}`, value));
    map.set("", "empty key");
    map.delete("k3");
    map.set("gone", 1);
    map.delete("gone");
    return doc;
  },

  "children of every kind": () => {
    const doc = document("9");
    const map = doc.getMap("map");
    map.setContainer("text", new LoroText()).insert(0, "x");
    map.setContainer("map", new LoroMap()).set("k", "v");
    map.setContainer("counter", new LoroCounter()).increment(1.5);
    const list = map.setContainer("list", new LoroList());
    list.insert(0, 1);
    list.insert(1, "a");
    list.insertContainer(1, new LoroMap()).set("in", "list");
    list.delete(0, 1);
    const movable = map.setContainer("movable", new LoroMovableList());
    movable.insert(0, 1);
    movable.insert(1, "a");
    movable.insert(2, [2]);
    movable.move(0, 2);
    movable.set(0, { q: 1 });
    movable.setContainer(1, new LoroText()).insert(0, "set");
    movable.delete(0, 1);
    const tree = map.setContainer("tree", new LoroTree());
    const root = tree.createNode();
    const child = root.createNode();
    const other = root.createNode(0);
    child.move(undefined, 0);
    root.data.set("name", "root");
    tree.delete(other.id);
    return doc;
  },

  counters: () => {
    const doc = document("4");
    const counter = doc.getCounter("c");
    for (const by of [1, -2.5, 134217727, 134217728, 1e-17, -1e300])
      counter.increment(by);
    return doc;
  },

  "messages and timestamps": () => {
    const doc = document("2");
    const list = doc.getList("l");
    list.insert(0, 1);
    doc.commit({ message: 'first "one" 𝄞', timestamp: 1_700_000_000 });
    list.insert(1, 2);
    doc.commit({ timestamp: 1_800_000_000 });
    list.insert(0, 0);
    doc.commit({ message: "last" });
    return doc;
  },

  "three peers": () => {
    const docs = ["3", "1", "9223372036854775809"].map(document);
    const exchange = () => {
      for (const to of docs)
        for (const from of docs)
          to.import(from.export({ mode: "update", from: to.version() }));
    };
    docs.forEach((doc, i) => {
      doc.getText("t").insert(0, "abc".repeat(i + 1));
      doc.getMap("m").set("k", i);
      doc.getMovableList("l").insert(0, i);
      doc.commit({ message: `of ${i}` });
    });
    exchange();
    docs.forEach((doc, i) => {
      doc.getText("t").delete(i, 4);
      doc.getMovableList("l").move(0, 2);
      doc.getMovableList("l").set(1, `set ${i}`);
      doc.commit();
    });
    exchange();
    docs[0].getText("t").insert(1, "end");
    return docs[0];
  },

  "mergeable children": () => {
    const docs = ["1", "2"].map(document);
    docs.forEach((doc, i) => {
      const map = doc.getMap("m");
      const inner = map.ensureMergeableMap("in > \\ /");
      inner.ensureMergeableText("text").insert(0, `of ${i}`);
      inner.ensureMergeableCounter("counter").increment(i + 1);
      map.ensureMergeableList("").insert(0, i);
      map.ensureMergeableMovableList("movable").insert(0, i);
      map.ensureMergeableTree("tree").createNode().data.set("i", i);
    });
    docs[0].import(docs[1].export({ mode: "update" }));
    const node = docs[0].getTree("nodes").createNode();
    node.data.ensureMergeableText("note").insert(0, "x");
    docs[0].getMap("m").ensureMergeableText("empty");
    docs[0].getMap("m").ensureMergeableText("hidden").insert(0, "x");
    docs[0].getMap("m").delete("hidden");
    return docs[0];
  },
};

const vectors = Object.entries(cases).map(([name, make]) => {
  const doc = make();
  doc.commit();
  const updates = doc.exportJsonUpdates();
  return {
    name,
    updates: JSON.stringify(updates),
    blob: Buffer.from(doc.export({ mode: "update" })).toString("base64"),
    json: doc.toJSON(),
  };
});
writeFileSync(
  join(folder, "json_updates.json"),
  `${JSON.stringify(vectors, null, 1)}\n`,
);
