// SPDX-License-Identifier: Apache-2.0
//
// What must be equal in both engines, brought to a form in which it is: what loro-crdt leaves open (how histories are
// cut into changes, where a delta is cut, empty roots) is taken out.

import { isDeepStrictEqual } from "node:util";

export class CaseFailure extends Error {}

const show = (value) => {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 1500
    ? `${text.slice(0, 1500)}... (${text.length} characters)`
    : text;
};

export function expectEqual(what, tested, loro) {
  if (!isDeepStrictEqual(tested, loro)) {
    throw new CaseFailure(
      `${what} differs\n    tested: ${show(tested)}\n    loro:   ${show(loro)}`,
    );
  }
}

const isEmptyRoot = (value) =>
  value === "" ||
  value === 0 ||
  (typeof value === "object" &&
    value !== null &&
    Object.keys(value).length === 0);

// Roots that were only asked for are shown by loro-crdt and known to nobody else, so empty roots are left out.
export function comparableJson(value) {
  return Object.fromEntries(
    Object.entries(value).filter(([, root]) => !isEmptyRoot(root)),
  );
}

export const comparableFrontiers = (list) =>
  list.map(({ peer, counter }) => `${counter}@${peer}`).sort();

// loro-crdt leaves pieces with equal attributes apart, depending on how the document came to be.
export function comparableDelta(delta) {
  const joined = [];
  for (const { insert, attributes = {} } of delta) {
    const last = joined.at(-1);
    if (last && isDeepStrictEqual(last.attributes, attributes))
      last.insert += insert;
    else joined.push({ insert, attributes });
  }
  return joined;
}

// JSON updates as one entry per atom, {id: {lamport, timestamp, message, deps, container, content}}: the same however
// ops are cut into runs and changes. `deps` is there where an atom follows more, or other, than its peer's one before.
function comparableUpdates({ peers, changes }) {
  const nameOf = (text) =>
    text.replace(
      /^(L?\d+)@(\d+)$/,
      (_, counter, index) => `${counter}@${peers?.[index] ?? index}`,
    );
  const containerOf = (text) =>
    text.replace(/^cid:(\d+@\d+):/, (_, id) => `cid:${nameOf(id)}:`);
  const atoms = {};
  for (const change of changes) {
    const [start, peer] = nameOf(change.id).split("@");
    const first = Number(start);
    const deps = (change.deps ?? []).map(nameOf).sort();
    const follows = deps.length === 1 && deps[0] === `${first - 1}@${peer}`;
    for (const { container, counter, content } of change.ops) {
      atomsOf(content, nameOf).forEach((atom, index) => {
        const at = counter + index;
        atoms[`${at}@${peer}`] = {
          lamport: change.lamport + at - first,
          timestamp: change.timestamp,
          message: change.msg ?? "",
          ...(at === first && !follows ? { deps } : {}),
          container: containerOf(container),
          content: atom,
        };
      });
    }
  }
  return atoms;
}

// A value that holds a child container names it by the id of the atom, which is shown as "🦜:cid:...".
function comparableValue(value, nameOf) {
  if (typeof value !== "string") return value;
  return value.replace(
    /^🦜:cid:(\d+@\d+):/u,
    (_, id) => `🦜:cid:${nameOf(id)}:`,
  );
}

function atomsOf(content, nameOf) {
  const named = (fields) =>
    Object.fromEntries(
      fields.map((field) => [
        field,
        content[field] == null ? null : nameOf(content[field]),
      ]),
    );
  switch (content.type) {
    case "insert":
      if (content.text !== undefined)
        return [...content.text].map((text, i) => ({
          type: "insert",
          pos: content.pos + i,
          text,
        }));
      if (content.key !== undefined)
        return [{ ...content, value: comparableValue(content.value, nameOf) }];
      return content.value.map((value, i) => ({
        type: "insert",
        pos: content.pos + i,
        value: comparableValue(value, nameOf),
      }));
    case "delete": {
      if (content.len === undefined)
        return [{ ...content, ...named(content.target ? ["target"] : []) }];
      const [counter, peer] = nameOf(content.start_id).split("@");
      const length = Math.abs(content.len);
      return Array.from({ length }, (_, i) => ({
        type: "delete",
        pos: content.len < 0 ? content.pos - i : content.pos,
        id: `${Number(counter) + (content.len < 0 ? length - 1 - i : i)}@${peer}`,
      }));
    }
    case "set":
      return [
        {
          ...content,
          ...named(["elem_id"]),
          value: comparableValue(content.value, nameOf),
        },
      ];
    case "move":
    case "create":
      return [
        {
          ...content,
          ...named(
            ["elem_id", "target", "parent"].filter((field) => field in content),
          ),
        },
      ];
    default:
      return [content];
  }
}

// loro-crdt makes one change of local commits that are at most so many seconds apart, which then has the first's time.
const mergeIntervalSeconds = 1000;

// What is open between two documents in which the same edit was made: in which order it deletes several runs, and which
// commits become one change.
function levelEdits(tested, loro) {
  if (tested === undefined || loro === undefined) return;
  if (tested.content.type === "delete" && loro.content.type === "delete") {
    delete tested.content;
    delete loro.content;
  }
  if (Math.abs(tested.timestamp - loro.timestamp) <= mergeIntervalSeconds)
    tested.timestamp = loro.timestamp;
}

// Both are what exportJsonUpdates() gives. `areMadeApart`: by equal edits in two documents.
export function expectSameUpdates(what, tested, loro, areMadeApart = false) {
  const [ours, theirs] = [tested, loro].map(comparableUpdates);
  for (const id of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    if (areMadeApart) levelEdits(ours[id], theirs[id]);
    expectEqual(`${what}: JSON update of ${id}`, ours[id], theirs[id]);
  }
}
