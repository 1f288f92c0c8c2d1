// SPDX-License-Identifier: Apache-2.0
//
// The page that bench/engine.mjs writes: tables, and for each line whether it met its goal.
// What falls short and why is kept by hand in bench/results/engine-shortfalls.md and quoted.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const shortfalls = fileURLToPath(new URL("results/engine-shortfalls.md", import.meta.url));

export function duration(nanoseconds) {
  const units = [
    [1e9, "s"],
    [1e6, "ms"],
    [1e3, "µs"],
    [1, "ns"],
  ];
  const [scale, unit] = units.find(([scale]) => nanoseconds >= scale) ?? [1, "ns"];
  const value = nanoseconds / scale;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
}

const times = (ratio) => `${ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)}x`;

const row = (cells) => `| ${cells.join(" | ")} |`;

const table = (head, rows) =>
  [row(head), row(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(row)].join("\n");

/** What was wanted of a line, and whether it came. */
function judge(line, result, goals) {
  const ratio = (engine) => result[engine].value / result.merrow.value;
  const verdicts = [];
  if (line.bytesMax !== undefined) {
    verdicts.push({ goal: `at most ${line.bytesMax} B`, met: result.merrow.value <= line.bytesMax });
  } else {
    verdicts.push({ goal: `${line.goal}x loro`, met: ratio("loro") >= line.goal });
  }
  if (line.isTrace && result["diamond-types"]) {
    const goal = goals["diamond-types"];
    verdicts.push({ goal: `${goal}x diamond-types`, met: ratio("diamond-types") >= goal });
  }
  return verdicts;
}

const show = (verdicts) => verdicts.map(({ goal, met }) => `${goal}: ${met ? "met" : "**missed**"}`).join("<br>");

function groupTable(group, results, goals) {
  const engines = [...new Set(group.lines.flatMap((line) => line.engines))];
  const others = engines.filter((engine) => engine !== "merrow");
  const value = (cell) => {
    if (cell === undefined) return "";
    return group.unit === "bytes" ? `${Math.round(cell.value)} B` : duration(cell.value);
  };
  const rows = group.lines.map((line) => {
    const result = results.get(line.workload);
    const cells = others.map((engine) => {
      const cell = result[engine];
      return cell === undefined ? "" : `${value(cell)} (${times(cell.value / result.merrow.value)})`;
    });
    return [line.title, value(result.merrow), ...cells, show(judge(line, result, goals))];
  });
  return table(["", "Merrow", ...others, "goal"], rows);
}

/** Time per op by size, one row per kind and engine. */
function growthTable(group, results) {
  const kinds = [...new Set(group.lines.map((line) => line.growth))];
  const head = ["", "engine", ...new Set(group.lines.map((line) => line.size))];
  const rows = kinds.flatMap((kind) => {
    const lines = group.lines.filter((line) => line.growth === kind);
    return ["merrow", "loro"].map((engine, i) => {
      const cells = lines.map((line) => {
        const { value, operations } = results.get(line.workload)[engine];
        return duration(value / operations);
      });
      return [i === 0 ? lines[0].title : "", engine, ...cells];
    });
  });
  return table(head, rows);
}

export function markdown({ groups, goals, results, machine, versions, date }) {
  const verdicts = groups.flatMap((group) =>
    group.lines.flatMap((line) => judge(line, results.get(line.workload), goals)),
  );
  const met = verdicts.filter((verdict) => verdict.met).length;
  const slower = groups.flatMap((group) =>
    group.lines.filter((line) => {
      const result = results.get(line.workload);
      return result.loro.value < result.merrow.value;
    }),
  );
  const missed = groups.flatMap((group) =>
    group.lines.flatMap((line) =>
      judge(line, results.get(line.workload), goals)
        .filter((verdict) => !verdict.met)
        .map((verdict) => `- ${line.title}${line.size ? `, ${line.size}` : ""} (\`${line.workload}\`): ${verdict.goal}`),
    ),
  );
  const parts = [
    "# Document engine benchmark",
    `\`make bench-engine\` writes this page; [testing.md](../../docs/testing.md) says how it measures. Times are medians;
in brackets, how many times Merrow's time another engine takes. More than 1x: Merrow is faster.`,
    table(
      ["", ""],
      [
        ["machine", machine],
        ["date", date.toISOString().slice(0, 10)],
        ["Merrow", `commit ${versions.merrow}, g++ -O2`],
        ["loro, diamond-types, yrs, automerge", `crates ${versions.loro}, ${versions["diamond-types"]}, ${versions.yrs}, ${versions.automerge}; rustc ${versions.rustc}, release, fat LTO`],
      ],
    ).replaceAll("---:", "---"),
    `**${met} of ${verdicts.length} goals met; ${slower.length} line${slower.length === 1 ? "" : "s"} slower than native Loro${
      slower.length === 0 ? "" : `: ${slower.map((line) => `\`${line.workload}\``).join(", ")}`
    }.**`,
  ];
  for (const group of groups) {
    parts.push(`## ${group.title}`);
    parts.push(group.unit === "per op" ? growthTable(group, results) : groupTable(group, results, goals));
  }
  parts.push("## What falls short");
  parts.push(missed.length === 0 ? "Nothing." : missed.join("\n"));
  if (existsSync(shortfalls)) parts.push(readFileSync(shortfalls, "utf8").trim());
  parts.push(`The traces are from [josephg/editing-traces](https://github.com/josephg/editing-traces), CC BY 4.0:
\`automerge-paper\` by Martin Kleppmann, \`friendsforever\` by Joseph Gentle and a friend.`);
  return { text: `${parts.join("\n\n")}\n`, met, judged: verdicts.length };
}
