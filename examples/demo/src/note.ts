// SPDX-License-Identifier: Apache-2.0
//
// Typed views of the two document rows: the board, which names the notes, and a note. The layout is Merrow's row
// layout: scalar columns in the root map `row`, each CRDT_ column in a root container of its own name.

import { UndoManager } from "loro-crdt";
import type {
  LoroCounter,
  LoroDoc,
  LoroList,
  LoroMap,
  LoroText,
} from "loro-crdt";

export const colours = ["sand", "rose", "sky", "mint", "violet"] as const;
export type Colour = (typeof colours)[number];

const isColour = (value: unknown): value is Colour =>
  colours.some((colour) => colour === value);

export class Board {
  readonly doc: LoroDoc;
  #notes: LoroMap;

  constructor(doc: LoroDoc) {
    this.doc = doc;
    this.#notes = doc.getMap("notes");
  }

  // Ids of the notes, oldest first.
  get noteIds(): string[] {
    const notes: [string, unknown][] = this.#notes.entries();
    return notes
      .map(([id, made]) => ({ id, made: typeof made === "number" ? made : 0 }))
      .sort((a, b) => a.made - b.made || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id);
  }

  add(id: string): void {
    this.#notes.set(id, Date.now());
    this.doc.commit();
  }

  remove(id: string): void {
    this.#notes.delete(id);
    this.doc.commit();
  }
}

export class Note {
  readonly id: string;
  readonly doc: LoroDoc;
  readonly body: LoroText;
  #row: LoroMap;
  #votes: LoroCounter;
  #tags: LoroList;
  #props: LoroMap;
  #undo: UndoManager;

  constructor(id: string, doc: LoroDoc) {
    this.id = id;
    this.doc = doc;
    this.body = doc.getText("body");
    this.#row = doc.getMap("row");
    this.#votes = doc.getCounter("votes");
    this.#tags = doc.getList("tags");
    this.#props = doc.getMap("props");
    this.#undo = new UndoManager(doc, {
      mergeInterval: 700,
      maxUndoSteps: 200,
    });
  }

  get title(): string {
    const value: unknown = this.#row.get("title");
    return typeof value === "string" ? value : "";
  }

  set title(text: string) {
    if (text === this.title) return;
    this.#row.set("title", text);
    this.doc.commit();
  }

  get votes(): number {
    return this.#votes.value;
  }

  vote(by: number): void {
    this.#votes.increment(by);
    this.doc.commit();
  }

  get tags(): string[] {
    const tags: unknown[] = this.#tags.toArray();
    return tags.filter((tag): tag is string => typeof tag === "string");
  }

  addTag(tag: string): void {
    if (this.tags.includes(tag)) return;
    this.#tags.push(tag);
    this.doc.commit();
  }

  removeTag(tag: string): void {
    const at = this.#tags.toArray().indexOf(tag);
    if (at < 0) return;
    this.#tags.delete(at, 1);
    this.doc.commit();
  }

  get colour(): Colour {
    const value: unknown = this.#props.get("colour");
    return isColour(value) ? value : "sand";
  }

  set colour(colour: Colour) {
    if (colour === this.colour) return;
    this.#props.set("colour", colour);
    this.doc.commit();
  }

  // Takes back, or repeats, the latest change that was made on this page; other people's stay.
  undo(): void {
    this.#undo.undo();
  }

  redo(): void {
    this.#undo.redo();
  }
}
