// SPDX-License-Identifier: Apache-2.0
//
// One differential case, carried out so that both engines must agree after every step.
//
// A pair is one document in each engine, the engine under test and loro-crdt, that always hold the same ops: what one
// side edits, under a peer id of its own, the other imports at once, and both import what comes from other pairs. So
// after each step they must be equal in JSON, marks, version vector and frontiers, and must have said the same about
// an import; and an update or snapshot that is sent on is taken from either of them, so bytes travel in every
// direction between the engines. The loro-crdt side is also where edits read lengths and children from.

import { isDeepStrictEqual } from "node:util";
import { WorkerDied } from "./doc_engines.mjs";
import { drawPeer } from "./differential_case.mjs";
import {
  comparableDelta,
  comparableFrontiers,
  comparableJson,
  expectEqual,
  expectSameUpdates,
} from "./differential_compare.mjs";
import {
  containersOf,
  kindOf,
  madeContainer,
  planEdit,
  randomCommitOptions,
} from "./differential_edits.mjs";
import { Random } from "./random.mjs";

// loro-crdt throws strings.
export const messageOf = (error) => String(error?.message ?? error);
const otherSide = { tested: "loro", loro: "tested" };
let nextRun = 1;

export class Run {
  #engines;
  #case;
  #features;
  #trace;
  #prefix;
  #nextDoc = 1;
  #docs = [];
  #pairs = [];
  #held = [];
  #heldVersions = new Map();
  #taken;

  constructor(engines, testCase, features, trace) {
    this.#engines = engines;
    this.#case = testCase;
    this.#features = features;
    this.#trace = trace;
    this.#prefix = `run${nextRun}`;
    nextRun += 1;
    this.#taken = new Set(
      testCase.pairs.flatMap(({ tested, loro }) => [tested, loro]),
    );
  }

  async run() {
    try {
      for (const ids of this.#case.pairs)
        this.#pairs.push(await this.#newPair(ids));
      for (const step of this.#case.steps) await this.#step(step);
    } finally {
      await Promise.all(
        this.#docs.map(({ engine, name }) => engine.free(name).catch(() => {})),
      );
    }
  }

  // ---- documents -----------------------------------------------------------------------------------------------------

  async #newDoc(which, peer) {
    const name = `${this.#prefix}.${this.#nextDoc}`;
    this.#nextDoc += 1;
    const engine = this.#engines[which];
    await engine.create(name, peer);
    const doc = { engine, which, name, peer };
    this.#docs.push(doc);
    return doc;
  }

  // `versions`: those it went through, {vv, frontiers}. `isShallow`: its history may not go back to the beginning.
  // `hasRefused`: it was sent what depends on history that it lacks.
  async #newPair(ids) {
    const [tested, loro] = await Promise.all([
      this.#newDoc("tested", ids.tested),
      this.#newDoc("loro", ids.loro),
    ]);
    return {
      name: `${ids.tested}/${ids.loro}`,
      tested,
      loro,
      versions: [{ vv: {}, frontiers: [] }],
      isShallow: false,
      hasRefused: false,
    };
  }

  #drawPair(random) {
    return this.#newPair({
      tested: drawPeer(random, this.#taken),
      loro: drawPeer(random, this.#taken),
    });
  }

  async #step(step) {
    const slots = [step.at, step.from, step.to].filter(
      (slot) => slot !== undefined,
    );
    if (slots.some((slot) => slot >= this.#pairs.length)) return; // A shrunk list may name pairs that never joined.
    const random = new Random(step.seed ?? 0);
    this.#trace?.(`${JSON.stringify(step)}`);
    const [at, from, to] = [step.at, step.from, step.to].map(
      (slot) => this.#pairs[slot],
    );
    if (step.do === "edit") await this.#edit(at, step.side, step.count, random);
    else if (step.do === "sync") await this.#sync(from, to, random);
    else if (step.do === "range") await this.#range(from, to, random);
    else if (step.do === "hold") await this.#hold(from, to, random);
    else if (step.do === "deliver") await this.#deliver(to, random);
    else if (step.do === "replace")
      this.#pairs[step.at] = await this.#replace(from, random);
    else if (step.do === "shallow")
      this.#pairs[step.at] = (await this.#shallow(from, random)) ?? at;
    else if (step.do === "checkout") await this.#checkout(at, from, random);
    else if (step.do === "log") await this.#log(at);
    else await this.#settle(random);
  }

  // ---- comparing -----------------------------------------------------------------------------------------------------

  // What a side shows: JSON, and the marks of every text that is not empty. `model`: a loro-crdt document that says
  // which texts there are.
  async #shown(doc, model) {
    const texts = this.#features.has("marks") ? this.#textsOf(model) : [];
    const [json, ...deltas] = await Promise.all([
      doc.engine.json(doc.name),
      ...texts.map((id) => doc.engine.delta(doc.name, id)),
    ]);
    return {
      json: comparableJson(json),
      deltas: Object.fromEntries(
        texts.map((id, index) => [id, comparableDelta(deltas[index])]),
      ),
    };
  }

  #containersOf(model, roots = []) {
    return containersOf(
      model.engine.doc(model.name).getDeepValueWithID(),
      roots,
    );
  }

  #textsOf(model) {
    if (!this.#case.roots.some((id) => !/:(Counter)$/.test(id))) return [];
    return [...this.#containersOf(model)]
      .filter(([, { kind, length }]) => kind === "Text" && length > 0)
      .map(([id]) => id);
  }

  async #expectSameShown(pair, what) {
    const [tested, loro] = await Promise.all([
      this.#shown(pair.tested, pair.loro),
      this.#shown(pair.loro, pair.loro),
    ]);
    expectEqual(`${what}: JSON`, tested.json, loro.json);
    expectEqual(`${what}: text deltas`, tested.deltas, loro.deltas);
    return loro;
  }

  async #compare(pair, what) {
    const [tested, loro, shown] = await Promise.all([
      pair.tested.engine.version(pair.tested.name),
      pair.loro.engine.version(pair.loro.name),
      this.#expectSameShown(pair, what).catch((error) => error),
    ]);
    expectEqual(`${what}: version vector`, tested.vv, loro.vv);
    expectEqual(
      `${what}: frontiers`,
      comparableFrontiers(tested.frontiers),
      comparableFrontiers(loro.frontiers),
    );
    if (shown instanceof Error) throw shown;
    pair.versions.push(loro);
    return { ...shown, vv: loro.vv };
  }

  // ---- edits ---------------------------------------------------------------------------------------------------------

  async #edit(pair, side, count, random) {
    const doc = pair[side];
    const other = pair[otherSide[side]];
    // What loro-crdt makes of the same edits, under the same peer id.
    const reference =
      side === "tested" && random.chance(0.25)
        ? await this.#forkOf(pair.loro, doc.peer)
        : null;
    const containers = this.#containersOf(pair.loro, this.#case.roots);
    let madeCounter = false;
    let marked = false;
    for (let left = count; left > 0; left -= 1) {
      const plan = planEdit(random, containers, this.#features);
      for (const op of plan.ops) {
        this.#trace?.(
          `    ${doc.peer} (${side}) ${plan.id} ${JSON.stringify(op)}`,
        );
        const made = await this.#apply(doc, plan.id, op, plan.mayBeRefused);
        if (reference) {
          expectEqual(
            `answer to ${JSON.stringify(op)}`,
            made,
            await this.#apply(reference, plan.id, op, plan.mayBeRefused),
          );
        }
        marked ||= "mark" in op || "unmark" in op;
        if (made.container) {
          containers.set(made.container, madeContainer(made.container));
          if (kindOf(made.container) === "Counter") madeCounter = true;
        }
      }
      if (plan.removesContainers || plan.kind === "Tree" || madeCounter) break;
    }
    const options = this.#features.has("commits")
      ? randomCommitOptions(random)
      : {};
    if (Object.keys(options).length > 0)
      this.#trace?.(`    commit ${JSON.stringify(options)}`);
    await doc.engine.commit(doc.name, options);
    const update = await doc.engine.export(doc.name, "update", {
      from: pair.versions.at(-1).vv,
    });
    const { pending } = await other.engine.import(other.name, update);
    expectEqual("pending after an edit was imported", pending ?? {}, {});
    const after = await this.#compare(pair, `after an edit of ${doc.peer}`);
    if (reference) {
      await reference.engine.commit(reference.name, options);
      await this.#expectReference(pair, reference, after, {
        madeCounter,
        marked,
      });
    }
  }

  // `pair` has just got from its tested side what `reference` got from loro-crdt, after the version before the last.
  async #expectReference(pair, reference, after, { madeCounter, marked }) {
    const { engine, name, peer } = reference;
    const shown = await this.#shown(reference, reference);
    expectEqual(`edit of ${peer}: JSON`, after.json, shown.json);
    expectEqual(`edit of ${peer}: text deltas`, after.deltas, shown.deltas);
    const { vv } = await engine.version(name);
    // To attach a new counter, the JavaScript API adds an increment by 0 of its own. Whether a mark of what is marked
    // so already is left out depends on how loro-crdt has cut the text inside.
    const isOpen = madeCounter || (marked && !isDeepStrictEqual(after.vv, vv));
    if (!isOpen) {
      expectEqual(`edit of ${peer}: version vector`, after.vv, vv);
      const before = pair.versions.at(-2).vv;
      const made = await pair.loro.engine.jsonUpdates(pair.loro.name, before);
      const expected = await engine.jsonUpdates(name, before);
      expectSameUpdates(`edit of ${peer}`, made, expected, true);
    }
    await engine.free(name);
  }

  async #forkOf(doc, peer) {
    const name = `${doc.name}.fork${this.#nextDoc}`;
    this.#nextDoc += 1;
    await doc.engine.fork(doc.name, name, peer);
    const fork = { engine: doc.engine, which: "loro", name, peer };
    this.#docs.push(fork);
    return fork;
  }

  // {container?} that the op made, or {refused: true}.
  async #apply({ engine, name }, id, op, mayBeRefused) {
    try {
      const { container, node } = await engine.edit(name, id, op);
      return { ...(container && { container }), ...(node && { node }) };
    } catch (error) {
      if (mayBeRefused && !(error instanceof WorkerDied))
        return { refused: true };
      throw error;
    }
  }

  // ---- exchange ------------------------------------------------------------------------------------------------------

  // Both sides import bytes and must say the same about them, also when they refuse. `bytes` is one blob or one for
  // each side. Resolves to whether they were taken.
  async #import(pair, bytes, what) {
    const attempt = ({ engine, name, which }) =>
      engine.import(name, bytes[which] ?? bytes).then(
        ({ success, pending }) => ({
          success: success ?? {},
          pending: pending ?? {},
        }),
        (error) => {
          if (error instanceof WorkerDied) throw error;
          return { refused: messageOf(error) };
        },
      );
    const [tested, loro] = await Promise.all([
      attempt(pair.tested),
      attempt(pair.loro),
    ]);
    if (tested.refused !== undefined && loro.refused !== undefined) {
      if (!/shallow history/.test(loro.refused))
        throw new Error(`${what}: refused: ${tested.refused}; ${loro.refused}`);
      pair.hasRefused = true;
      await this.#level(pair);
    } else if (!pair.hasRefused) {
      expectEqual(`${what}: answer`, tested, loro);
    } else {
      expectEqual(`${what}: refusal`, tested.refused, loro.refused);
      await this.#level(pair);
    }
    await this.#compare(pair, what);
    return tested.refused === undefined;
  }

  // Of an update that is refused, loro-crdt takes what does not depend on trimmed history, and what waited before goes
  // on waiting; the engine under test takes nothing and forgets. So each gets what only the other has now.
  async #level({ tested, loro }) {
    for (const [from, to] of [
      [loro, tested],
      [tested, loro],
    ]) {
      const { vv } = await to.engine.version(to.name);
      const bytes = await from.engine.export(from.name, "update", { from: vv });
      await to.engine.import(to.name, bytes);
    }
  }

  // Exports from either side of a pair.
  async #send(pair, random, mode, options) {
    const { engine, name, which } = random.chance(0.5)
      ? pair.tested
      : pair.loro;
    const bytes = await engine.export(name, mode, options);
    this.#trace?.(
      `    ${mode} of ${bytes.length} bytes by ${which} ${options ? JSON.stringify(options) : ""}`,
    );
    return { bytes, what: `${mode} by ${which} from ${pair.name}` };
  }

  async #sync(from, to, random) {
    const roll = random.below(10);
    const since =
      roll < 7
        ? to.versions.at(-1)
        : random.pick(random.chance(0.5) ? to.versions : from.versions);
    const { bytes, what } =
      roll === 0
        ? await this.#send(from, random, "snapshot")
        : await this.#send(from, random, "update", { from: since.vv });
    await this.#import(to, bytes, `${what} to ${to.name}`);
  }

  async #range(from, to, random) {
    const spans = [];
    for (const [peer, end] of Object.entries(from.versions.at(-1).vv)) {
      for (let left = random.below(3); left > 0; left -= 1) {
        const counter = random.below(end);
        const len = random.between(1, end - counter);
        spans.push({ id: { peer, counter }, len });
      }
    }
    if (spans.length === 0) return;
    const { bytes, what } = await this.#send(from, random, "updates-in-range", {
      spans,
    });
    await this.#import(to, bytes, `${what} to ${to.name}`);
  }

  async #hold(from, to, random) {
    const key = `${from.name} ${to.name}`;
    const since = this.#heldVersions.get(key) ?? to.versions.at(-1);
    const sent = await this.#send(from, random, "update", { from: since.vv });
    this.#heldVersions.set(key, from.versions.at(-1));
    this.#held.push({ to, ...sent });
  }

  async #deliver(to, random) {
    const mine = this.#held.filter((entry) => entry.to === to);
    if (mine.length === 0) return;
    const entry = random.pick(mine);
    if (!random.chance(0.3)) this.#held.splice(this.#held.indexOf(entry), 1);
    await this.#import(to, entry.bytes, `late ${entry.what} to ${to.name}`);
  }

  async #replace(from, random) {
    const { bytes, what } = await this.#send(from, random, "snapshot");
    const pair = await this.#drawPair(random);
    this.#trace?.(`    new pair ${pair.name}`);
    pair.isShallow = from.isShallow;
    await this.#import(pair, bytes, `${what} into new ${pair.name}`);
    return pair;
  }

  // ---- versions ------------------------------------------------------------------------------------------------------

  // Some version in the history of `pair`: one it went through, or what some op and all before it make up.
  #drawFrontiers(pair, random) {
    if (random.chance(0.5)) return random.pick(pair.versions).frontiers;
    const peers = Object.entries(pair.versions.at(-1).vv);
    if (peers.length === 0) return [];
    const [peer, end] = random.pick(peers);
    return [{ peer, counter: random.below(end) }];
  }

  // Both sides have to export one, or refuse; the new pair starts from either.
  async #shallow(from, random) {
    const frontiers = this.#drawFrontiers(from, random);
    const blobs = {};
    const what = `shallow-snapshot of ${from.name} at ${comparableFrontiers(frontiers)}`;
    const isThere = await this.#both(
      from,
      what,
      async ({ engine, name, which }) => {
        blobs[which] = await engine.export(name, "shallow-snapshot", {
          frontiers,
        });
      },
    );
    if (!isThere) return null;
    const by = random.pick(["tested", "loro"]);
    const pair = await this.#drawPair(random);
    pair.isShallow = true;
    this.#trace?.(
      `    new pair ${pair.name} from ${blobs[by].length} bytes by ${by}, ${what}`,
    );
    if (!(await this.#import(pair, blobs[by], `${what} by ${by}`))) return null;
    // With nothing before the start, loro-crdt still refuses what does not follow it, though it could be merged.
    const start = this.#engines.loro.doc(pair.loro.name).shallowSinceVV();
    return [...start.toJSON().values()].every((end) => end === 0) ? null : pair;
  }

  // Both sides do it, or both refuse.
  async #both(pair, what, act) {
    const attempt = (side) =>
      act(side).then(
        () => null,
        (error) => {
          if (error instanceof WorkerDied) throw error;
          return messageOf(error);
        },
      );
    const [tested, loro] = await Promise.all([
      attempt(pair.tested),
      attempt(pair.loro),
    ]);
    if ((tested === null) !== (loro === null))
      expectEqual(`${what}: refusal`, tested, loro);
    return tested === null;
  }

  async #checkout(pair, from, random) {
    for (let times = random.between(1, 3); times > 0; times -= 1) {
      const frontiers = this.#drawFrontiers(pair, random);
      this.#trace?.(`    look at ${JSON.stringify(frontiers)}`);
      const what = `${pair.name} at ${comparableFrontiers(frontiers)}`;
      await this.#both(pair, what, ({ engine, name }) =>
        engine.checkout(name, frontiers),
      );
      await this.#expectSameShown(pair, what);
      if (random.chance(0.3)) {
        const since = { from: pair.versions.at(-1).vv };
        const sent = await this.#send(from, random, "update", since);
        await this.#import(pair, sent.bytes, `${sent.what} to ${what}`);
      }
    }
    await Promise.all(
      [pair.tested, pair.loro].map(({ engine, name }) =>
        engine.checkoutToLatest(name),
      ),
    );
    await this.#compare(pair, `${pair.name} back from a checkout`);
  }

  async #log(pair) {
    const [tested, loro] = await Promise.all(
      [pair.tested, pair.loro].map(({ engine, name }) =>
        engine.jsonUpdates(name),
      ),
    );
    expectSameUpdates(pair.name, tested, loro);
  }

  // ---- settling ------------------------------------------------------------------------------------------------------

  async #settle(random) {
    for (const { to, bytes, what } of this.#held.splice(0)) {
      if (this.#pairs.includes(to))
        await this.#import(to, bytes, `late ${what} to ${to.name}`);
    }
    const transfer = async (from, to) => {
      if (isDeepStrictEqual(from.versions.at(-1).vv, to.versions.at(-1).vv))
        return;
      const since = { from: to.versions.at(-1).vv };
      const { bytes, what } = await this.#send(from, random, "update", since);
      await this.#import(to, bytes, `settling ${what} to ${to.name}`);
    };
    // Where history was trimmed, not everything can get everywhere.
    const isPartial = this.#pairs.some(({ isShallow }) => isShallow);
    const hub =
      this.#pairs.find(({ isShallow }) => !isShallow) ?? this.#pairs[0];
    const others = this.#pairs.filter((pair) => pair !== hub);
    const hasAll = (pair) =>
      isDeepStrictEqual(pair.versions.at(-1).vv, hub.versions.at(-1).vv);
    // What arrives may let changes go that waited for it, so one round may not be enough.
    const rounds = isPartial ? 2 : 8;
    for (let round = 0; round < rounds; round += 1) {
      if (round > 0 && others.every(hasAll)) break;
      for (const pair of others) await transfer(pair, hub);
      for (const pair of others) await transfer(hub, pair);
    }
    const expected = await this.#compare(hub, "settled");
    for (const pair of others) {
      if (isPartial && !hasAll(pair)) continue;
      const actual = await this.#compare(pair, "settled");
      const what = `${pair.name} and ${hub.name}`;
      expectEqual(`settled: version vector of ${what}`, actual.vv, expected.vv);
      expectEqual(`settled: JSON of ${what}`, actual.json, expected.json);
      expectEqual(`settled: marks of ${what}`, actual.deltas, expected.deltas);
    }
    if (this.#features.has("log")) await this.#log(random.pick(this.#pairs));
    await this.#joinFromSnapshots(random.pick(this.#pairs), random);
  }

  // A new pair whose sides start from the snapshots of the two engines: each from its own, or from the other's.
  async #joinFromSnapshots(source, random) {
    const expected = await this.#compare(source, "settled");
    const [tested, loro] = await Promise.all(
      [source.tested, source.loro].map(({ engine, name }) =>
        engine.export(name, "snapshot"),
      ),
    );
    const pair = await this.#drawPair(random);
    const bytes = random.chance(0.5)
      ? { tested, loro }
      : { tested: loro, loro: tested };
    await this.#import(pair, bytes, `${pair.name} from snapshots`);
    const actual = await this.#compare(pair, `${pair.name} from snapshots`);
    expectEqual(
      "JSON of a document from a snapshot",
      actual.json,
      expected.json,
    );
    pair.isShallow = source.isShallow;
    this.#pairs.push(pair);
  }
}
