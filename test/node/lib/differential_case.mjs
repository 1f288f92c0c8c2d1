// SPDX-License-Identifier: Apache-2.0
//
// What a differential case is: its pairs, its roots and its list of steps, all from one seed. differential_run.mjs
// carries the steps out.
//
// Steps carry their own seeds and are resolved against the state they meet, so that any sublist of a failing list is
// a case of its own; the shrinker uses that. `at`, `from` and `to` are indexes of pairs, `side` is "tested" or "loro".
//
//   {do: "edit", at, side, count, seed}  some operations on one side and a commit, perhaps with message and timestamp
//   {do: "sync", from, to, seed}         an update since the receiver's version, since an earlier one, or a snapshot
//   {do: "range", from, to, seed}        updates in ranges: spans of some peers, wherever they begin
//   {do: "hold", from, to, seed}         an update since the last one held for this pair, kept back
//   {do: "deliver", to, seed}            one that was kept back, in any order and perhaps again
//   {do: "replace", at, from, seed}      the pair is replaced by a new one that starts from a snapshot
//   {do: "shallow", at, from, seed}      the same from a shallow snapshot at some version
//   {do: "checkout", at, from, seed}     both sides look at earlier versions, perhaps import meanwhile, and come back
//   {do: "log", at}                      both sides' histories as JSON updates
//   {do: "settle", seed}                 everyone exchanges everything; pairs join from the snapshots of both engines

import { Random } from "./random.mjs";

// What a run may leave out, by name in MERROW_FEATURES.
export const everyFeature = [
  "marks",
  "movable",
  "tree",
  "checkout",
  "shallow",
  "range",
  "log",
  "commits",
  "mergeable",
];

export function featuresFromEnvironment() {
  const text = process.env.MERROW_FEATURES;
  if (text === undefined) return new Set(everyFeature);
  const names = text.split(",").filter(Boolean);
  for (const name of names) {
    if (!everyFeature.includes(name))
      throw new Error(`MERROW_FEATURES: unknown feature ${name}`);
  }
  return new Set(names);
}

// A peer id that was not drawn before: small, large for a signed number, or next to the largest.
export function drawPeer(random, taken) {
  const draw = () => {
    switch (random.below(4)) {
      case 0:
        return BigInt(random.between(1, 99));
      case 1:
        return (1n << 63n) | random.uint64();
      case 2:
        return (1n << 64n) - BigInt(random.between(2, 40));
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

const everyRoot = [
  ["cid:root-body:Text"],
  ["cid:root-body:Text"],
  ["cid:root-заметка 𝄞:Text"],
  ["cid:root-row:Map"],
  ["cid:root-props:Map"],
  ["cid:root-tags:List"],
  ["cid:root-votes:Counter"],
  ["cid:root-cards:MovableList", "movable"],
  ["cid:root-cards:MovableList", "movable"],
  ["cid:root-outline:Tree", "tree"],
];

// A few roots, so that edits meet.
function drawRoots(random, features) {
  const open = everyRoot.filter(
    ([, feature]) => feature === undefined || features.has(feature),
  );
  const count = random.pick([1, 2, 2, 3, 4]);
  return [
    ...new Set(Array.from({ length: count }, () => random.pick(open)[0])),
  ].sort();
}

export function generateCase(seed, features = featuresFromEnvironment()) {
  const random = new Random(seed);
  const taken = new Set();
  const count = random.pick([2, 2, 2, 3, 3, 4]);
  const pairs = Array.from({ length: count }, () => ({
    tested: drawPeer(random, taken),
    loro: drawPeer(random, taken),
  }));
  const roots = drawRoots(random, features);
  const steps = [];
  const edit = (at, side = random.pick(["tested", "loro"])) =>
    steps.push({
      do: "edit",
      at,
      side,
      count: random.pick([1, 1, 2, 3]),
      seed: random.uint32(),
    });
  const addSteps = (length, slots) => {
    const slot = () => random.below(slots);
    const two = () => {
      const from = slot();
      return [from, (from + random.between(1, slots - 1)) % slots];
    };
    while (steps.length < length) {
      const kind = random.below(100);
      const seed = random.uint32();
      const [from, to] = two();
      if (kind < 30) edit(slot());
      else if (kind < 58) {
        steps.push({ do: "sync", from, to, seed });
        // Both go on from what was exchanged, each side of the receiver in turn.
        edit(to, "tested");
        edit(random.chance(0.5) ? from : to, "loro");
      } else if (kind < 68) steps.push({ do: "hold", from, to, seed });
      else if (kind < 78) {
        steps.push({ do: "deliver", to, seed });
        edit(to);
      } else if (kind < 83) {
        if (features.has("range")) steps.push({ do: "range", from, to, seed });
      } else if (kind < 90) {
        if (features.has("checkout"))
          steps.push({ do: "checkout", at: to, from, seed });
      } else if (kind < 94) {
        if (features.has("log")) steps.push({ do: "log", at: to });
      } else if (kind < 97 || !features.has("shallow")) {
        steps.push({ do: "replace", at: to, from, seed });
        edit(to);
      } else {
        steps.push({ do: "shallow", at: to, from, seed });
        edit(to, "tested");
        edit(to, "loro");
      }
    }
  };
  for (let at = 0; at < count; at += 1) edit(at);
  addSteps(random.between(8, 20), count);
  steps.push({ do: "settle", seed: random.uint32() });
  addSteps(steps.length + random.between(3, 7), count + 1);
  steps.push({ do: "settle", seed: random.uint32() });
  return { seed, pairs, roots, steps };
}
