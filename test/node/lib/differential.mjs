// SPDX-License-Identifier: Apache-2.0
//
// Differential cases: a seeded list of steps over 2 to 4 peers, some of them documents of the engine under test and
// some of them loro-crdt, run so that both engines must agree after every step.
//
// Every peer has a follower in the other engine, which imports what the peer imports and what the peer itself makes.
// Peer and follower must therefore be equal after each step in JSON, version vector, frontiers and import status; and
// an update or snapshot that is sent on is taken from either of them, so bytes travel in every direction between the
// engines. The follower on the loro-crdt side is also where the next edit reads lengths and children from.
//
// Steps carry their own seeds and are resolved against the state they meet, so that any sublist of a failing list is
// a case of its own; the shrinker uses that.
//
//   {do: "edit", peer, count, seed}      some operations and a commit
//   {do: "sync", from, to, seed}         an update since the receiver's version, since an earlier one, or a snapshot
//   {do: "hold", from, to, seed}         an update since the last one held for this pair, kept back
//   {do: "deliver", to, seed}            one that was kept back, in any order and perhaps again
//   {do: "replace", peer, from, seed}    the peer is replaced by a new one that starts from a snapshot
//   {do: "settle", seed}                 everyone exchanges everything; two peers join from the snapshots of both engines

import { isDeepStrictEqual } from "node:util";
import { Random } from "./random.mjs";
import { WorkerDied } from "./doc_engines.mjs";

// What is edited besides Map, List, Text and Counter: each is switched on by its name in MERROW_FEATURES.
export function featuresFromEnvironment() {
  const names = new Set(
    (process.env.MERROW_FEATURES ?? "").split(",").filter(Boolean),
  );
  for (const name of names) {
    if (!["marks", "movable", "tree"].includes(name))
      throw new Error(`MERROW_FEATURES: unknown feature ${name}`);
  }
  return {
    marks: names.has("marks"),
    movable: names.has("movable"),
    tree: names.has("tree"),
  };
}

// loro-crdt leaves pieces with equal attributes apart, depending on how the document came to be.
function joinEqualNeighbours(delta) {
  const joined = [];
  for (const { insert, attributes = {} } of delta) {
    const last = joined.at(-1);
    if (last && isDeepStrictEqual(last.attributes, attributes))
      last.insert += insert;
    else joined.push({ insert, attributes });
  }
  return joined;
}

const rootsOf = (features) => [
  "cid:root-row:Map",
  "cid:root-props:Map",
  "cid:root-tags:List",
  "cid:root-body:Text",
  "cid:root-заметка 𝄞:Text",
  "cid:root-votes:Counter",
  ...(features.movable ? ["cid:root-cards:MovableList"] : []),
  ...(features.tree ? ["cid:root-outline:Tree"] : []),
];

const childKindsOf = (features) => [
  "Map",
  "List",
  "Text",
  "Counter",
  ...(features.movable ? ["MovableList"] : []),
  ...(features.tree ? ["Tree"] : []),
];

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
const words = [
  "a",
  "hello",
  "é",
  "𝄞",
  "\n",
  "👩‍👩‍👧",
  "日本語",
  '"\\',
  "The quick brown fox ",
  "\u0000x",
  "z̈",
  "𝔘𝔫𝔦",
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

// ---- generation ----------------------------------------------------------------------------------------------------

function peerId(random, taken) {
  const draw = () => {
    switch (random.below(4)) {
      case 0:
        return BigInt(random.between(1, 9));
      case 1:
        return (1n << 63n) | random.uint64();
      case 2:
        return (1n << 64n) - BigInt(random.between(2, 5));
      default:
        return random.uint64() >> 1n;
    }
  };
  for (;;) {
    const id = draw();
    const text = String(id);
    if (id !== 0n && id !== (1n << 64n) - 1n && !taken.has(text)) {
      taken.add(text);
      return text;
    }
  }
}

export function generateCase(seed) {
  const random = new Random(seed);
  const taken = new Set();
  const count = random.between(2, 4);
  const peers = Array.from({ length: count }, () => ({
    id: peerId(random, taken),
    engine: random.pick(["tested", "loro"]),
  }));
  peers[0].engine = "tested";
  peers[1].engine = "loro";
  const steps = [];
  const addSteps = (length, slots) => {
    const slot = () => random.below(slots);
    for (let i = 0; i < length; i += 1) {
      const seed = random.uint32();
      const kind = random.below(100);
      if (kind < 52)
        steps.push({
          do: "edit",
          peer: slot(),
          count: random.pick([1, 1, 2, 3, 5]),
          seed,
        });
      else if (kind < 76)
        steps.push({ do: "sync", from: slot(), to: slot(), seed });
      else if (kind < 85)
        steps.push({ do: "hold", from: slot(), to: slot(), seed });
      else if (kind < 96) steps.push({ do: "deliver", to: slot(), seed });
      else steps.push({ do: "replace", peer: slot(), from: slot(), seed });
    }
  };
  addSteps(random.between(10, 36), count);
  steps.push({ do: "settle", seed: random.uint32() });
  addSteps(random.between(4, 10), count + 2);
  steps.push({ do: "settle", seed: random.uint32() });
  return { seed, peers, steps };
}

// ---- comparison ----------------------------------------------------------------------------------------------------

const isEmptyRoot = (value) =>
  value === "" ||
  value === 0 ||
  (typeof value === "object" &&
    value !== null &&
    Object.keys(value).length === 0);

// Roots that were only asked for are shown by loro-crdt and known to nobody else, so empty roots are left out.
function comparableJson(value) {
  return Object.fromEntries(
    Object.entries(value).filter(([, root]) => !isEmptyRoot(root)),
  );
}

const sortedFrontiers = (list) =>
  list.map(({ peer, counter }) => `${counter}@${peer}`).sort();

const show = (value) => {
  const text = JSON.stringify(value);
  return text.length > 1500
    ? `${text.slice(0, 1500)}... (${text.length} characters)`
    : text;
};

export class CaseFailure extends Error {}

function expectEqual(what, tested, loro) {
  if (!isDeepStrictEqual(tested, loro)) {
    throw new CaseFailure(
      `${what} differs\n    tested: ${show(tested)}\n    loro:   ${show(loro)}`,
    );
  }
}

// ---- edits ---------------------------------------------------------------------------------------------------------

// The containers of a document and what an edit needs to know of each: {kind, length} for sequences, {kind, keys} for
// maps with the keys that hold containers, {kind, nodes} for trees.
function readContainers(model, roots) {
  const found = new Map(
    roots.map((id) => [id, emptyContainer(id.slice(id.lastIndexOf(":") + 1))]),
  );
  const isContainer = (value) =>
    value !== null &&
    typeof value === "object" &&
    typeof value.cid === "string";
  const visit = ({ cid, value }) => {
    const kind = cid.slice(cid.lastIndexOf(":") + 1);
    const entry = emptyContainer(kind);
    found.set(cid, entry);
    if (kind === "Text") entry.length = [...value].length;
    if (kind === "List" || kind === "MovableList") {
      entry.length = value.length;
      entry.holds = value.map(isContainer);
      value.filter(isContainer).forEach(visit);
    }
    if (kind === "Map") {
      for (const [key, child] of Object.entries(value)) {
        entry.keys.set(key, isContainer(child));
        if (isContainer(child)) visit(child);
      }
    }
    if (kind === "Tree") {
      const visitNode = (node) => {
        entry.nodes.push(node.id);
        if (isContainer(node.meta)) visit(node.meta);
        node.children.forEach(visitNode);
      };
      value.forEach(visitNode);
    }
  };
  Object.values(model.getDeepValueWithID()).filter(isContainer).forEach(visit);
  return found;
}

function emptyContainer(kind) {
  return { kind, length: 0, holds: [], keys: new Map(), nodes: [] };
}

function randomText(random) {
  return Array.from({ length: random.between(1, 3) }, () =>
    random.pick(words),
  ).join("");
}

function randomValue(random, depth = 0) {
  switch (random.below(depth > 3 ? 5 : 8)) {
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

// One operation, or a run of them as typing makes, on one container: {ops, removesContainers}. The entry is brought up
// to what it will be after them; `ops` with a new container say under which kind its id is to be known.
const planners = {
  Text(random, entry, { features }) {
    const roll = random.below(100);
    if (features.marks && entry.length > 0 && roll < 15) {
      const start = random.below(entry.length);
      const end = random.between(start + 1, entry.length);
      const style = random.pick(["bold", "link", "note", "head"]);
      return {
        ops: [
          random.chance(0.3)
            ? { unmark: [start, end, style] }
            : { mark: [start, end, style, random.pick([true, "x", 7])] },
        ],
      };
    }
    if (entry.length === 0 || roll < 45) {
      const text = randomText(random);
      const at = random.below(entry.length + 1);
      entry.length += [...text].length;
      return { ops: [{ insert: [at, text] }] };
    }
    if (roll < 65) {
      const at = random.below(entry.length + 1);
      const length = random.between(2, 7);
      entry.length += length;
      return {
        ops: Array.from({ length }, (_, i) => ({
          insert: [at + i, random.pick(["x", "y", "é", "𝄞"])],
        })),
      };
    }
    if (roll < 80) {
      const at = random.below(entry.length);
      const length = Math.min(entry.length - at, random.between(1, 6));
      entry.length -= length;
      return { ops: [{ delete: [at, length] }] };
    }
    const end = random.between(1, entry.length);
    const length = Math.min(end, random.between(1, 5));
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
    if (movable && entry.length > 0 && roll < 35) {
      const [from, to] = [
        random.below(entry.length),
        random.below(entry.length),
      ];
      if (roll < 15)
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
    if (nest && roll < 25) {
      entry.holds.splice(at, 0, true);
      return { ops: [{ insertContainer: [at, random.pick(childKinds)] }] };
    }
    entry.holds.splice(at, 0, false);
    return { ops: [{ insert: [at, randomValue(random)] }] };
  },
  MovableList(random, entry, context) {
    return planners.List(random, entry, { ...context, movable: true });
  },
  Map(random, entry, { childKinds, nest }) {
    const roll = random.below(100);
    const present = [...entry.keys.keys()];
    if (present.length > 0 && roll < 20) {
      const key = random.pick(present);
      const removesContainers = entry.keys.get(key);
      entry.keys.delete(key);
      return { ops: [{ delete: [key] }], removesContainers };
    }
    const key = random.pick(mapKeys);
    const removesContainers = entry.keys.get(key) === true;
    if (nest && roll < 40) {
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
    if (entry.nodes.length === 0 || roll < 50)
      return { ops: [{ create: [parent()] }] };
    if (roll < 80) {
      const moved = node();
      return {
        ops: [{ move: [moved, random.chance(0.3) ? null : node(), 0] }],
        mayBeRefused: true,
      };
    }
    return { ops: [{ delete: [node()] }], removesContainers: true };
  },
};

// ---- running -------------------------------------------------------------------------------------------------------

let nextRun = 1;

class Run {
  #engines;
  #case;
  #features;
  #trace;
  #prefix;
  #nextDoc = 1;
  #docs = [];
  #peers = [];
  #held = [];
  #heldVersions = new Map();
  #random;
  #taken;

  constructor(engines, testCase, features, trace) {
    this.#engines = engines;
    this.#case = testCase;
    this.#features = features;
    this.#trace = trace;
    this.#prefix = `run${nextRun}`;
    nextRun += 1;
    this.#random = new Random(testCase.seed ^ 0x5bd1e995);
    this.#taken = new Set(testCase.peers.map(({ id }) => id));
  }

  async run() {
    try {
      for (const { id, engine } of this.#case.peers)
        this.#peers.push(await this.#newPeer(engine, id));
      for (const step of this.#case.steps) await this.#step(step);
    } finally {
      for (const { engine, name } of this.#docs)
        await engine.free(name).catch(() => {});
    }
  }

  #engine(which) {
    return this.#engines[which];
  }

  async #newDoc(which, peer) {
    const name = `${this.#prefix}.${this.#nextDoc}`;
    this.#nextDoc += 1;
    const engine = this.#engine(which);
    await engine.create(name, peer);
    const doc = { engine, which, name };
    this.#docs.push(doc);
    return doc;
  }

  // A peer and its follower. The follower's own id is never used for an edit.
  async #newPeer(which, id) {
    const doc = await this.#newDoc(which, id);
    const follower = await this.#newDoc(
      which === "tested" ? "loro" : "tested",
      peerId(this.#random, this.#taken),
    );
    return this.#pair(id, doc, follower);
  }

  #pair(id, doc, follower) {
    const sides = { [doc.which]: doc, [follower.which]: follower };
    return { id, doc, follower, ...sides, versions: [{}] };
  }

  async #step(step) {
    const slots = [step.peer, step.from, step.to].filter(
      (slot) => slot !== undefined,
    );
    if (slots.some((slot) => slot >= this.#peers.length)) return; // A shrunk list may name peers that never joined.
    const random = new Random(step.seed);
    this.#trace?.(`${JSON.stringify(step)}`);
    if (step.do === "edit")
      await this.#edit(this.#peers[step.peer], step.count, random);
    else if (step.do === "sync") await this.#sync(step.from, step.to, random);
    else if (step.do === "hold") await this.#hold(step.from, step.to, random);
    else if (step.do === "deliver") await this.#deliver(step.to, random);
    else if (step.do === "replace")
      await this.#replace(step.peer, step.from, random);
    else await this.#settle(random);
  }

  async #compare(peer, what) {
    const [tested, loro, testedVersion, loroVersion] = await Promise.all([
      peer.tested.engine.json(peer.tested.name),
      peer.loro.engine.json(peer.loro.name),
      peer.tested.engine.version(peer.tested.name),
      peer.loro.engine.version(peer.loro.name),
    ]);
    expectEqual(`${what}: version vector`, testedVersion.vv, loroVersion.vv);
    expectEqual(
      `${what}: frontiers`,
      sortedFrontiers(testedVersion.frontiers),
      sortedFrontiers(loroVersion.frontiers),
    );
    expectEqual(`${what}: JSON`, comparableJson(tested), comparableJson(loro));
    const deltas = await this.#deltas(peer.loro, peer.loro);
    expectEqual(
      `${what}: text deltas`,
      await this.#deltas(peer.tested, peer.loro),
      deltas,
    );
    peer.versions.push(loroVersion.vv);
    return { json: comparableJson(loro), version: loroVersion, deltas };
  }

  // What JSON does not show: the marks of every text that is not empty. `model` says which texts there are.
  async #deltas(doc, model) {
    if (!this.#features.marks) return {};
    const containers = readContainers(this.#engine("loro").doc(model.name), []);
    const ids = [...containers.keys()].filter(
      (id) =>
        containers.get(id).kind === "Text" && containers.get(id).length > 0,
    );
    const deltas = await Promise.all(
      ids.map((id) => doc.engine.delta(doc.name, id)),
    );
    return Object.fromEntries(
      ids.map((id, index) => [id, joinEqualNeighbours(deltas[index])]),
    );
  }

  async #edit(peer, count, random) {
    const { engine, name } = peer.doc;
    const fork = peer.doc.which === "tested" ? await this.#forkOf(peer) : null;
    const childKinds = childKindsOf(this.#features);
    const containers = readContainers(
      this.#engine("loro").doc(peer.loro.name),
      rootsOf(this.#features),
    );
    let madeCounter = false;
    for (let left = count; left > 0; left -= 1) {
      const ids = [...containers.keys()]
        .filter((id) => containers.get(id).kind in planners)
        .sort();
      const id = random.pick(ids);
      const entry = containers.get(id);
      const nest = ids.length < 24;
      const plan = planners[entry.kind](random, entry, {
        features: this.#features,
        childKinds,
        nest,
      });
      for (const op of plan.ops) {
        this.#trace?.(
          `    ${peer.id} (${peer.doc.which}) ${id} ${JSON.stringify(op)}`,
        );
        const made = await this.#apply(engine, name, id, op, plan.mayBeRefused);
        if (fork) {
          const expected = await this.#apply(
            fork.engine,
            fork.name,
            id,
            op,
            plan.mayBeRefused,
          );
          expectEqual(
            `answer to ${JSON.stringify(op)}: new container`,
            made.container,
            expected.container,
          );
        }
        const kind = op.insertContainer?.[1] ?? op.setContainer?.[1];
        if (kind && made.container)
          containers.set(made.container, emptyContainer(kind));
        if (kind === "Counter") madeCounter = true;
      }
      if (plan.removesContainers || entry.kind === "Tree" || madeCounter) break;
    }
    await engine.commit(name);
    const { vv } = await peer.follower.engine.version(peer.follower.name);
    const update = await engine.export(name, "update", vv);
    const { pending } = await peer.follower.engine.import(
      peer.follower.name,
      update,
    );
    expectEqual(
      "pending after the follower imported an edit",
      pending ?? {},
      {},
    );
    const after = await this.#compare(peer, `after an edit of ${peer.id}`);
    if (fork) {
      await fork.engine.commit(fork.name);
      const expected = await fork.engine.version(fork.name);
      // To attach a new counter, the JavaScript API adds an increment by 0 of its own.
      if (!madeCounter) {
        expectEqual(
          `edit of ${peer.id}: version vector`,
          after.version.vv,
          expected.vv,
        );
      }
      expectEqual(
        `edit of ${peer.id}: JSON`,
        after.json,
        comparableJson(await fork.engine.json(fork.name)),
      );
      expectEqual(
        `edit of ${peer.id}: text deltas`,
        after.deltas,
        await this.#deltas(fork, fork),
      );
      await fork.engine.free(fork.name);
    }
  }

  async #forkOf(peer) {
    const { engine } = peer.loro;
    const name = `${peer.doc.name}.fork${this.#nextDoc}`;
    this.#nextDoc += 1;
    await engine.fork(peer.loro.name, name, peer.id);
    const fork = { engine, which: "loro", name };
    this.#docs.push(fork);
    return fork;
  }

  async #apply(engine, name, id, op, mayBeRefused) {
    try {
      return await engine.edit(name, id, op);
    } catch (error) {
      if (mayBeRefused && !(error instanceof WorkerDied)) return {};
      throw error;
    }
  }

  // Both sides of a peer import the same bytes and must say the same about them.
  async #import(peer, bytes, what) {
    const [tested, loro] = await Promise.all([
      peer.tested.engine.import(peer.tested.name, bytes),
      peer.loro.engine.import(peer.loro.name, bytes),
    ]);
    await this.#compare(peer, what);
    expectEqual(`${what}: pending`, tested.pending ?? {}, loro.pending ?? {});
    expectEqual(`${what}: success`, tested.success ?? {}, loro.success ?? {});
  }

  #exporter(peer, random) {
    const side = random.chance(0.5) ? peer.tested : peer.loro;
    return (mode, from) =>
      side.engine
        .export(side.name, mode, from)
        .then((bytes) => ({ bytes, by: side.which }));
  }

  async #sync(from, to, random) {
    if (from === to) return;
    const [source, target] = [this.#peers[from], this.#peers[to]];
    const send = this.#exporter(source, random);
    const roll = random.below(10);
    const mode = roll === 0 ? "snapshot" : "update";
    const since =
      roll < 7
        ? target.versions.at(-1)
        : random.pick(random.chance(0.5) ? target.versions : source.versions);
    const { bytes, by } = await send(mode, since);
    this.#trace?.(
      `    ${mode} of ${bytes.length} bytes by ${by}${mode === "update" ? ` since ${JSON.stringify(since)}` : ""}`,
    );
    await this.#import(
      target,
      bytes,
      `${mode} by ${by} from ${source.id} to ${target.id}`,
    );
  }

  async #hold(from, to, random) {
    if (from === to) return;
    const [source, target] = [this.#peers[from], this.#peers[to]];
    const pair = `${source.id} ${target.id}`;
    const since = this.#heldVersions.get(pair) ?? target.versions.at(-1);
    const { bytes, by } = await this.#exporter(source, random)("update", since);
    this.#heldVersions.set(pair, source.versions.at(-1));
    this.#held.push({ to, bytes, by });
  }

  async #deliver(to, random) {
    const mine = this.#held.filter((entry) => entry.to === to);
    if (mine.length === 0) return;
    const entry = random.pick(mine);
    if (!random.chance(0.3)) this.#held.splice(this.#held.indexOf(entry), 1);
    await this.#import(
      this.#peers[to],
      entry.bytes,
      `held update by ${entry.by} to ${this.#peers[to].id}`,
    );
  }

  async #replace(slot, from, random) {
    const which = random.pick(["tested", "loro"]);
    const { bytes, by } = await this.#exporter(
      this.#peers[from],
      random,
    )("snapshot");
    const peer = await this.#newPeer(which, peerId(random, this.#taken));
    this.#trace?.(
      `    new peer ${peer.id} (${which}) from a snapshot of ${bytes.length} bytes by ${by}`,
    );
    await this.#import(
      peer,
      bytes,
      `snapshot by ${by} into the new peer ${peer.id}`,
    );
    this.#peers[slot] = peer;
  }

  async #settle(random) {
    for (const entry of this.#held.splice(0)) {
      await this.#import(
        this.#peers[entry.to],
        entry.bytes,
        `late update by ${entry.by} to ${this.#peers[entry.to].id}`,
      );
    }
    const transfer = async (source, target) => {
      const { bytes, by } = await this.#exporter(source, random)(
        "update",
        target.versions.at(-1),
      );
      await this.#import(
        target,
        bytes,
        `settling update by ${by} from ${source.id} to ${target.id}`,
      );
    };
    const [first, ...others] = this.#peers;
    // What arrives may let changes go that waited for it, so one round may not be enough.
    const isSettled = () =>
      others.every((peer) =>
        isDeepStrictEqual(peer.versions.at(-1), first.versions.at(-1)),
      );
    for (
      let round = 0;
      round === 0 || (!isSettled() && round < 8);
      round += 1
    ) {
      for (const peer of others) await transfer(peer, first);
      for (const peer of others) await transfer(first, peer);
    }
    const expected = await this.#compare(first, "settled");
    for (const peer of others) {
      const actual = await this.#compare(peer, "settled");
      expectEqual(
        `settled: version vector of ${peer.id} and ${first.id}`,
        actual.version.vv,
        expected.version.vv,
      );
      expectEqual(
        `settled: JSON of ${peer.id} and ${first.id}`,
        actual.json,
        expected.json,
      );
    }
    await this.#joinFromSnapshots(random.pick(this.#peers), random, expected);
  }

  // Two new peers, one per engine; of the four documents each engine holds one from its own snapshot and one from the
  // other engine's.
  async #joinFromSnapshots(source, random, expected) {
    const snapshots = await Promise.all(
      [source.tested, source.loro].map(({ engine, name }) =>
        engine.export(name, "snapshot"),
      ),
    );
    for (const which of ["tested", "loro"]) {
      const peer = await this.#newPeer(which, peerId(random, this.#taken));
      const own = which === "tested" ? snapshots : [...snapshots].reverse();
      await Promise.all([
        peer.tested.engine.import(peer.tested.name, own[0]),
        peer.loro.engine.import(peer.loro.name, own[1]),
      ]);
      const actual = await this.#compare(peer, `${which} from snapshots`);
      expectEqual(
        "JSON of a fresh document from a snapshot",
        actual.json,
        expected.json,
      );
      this.#peers.push(peer);
    }
  }
}

// Runs one case. Throws CaseFailure, WorkerDied, or what an engine refused that it should have done.
export function runCase(engines, testCase, { features, trace } = {}) {
  return new Run(
    engines,
    testCase,
    features ?? featuresFromEnvironment(),
    trace,
  ).run();
}

// ---- shrinking -----------------------------------------------------------------------------------------------------

// The smallest failing sublist of the case's steps that was found (delta debugging, then smaller edits), within a
// budget. `attempt(case)` resolves to the failure or null.
export async function shrinkCase(
  testCase,
  attempt,
  { budgetMs = 60_000 } = {},
) {
  const deadline = Date.now() + budgetMs;
  let best = testCase;
  const tryCase = async (steps) => {
    if (Date.now() > deadline) return false;
    const candidate = { ...best, steps };
    if ((await attempt(candidate)) === null) return false;
    best = candidate;
    return true;
  };
  let chunk = Math.ceil(best.steps.length / 2);
  while (chunk >= 1 && Date.now() < deadline) {
    let removed = false;
    for (let start = 0; start < best.steps.length;) {
      const rest = [
        ...best.steps.slice(0, start),
        ...best.steps.slice(start + chunk),
      ];
      if (rest.length < best.steps.length && (await tryCase(rest)))
        removed = true;
      else start += chunk;
    }
    if (chunk === 1 && !removed) break;
    chunk = chunk === 1 ? 1 : Math.ceil(chunk / 2);
  }
  for (let i = 0; i < best.steps.length; i += 1) {
    for (let count = 1; count < (best.steps[i].count ?? 1); count += 1) {
      if (
        await tryCase(
          best.steps.map((step, j) => (j === i ? { ...step, count } : step)),
        )
      )
        break;
    }
  }
  return best;
}

// ---- many cases ----------------------------------------------------------------------------------------------------

// Runs cases `firstSeed` .. `firstSeed + cases - 1`, many at a time over one pipelined worker. Resolves to null or, for
// the first case that fails, a report with its seed and a shrunk list of steps. `openEngines()` makes a fresh pair
// {tested, loro}.
export async function runCases({
  openEngines,
  firstSeed,
  cases,
  concurrency = 48,
  features,
  shrinkBudgetMs = 60_000,
}) {
  let engines = await openEngines();
  let next = 0;
  let failedSeed = null;
  const suspects = new Set(); // Seeds in flight when the worker died: one of them killed it.
  const lane = async () => {
    while (next < cases && failedSeed === null && suspects.size === 0) {
      const seed = firstSeed + next;
      next += 1;
      try {
        await runCase(engines, generateCase(seed), { features });
      } catch (error) {
        if (error instanceof WorkerDied) suspects.add(seed);
        else failedSeed ??= seed;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, cases) }, lane));
  await engines.tested.close();
  await engines.loro.close();
  if (failedSeed === null && suspects.size === 0) return null;

  const attempt = async (testCase, trace) => {
    engines = await openEngines();
    try {
      await runCase(engines, testCase, { features, trace });
      return null;
    } catch (error) {
      return error;
    } finally {
      await engines.tested.close();
      await engines.loro.close();
    }
  };
  const seeds = failedSeed === null ? [...suspects] : [failedSeed];
  for (const seed of seeds) {
    const failure = await attempt(generateCase(seed));
    if (failure === null) continue;
    const shrunk = await shrinkCase(generateCase(seed), attempt, {
      budgetMs: shrinkBudgetMs,
    });
    const lines = [];
    const last = (await attempt(shrunk, (line) => lines.push(line))) ?? failure;
    return report({ seed, shrunk, lines, failure: last });
  }
  return `seeds ${seeds.join(", ")} failed among ${concurrency} cases at once, but not one at a time`;
}

function report({ seed, shrunk, lines, failure }) {
  const peers = shrunk.peers
    .map(({ id, engine }) => `${id} (${engine})`)
    .join(", ");
  return [
    `case with seed ${seed} fails: ${failure.message}`,
    `replay: MERROW_SEED=${seed} MERROW_CASES=1 node --test test/node/differential.test.mjs`,
    `shrunk to ${shrunk.steps.length} steps; peers in order: ${peers}`,
    ...lines.map((line) => `  ${line}`),
  ].join("\n");
}
