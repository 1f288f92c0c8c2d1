// SPDX-License-Identifier: Apache-2.0
//
// The edits of differential cases: which containers a document has, and what to do to one of them.

const mapKeys = [
  "a",
  "b",
  "title",
  "k",
  "",
  "ключ",
  "𝄞",
  "long key with spaces and \u0001",
];
const mergeableKeys = ["m", "n>\\/", "a"];
const words = [
  "a",
  "hello",
  "é",
  "e\u0301",
  "𝄞",
  "\n",
  "\r\n",
  "👩‍👩‍👧",
  "🇩🇪",
  "👍🏽",
  "\u200d",
  "日本語",
  '"\\',
  "The quick brown fox ",
  "\u0000x",
  "z̈",
  "𝔘𝔫𝔦",
  "\ufeff",
  "אב",
];
const numbers = [
  0,
  1,
  -1,
  127,
  128,
  255,
  65536,
  2 ** 31,
  -(2 ** 31),
  2 ** 53 - 1,
  1 - 2 ** 53,
  0.5,
  -0.1,
  1e21,
  1.5e300,
  5e-324,
];
const dyadic = [1, -1, 0.5, -2.25, 3, 1024, -0.125];
const timestamps = [0, 1, 1000, 1_700_000_000, 1_700_000_500, 4_000_000_000];

export const kindOf = (id) => id.slice(id.lastIndexOf(":") + 1);

// ---- containers ----------------------------------------------------------------------------------------------------

function emptyContainer(kind) {
  return { kind, length: 0, holds: [], keys: new Map(), nodes: [] };
}

const isContainer = (value) =>
  value !== null && typeof value === "object" && typeof value.cid === "string";

// The containers of a document, by id, and what an edit needs to know of each: {length} of sequences, {keys} of maps
// with whether they hold containers, {nodes} of trees. `deep` is loro-crdt's getDeepValueWithID().
export function containersOf(deep, roots) {
  const found = new Map(roots.map((id) => [id, emptyContainer(kindOf(id))]));
  const visit = ({ cid, value }) => {
    const entry = emptyContainer(kindOf(cid));
    found.set(cid, entry);
    if (entry.kind === "Text") entry.length = [...value].length;
    if (entry.kind === "List" || entry.kind === "MovableList") {
      entry.length = value.length;
      entry.holds = value.map(isContainer);
      value.filter(isContainer).forEach(visit);
    }
    if (entry.kind === "Map") {
      for (const [key, child] of Object.entries(value)) {
        entry.keys.set(key, isContainer(child));
        if (isContainer(child)) visit(child);
      }
    }
    if (entry.kind === "Tree") {
      const visitNode = (node) => {
        entry.nodes.push(node.id);
        // What a node holds is shown without ids, so only its own slots are known.
        const data = emptyContainer("Map");
        for (const key of Object.keys(node.meta)) data.keys.set(key, true);
        found.set(`cid:${node.id}:Map`, data);
        node.children.forEach(visitNode);
      };
      value.forEach(visitNode);
    }
  };
  Object.values(deep).filter(isContainer).forEach(visit);
  return found;
}

// The entry of a container that an op has just made.
export const madeContainer = (id) => emptyContainer(kindOf(id));

// ---- values --------------------------------------------------------------------------------------------------------

function randomText(random) {
  return Array.from({ length: random.between(1, 3) }, () =>
    random.pick(words),
  ).join("");
}

function randomValue(random, depth = 0) {
  switch (random.below(depth > 2 ? 5 : 8)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.pick(numbers);
    case 2:
      return random.between(-1000, 1000);
    case 3:
      return random.between(-1000, 1000) / 8;
    case 4:
      return randomText(random);
    case 5:
      return Array.from({ length: random.below(4) }, () =>
        randomValue(random, depth + 1),
      );
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(3) }, () => [
          random.pick(mapKeys),
          randomValue(random, depth + 1),
        ]),
      );
  }
}

// What a commit says besides its ops.
export function randomCommitOptions(random) {
  const options = {};
  if (random.chance(0.5)) options.message = randomText(random);
  if (random.chance(0.5)) options.timestamp = random.pick(timestamps);
  return options;
}

// ---- edits ---------------------------------------------------------------------------------------------------------

// One operation, or a run of them as typing makes, on one container: {ops, removesContainers, mayBeRefused}. The entry
// is brought up to what it will be after them.
const planners = {
  Text(random, entry, { features }) {
    const roll = random.below(100);
    if (features.has("marks") && entry.length > 0 && roll < 22) {
      const start = random.below(entry.length);
      const end = random.between(start + 1, entry.length);
      const style = random.pick(["bold", "link", "note", "head"]);
      if (random.chance(0.3)) return { ops: [{ unmark: [start, end, style] }] };
      const value = random.pick([true, true, "x", 7, null, { a: [1] }]);
      return { ops: [{ mark: [start, end, style, value] }] };
    }
    if (entry.length === 0 || roll < 50) {
      const text = randomText(random);
      const at = random.below(entry.length + 1);
      entry.length += [...text].length;
      return { ops: [{ insert: [at, text] }] };
    }
    if (roll < 68) {
      const at = random.below(entry.length + 1);
      const length = random.between(2, 5);
      entry.length += length;
      return {
        ops: Array.from({ length }, (_, i) => ({
          insert: [at + i, random.pick(["x", "y", "é", "𝄞"])],
        })),
      };
    }
    if (roll < 82) {
      const at = random.below(entry.length);
      const length = Math.min(entry.length - at, random.between(1, 6));
      entry.length -= length;
      return { ops: [{ delete: [at, length] }] };
    }
    const end = random.between(1, entry.length);
    const length = Math.min(end, random.between(1, 4));
    entry.length -= length;
    if (random.chance(0.3))
      return {
        ops: Array.from({ length }, () => ({ delete: [end - length, 1] })),
      };
    return {
      ops: Array.from({ length }, (_, i) => ({ delete: [end - 1 - i, 1] })),
    };
  },
  List(random, entry, { childKinds, nest, movable = false }) {
    const roll = random.below(100);
    if (movable && entry.length > 0 && roll < 40) {
      const [from, to] = [
        random.below(entry.length),
        random.below(entry.length),
      ];
      if (roll < 17)
        return {
          ops: [{ set: [from, randomValue(random)] }],
          removesContainers: true,
        };
      return { ops: [{ move: [from, to] }], removesContainers: true };
    }
    if (entry.length > 0 && roll >= 70) {
      const at = random.below(entry.length);
      const length = Math.min(entry.length - at, random.between(1, 3));
      entry.length -= length;
      const removed = entry.holds.splice(at, length);
      return {
        ops: [{ delete: [at, length] }],
        removesContainers: removed.some(Boolean),
      };
    }
    const at = random.below(entry.length + 1);
    entry.length += 1;
    if (nest && (movable ? roll >= 60 : roll < 18)) {
      entry.holds.splice(at, 0, true);
      return { ops: [{ insertContainer: [at, random.pick(childKinds)] }] };
    }
    entry.holds.splice(at, 0, false);
    return { ops: [{ insert: [at, randomValue(random)] }] };
  },
  MovableList(random, entry, context) {
    return planners.List(random, entry, { ...context, movable: true });
  },
  Map(random, entry, { features, childKinds, nest }) {
    const roll = random.below(100);
    const present = [...entry.keys.keys()];
    if (present.length > 0 && roll < 20) {
      const key = random.pick(present);
      const removesContainers = entry.keys.get(key);
      entry.keys.delete(key);
      return { ops: [{ delete: [key] }], removesContainers };
    }
    if (features.has("mergeable") && nest && roll < 34) {
      const key = random.pick(mergeableKeys);
      const op = { ensureMergeable: [key, random.pick(childKinds)] };
      // Refused if the slot holds something else.
      return { ops: [op], removesContainers: true, mayBeRefused: true };
    }
    const key = random.pick(mapKeys);
    const removesContainers = entry.keys.get(key) === true;
    if (nest && roll < 48) {
      entry.keys.set(key, true);
      return {
        ops: [{ setContainer: [key, random.pick(childKinds)] }],
        removesContainers,
      };
    }
    entry.keys.set(key, false);
    return { ops: [{ set: [key, randomValue(random)] }], removesContainers };
  },
  Counter(random) {
    return { ops: [{ increment: [random.pick(dyadic)] }] };
  },
  Tree(random, entry) {
    const roll = random.below(100);
    const node = () => random.pick(entry.nodes);
    const parent = () =>
      entry.nodes.length > 0 && random.chance(0.6) ? node() : null;
    if (entry.nodes.length === 0 || roll < 45)
      return { ops: [{ create: [parent(), random.pick([null, null, 0])] }] };
    if (roll < 82) {
      const moved = node();
      const under = random.chance(0.3) ? null : node();
      const op = { move: [moved, under, random.pick([0, 0, null])] };
      return { ops: [op], mayBeRefused: true };
    }
    return { ops: [{ delete: [node()] }], removesContainers: true };
  },
};

const childKindsOf = (features) => [
  "Map",
  "List",
  "Text",
  "Counter",
  ...(features.has("movable") ? ["MovableList"] : []),
  ...(features.has("tree") ? ["Tree"] : []),
];

// What to do next: {id, ops, removesContainers, mayBeRefused}; after an edit that may have removed containers, what
// is known of them has to be read again.
export function planEdit(random, containers, features) {
  const ids = [...containers.keys()].sort();
  const id = random.pick(ids);
  const entry = containers.get(id);
  const plan = planners[entry.kind](random, entry, {
    features,
    childKinds: childKindsOf(features),
    nest: ids.length < 16,
  });
  return { id, kind: entry.kind, ...plan };
}
