// SPDX-License-Identifier: Apache-2.0
//
// Delta mirror: what somebody sees who knows a document by its deltas alone, in the shape of loro-crdt's diffs,
// [[container id, diff], ...]. It holds what every container shows; what is not shown any more is forgotten, and comes
// back whole.

import assert from "node:assert/strict";

const bird = "🦜:";
const isContainer = (value) =>
  typeof value === "string" && value.startsWith(bird);
const kindOf = (id) => id.slice(id.lastIndexOf(":") + 1);
const isRoot = (id) => id.startsWith("cid:root-") && !id.includes("🤝:");
const dataOf = (node) => `cid:${node}:Map`;

export class DeltaMirror {
  #containers = new Map();
  // `positions`: in what a text's positions count, "scalars" or "utf16".
  constructor(positions = "scalars") {
    this.positions = positions;
  }

  apply(delta) {
    for (const [id, diff] of delta) {
      if (!this.#containers.has(id)) this.#containers.set(id, emptyContent());
      const content = this.#containers.get(id);
      switch (diff.type) {
        case "text":
          content.text = this.#applyText(content.text, diff.diff);
          break;
        case "list":
          content.list = applyList(content.list, diff.diff);
          break;
        case "map":
          for (const [key, value] of Object.entries(diff.updated))
            if (value === undefined) content.map.delete(key);
            else content.map.set(key, value);
          for (const key of diff.deleted ?? []) {
            assert(content.map.delete(key), `${id}: no key ${key}`);
          }
          break;
        case "tree":
          for (const step of diff.diff) applyTreeStep(content, step);
          break;
        case "counter":
          content.sum += diff.increment;
          break;
        default:
          assert.fail(`no diff of type ${diff.type}`);
      }
    }
    this.#forgetUnseen();
  }

  #applyText(old, steps) {
    return applySteps(old, steps, {
      pieces: (step) =>
        splitText(step.insert, this.positions).map((text) => ({
          text,
          attributes: { ...step.attributes },
        })),
      retained: (unit, { attributes = {} }) => {
        const merged = { ...unit.attributes, ...attributes };
        for (const key of Object.keys(merged))
          if (merged[key] === null) delete merged[key];
        return { text: unit.text, attributes: merged };
      },
    });
  }

  #forgetUnseen() {
    const seen = new Set();
    const queue = [...this.#containers.keys()].filter(isRoot);
    const add = (value) => {
      if (isContainer(value)) queue.push(value.slice(bird.length));
      else if (Array.isArray(value)) value.forEach(add);
      else if (value && typeof value === "object")
        Object.values(value).forEach(add);
    };
    while (queue.length > 0) {
      const id = queue.pop();
      if (seen.has(id)) continue;
      seen.add(id);
      const content = this.#containers.get(id);
      if (!content) continue;
      content.list.forEach(add);
      content.map.forEach(add);
      for (const node of content.nodes.keys()) queue.push(dataOf(node));
    }
    for (const id of this.#containers.keys())
      if (!seen.has(id)) this.#containers.delete(id);
  }

  // The deep value, as toJSON has it; with ids and positions of tree nodes only if `withNodes`.
  json({ withNodes = true } = {}) {
    const roots = {};
    for (const id of this.#containers.keys())
      if (isRoot(id))
        roots[id.slice("cid:root-".length, id.lastIndexOf(":"))] = this.#value(
          id,
          withNodes,
        );
    return roots;
  }

  // Rich text deltas by container.
  texts() {
    const texts = {};
    for (const [id, { text }] of this.#containers)
      if (kindOf(id) === "Text")
        texts[id] = text.map((unit) => ({
          insert: unit.text,
          attributes: unit.attributes,
        }));
    return texts;
  }

  #value(id, withNodes) {
    const content = this.#containers.get(id) ?? emptyContent();
    const plain = (value) => {
      if (isContainer(value))
        return this.#value(value.slice(bird.length), withNodes);
      if (Array.isArray(value)) return value.map(plain);
      if (value && typeof value === "object")
        return Object.fromEntries(
          Object.entries(value).map(([key, item]) => [key, plain(item)]),
        );
      return value;
    };
    const nodes = (list, parent) =>
      list.map((node, index) => ({
        ...(withNodes && {
          id: node,
          parent,
          fractional_index: content.nodes.get(node).position,
        }),
        index,
        meta: this.#value(dataOf(node), withNodes),
        children: nodes(content.nodes.get(node).children, node),
      }));
    switch (kindOf(id)) {
      case "Text":
        return content.text.map(({ text }) => text).join("");
      case "List":
      case "MovableList":
        return content.list.map(plain);
      case "Map":
        return Object.fromEntries(
          [...content.map].map(([key, value]) => [key, plain(value)]),
        );
      case "Tree":
        return nodes(content.roots, null);
      default:
        return content.sum;
    }
  }
}

const emptyContent = () => ({
  text: [],
  list: [],
  map: new Map(),
  nodes: new Map(),
  roots: [],
  sum: 0,
});

const splitText = (text, positions) =>
  positions === "utf16" ? text.split("") : [...text];

// Walks a delta over the old elements.
function applySteps(old, steps, { pieces, retained }) {
  const result = [];
  let at = 0;
  for (const step of steps) {
    if (step.insert !== undefined) {
      result.push(...pieces(step));
      continue;
    }
    const length = step.retain ?? step.delete;
    assert(
      at + length <= old.length,
      `a delta reaches ${at + length} of ${old.length}`,
    );
    if (step.retain !== undefined)
      for (const element of old.slice(at, at + length))
        result.push(retained(element, step));
    at += length;
  }
  result.push(...old.slice(at));
  return result;
}

const applyList = (list, steps) =>
  applySteps(list, steps, {
    pieces: (step) => step.insert,
    retained: (value) => value,
  });

function applyTreeStep(content, step) {
  const siblingsOf = (parent) =>
    parent ? content.nodes.get(parent)?.children : content.roots;
  const known = content.nodes.get(step.target);
  assert.equal(
    known !== undefined,
    step.action !== "create",
    `${step.action} ${step.target}`,
  );
  if (known) {
    const siblings = siblingsOf(known.parent);
    siblings.splice(siblings.indexOf(step.target), 1);
  }
  if (step.action === "delete") {
    const forget = (node) => {
      content.nodes.get(node).children.forEach(forget);
      content.nodes.delete(node);
    };
    forget(step.target);
    return;
  }
  const parent = step.parent ?? null;
  const siblings = siblingsOf(parent);
  assert(siblings, `no node ${parent}`);
  assert(step.index <= siblings.length, `index ${step.index} of ${parent}`);
  siblings.splice(step.index, 0, step.target);
  content.nodes.set(step.target, {
    parent,
    position: step.fractionalIndex,
    children: known?.children ?? [],
  });
}
