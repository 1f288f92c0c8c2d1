// SPDX-License-Identifier: Apache-2.0
//
// What bench/engine.mjs measures: the lines, who takes part, how often, and the goals.

const all = ["merrow", "loro", "diamond-types", "yrs", "automerge"];
const pair = ["merrow", "loro"];

/** How many times as fast as the other engine Merrow should be. */
export const goals = {
  loro: 3,
  loroConcurrentText: 10,
  // On the traces, at most twice as slow.
  "diamond-types": 0.5,
};

const line = (workload, title, options = {}) => ({
  workload,
  title,
  engines: pair,
  rounds: 5,
  goal: goals.loro,
  ...options,
});
const traces = { engines: all, isTrace: true };

const sizes = [1_000, 10_000, 100_000, 1_000_000];
const short = { 1000: "1k", 10000: "10k", 100000: "100k", 1000000: "1M" };
const growth = (kind, title) =>
  sizes.map((size) =>
    line(`growth-${kind}-${size}`, title, {
      rounds: size >= 1_000_000 ? 1 : 3,
      size: short[size],
      growth: kind,
      goal: kind === "concurrent" ? goals.loroConcurrentText : goals.loro,
    }),
  );

export const groups = [
  {
    title: "Text, sequential: automerge-paper (259,778 edits)",
    lines: [
      line("replay-commit-each", "replay by local edits, one commit per edit", { ...traces, rounds: 3 }),
      line("replay-commit-once", "replay by local edits, one commit in all", {
        ...traces,
        // A single transaction of yrs takes minutes.
        engines: ["merrow", "loro", "diamond-types", "automerge"],
        rounds: 3,
      }),
      line("paper-import-updates", "import of all updates", {
        ...traces,
        engines: ["merrow", "loro", "diamond-types", "yrs"],
      }),
      line("paper-load", "load of a trusted snapshot", { engines: ["merrow", "loro", "automerge"] }),
      line("paper-load-read", "the same, and its text read"),
      line("paper-import-snapshot", "import of a snapshot from anywhere, its text read"),
      line("paper-export-updates", "export of all updates"),
      line("paper-export-snapshot", "export of a snapshot, the first"),
      line("paper-export-snapshot-again", "export of a snapshot after one more edit"),
    ],
  },
  {
    title: "Text, concurrent: friendsforever (26,078 transactions of two writers)",
    lines: [
      line("friends-export", "export of all updates", { ...traces, goal: goals.loroConcurrentText }),
      line("friends-import", "import of all updates", { ...traces, goal: goals.loroConcurrentText }),
      line("friends-one-by-one", "import of one update per transaction", {
        engines: ["merrow", "loro", "yrs"],
        goal: goals.loroConcurrentText,
        rounds: 3,
      }),
    ],
  },
  {
    title: "One small update",
    lines: [
      line("row-linear", "into a row of 5 fields"),
      line("row-concurrent", "the same, concurrent"),
      line("board-linear", "into a board of 1,000 strokes of 7 fields"),
      line("board-concurrent", "the same, concurrent"),
      line("text-linear", "into a text of 50,000 characters"),
      line("text-concurrent", "the same, concurrent", { goal: goals.loroConcurrentText }),
    ],
  },
  {
    title: "Export to who is behind (after 1,000 updates)",
    lines: [
      line("row-export-1", "row, one write behind"),
      line("row-export-350", "row, 350 writes behind"),
      line("board-export-1", "board, one write behind"),
      line("board-export-350", "board, 350 writes behind"),
      line("text-export-1", "text, one write behind"),
      line("text-export-350", "text, 350 writes behind"),
    ],
  },
  {
    title: "Snapshots and JSON",
    lines: [
      line("row-export-snapshot", "row, export of a snapshot after one more edit"),
      line("board-export-snapshot", "board, export of a snapshot, the first"),
      line("board-export-snapshot-again", "board, export of a snapshot after one more edit"),
      line("board-json", "board as JSON"),
      line("deep-json", "maps in lists, eight deep, 9,841 maps, as JSON"),
    ],
  },
  {
    title: "Maps, trees, movable lists",
    lines: [
      line("map-sets", "1,000,000 sets of 100,000 keys", { rounds: 3 }),
      line("map-import", "import of these", { rounds: 3 }),
      line("tree-moves", "10,000 nodes, 100,000 moves", { rounds: 3 }),
      line("tree-import", "import of these", { rounds: 3 }),
      line("movable-moves", "10,000 items, 10,000 moves", { rounds: 3 }),
      line("movable-import", "import of these", { rounds: 3 }),
    ],
  },
  {
    title: "Memory of a document at rest, loaded from a snapshot",
    unit: "bytes",
    lines: [
      line("memory-row-5", "chat row of 5 fields", { rounds: 1, bytesMax: 1024 }),
      line("memory-row-12", "row of 12 fields", { rounds: 1, bytesMax: 1536 }),
    ],
  },
  {
    title: "Growth: time per op",
    unit: "per op",
    lines: [
      ...growth("typing", "typing at the end, one commit per character"),
      ...growth("random", "inserts at random places, one commit each"),
      ...growth("concurrent", "import of two writers' concurrent words"),
      ...growth("map", "map sets of 100,000 keys"),
    ],
  },
];
