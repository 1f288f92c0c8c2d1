// SPDX-License-Identifier: Apache-2.0
//
// Who is here: every page keeps one entry in an ephemeral store that the server relays and does not keep. A page that
// goes silent fades after the store's timeout; one that sees a newcomer says hello again, so nobody waits for a beat.

import { EphemeralStore } from "loro-crdt";
import type { Value } from "loro-crdt";

const timeoutMs = 12_000;
const beatMs = 4_000;
const sendEveryMs = 60;

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly hue: number;
  // The note that is open, and the caret in its body as a Loro cursor.
  readonly note: string | null;
  readonly cursor: Uint8Array | null;
  readonly self: boolean;
}

const adjectives = [
  "Quick",
  "Calm",
  "Bright",
  "Bold",
  "Kind",
  "Sunny",
  "Clever",
  "Gentle",
  "Lucky",
  "Brave",
];
const birds = [
  "Merlin",
  "Wren",
  "Heron",
  "Falcon",
  "Robin",
  "Swift",
  "Osprey",
  "Finch",
  "Kestrel",
  "Plover",
];
const hues = [8, 32, 88, 148, 176, 202, 226, 262, 292, 332];

const pick = <T>(items: readonly T[]): T =>
  items[Math.floor(Math.random() * items.length)]!;

export class Presence {
  readonly store = new EphemeralStore(timeoutMs);
  readonly id: string;
  #name: string;
  #hue: number;
  #note: string | null = null;
  #cursor: Uint8Array | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.id = crypto.randomUUID().slice(0, 8);
    this.#name =
      sessionStorage.getItem("name") ?? `${pick(adjectives)} ${pick(birds)}`;
    this.#hue = Number(sessionStorage.getItem("hue") ?? pick(hues));
    sessionStorage.setItem("name", this.#name);
    sessionStorage.setItem("hue", String(this.#hue));
    this.store.subscribe(({ by, added }) => {
      if (by !== "import" || !added.some((id) => id !== this.id)) return;
      this.#avoidSharedHue();
      this.#schedule();
    });
    setInterval(() => this.#send(), beatMs);
    window.addEventListener("pagehide", () => this.store.delete(this.id));
    this.#send();
  }

  get hue(): number {
    return this.#hue;
  }

  get name(): string {
    return this.#name;
  }

  rename(name: string): void {
    this.#name = name.trim().slice(0, 32) || this.#name;
    sessionStorage.setItem("name", this.#name);
    this.#send();
  }

  place(note: string | null, cursor: Uint8Array | null): void {
    this.#note = note;
    this.#cursor = cursor;
    this.#schedule();
  }

  // Everyone who is here, this page first.
  get people(): Person[] {
    const people = Object.entries(this.store.getAllStates()).flatMap(
      ([id, value]) => {
        const person = parsePerson(id, value, id === this.id);
        return person ? [person] : [];
      },
    );
    return people.sort(
      (a, b) => Number(b.self) - Number(a.self) || a.name.localeCompare(b.name),
    );
  }

  // Of two people with one hue, the one with the greater id looks for a free one.
  #avoidSharedHue(): void {
    const others = this.people.filter((person) => !person.self);
    if (
      !others.some((person) => person.hue === this.#hue && person.id < this.id)
    )
      return;
    const free = hues.filter(
      (hue) => !others.some((person) => person.hue === hue),
    );
    if (free.length === 0) return;
    this.#hue = pick(free);
    sessionStorage.setItem("hue", String(this.#hue));
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#send(), sendEveryMs);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.store.set(this.id, {
      name: this.#name,
      hue: this.#hue,
      note: this.#note,
      cursor: this.#cursor,
    });
  }
}

function parsePerson(
  id: string,
  value: Value | undefined,
  self: boolean,
): Person | null {
  if (
    typeof value !== "object" ||
    value === null ||
    Array.isArray(value) ||
    value instanceof Uint8Array
  )
    return null;
  const { name, hue, note, cursor } = value;
  if (typeof name !== "string" || typeof hue !== "number") return null;
  return {
    id,
    name,
    hue,
    note: typeof note === "string" ? note : null,
    cursor: cursor instanceof Uint8Array ? cursor : null,
    self,
  };
}
