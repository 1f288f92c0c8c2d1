// SPDX-License-Identifier: Apache-2.0
//
// Binds a textarea to a LoroText. A local edit becomes the smallest delete and insert; a remote one moves the text
// around the reader's selection and scroll position. While an input method composes, remote edits wait, because
// setting the value would end the composition.

import type { Delta, LoroDoc, LoroText } from "loro-crdt";

type TextDelta = readonly Delta<string>[];

interface Replacement {
  readonly at: number;
  readonly removed: number;
  readonly inserted: string;
}

export class TextBinding {
  #area: HTMLTextAreaElement;
  #doc: LoroDoc;
  #text: LoroText;
  // What the textarea showed when it was last equal to the document.
  #shown: string;
  #composing = false;
  #waiting: TextDelta[] = [];
  #cleanup: (() => void)[] = [];
  #onChange: () => void;

  constructor(
    area: HTMLTextAreaElement,
    doc: LoroDoc,
    text: LoroText,
    onChange: () => void,
  ) {
    this.#area = area;
    this.#doc = doc;
    this.#text = text;
    this.#onChange = onChange;
    this.#shown = text.toString();
    area.value = this.#shown;
    this.#listen("input", () => {
      if (!this.#composing) this.#sendLocal();
    });
    this.#listen("compositionstart", () => {
      this.#composing = true;
    });
    this.#listen("compositionend", () => {
      this.#composing = false;
      this.#sendLocal();
    });
    const unsubscribe = doc.subscribe((batch) => {
      // What was typed here is shown already; what undo changed is not.
      if (batch.by === "local" && text.toString() === this.#area.value) return;
      for (const event of batch.events) {
        if (event.target === text.id && event.diff.type === "text")
          this.#receive(event.diff.diff);
      }
    });
    this.#cleanup.push(unsubscribe);
  }

  destroy(): void {
    for (const clean of this.#cleanup) clean();
  }

  #listen(type: string, listener: () => void): void {
    this.#area.addEventListener(type, listener);
    this.#cleanup.push(() => this.#area.removeEventListener(type, listener));
  }

  #sendLocal(): void {
    const edit = difference(
      this.#shown,
      this.#area.value,
      this.#area.selectionEnd,
    );
    const waiting = this.#waiting.splice(0);
    // Remote edits that arrived during a composition come first in the document.
    const at = waiting.reduce(
      (position, delta) => moved(position, delta),
      edit.at,
    );
    const end = waiting.reduce(
      (position, delta) => moved(position, delta),
      edit.at + edit.removed,
    );
    if (end > at) this.#text.delete(at, end - at);
    if (edit.inserted) this.#text.insert(at, edit.inserted);
    this.#doc.commit();
    if (waiting.length > 0)
      this.#show(at + edit.inserted.length, at + edit.inserted.length);
    this.#shown = this.#area.value;
    this.#onChange();
  }

  #receive(delta: TextDelta): void {
    if (this.#composing) {
      this.#waiting.push(delta);
      return;
    }
    const { selectionStart, selectionEnd } = this.#area;
    this.#show(moved(selectionStart, delta), moved(selectionEnd, delta));
    this.#shown = this.#area.value;
    this.#onChange();
  }

  #show(selectionStart: number, selectionEnd: number): void {
    const { scrollTop, selectionDirection } = this.#area;
    this.#area.value = this.#text.toString();
    this.#area.setSelectionRange(
      selectionStart,
      selectionEnd,
      selectionDirection,
    );
    this.#area.scrollTop = scrollTop;
  }
}

// Where a position is after a remote change. Text inserted exactly there comes after it.
export function moved(position: number, delta: TextDelta): number {
  let index = 0;
  let result = position;
  for (const part of delta) {
    if (part.retain !== undefined) index += part.retain;
    else if (part.insert !== undefined) {
      if (index < result) result += part.insert.length;
      index += part.insert.length;
    } else if (part.delete !== undefined && index < result) {
      result -= Math.min(part.delete, result - index);
    }
    if (index > result) break;
  }
  return result;
}

// The one replacement that turns `before` into `after`, given where the caret is now: typing "l" in "hel|o" is an
// insert at the caret, although the same text comes from an insert one to the left. Never splits a surrogate pair.
export function difference(
  before: string,
  after: string,
  caret: number,
): Replacement {
  const longest = Math.min(before.length, after.length);
  let suffix = 0;
  const suffixMax = Math.min(
    longest,
    after.length - Math.min(caret, after.length),
  );
  while (suffix < suffixMax && before.at(-1 - suffix) === after.at(-1 - suffix))
    suffix += 1;
  let prefix = 0;
  while (prefix < longest - suffix && before[prefix] === after[prefix])
    prefix += 1;
  while (
    suffix < longest - prefix &&
    before.at(-1 - suffix) === after.at(-1 - suffix)
  )
    suffix += 1;
  if (prefix > 0 && isHighSurrogate(before, prefix - 1)) prefix -= 1;
  if (suffix > 0 && isLowSurrogate(before, before.length - suffix)) suffix -= 1;
  return {
    at: prefix,
    removed: before.length - prefix - suffix,
    inserted: after.slice(prefix, after.length - suffix),
  };
}

const isHighSurrogate = (text: string, at: number): boolean =>
  (text.charCodeAt(at) & 0xfc00) === 0xd800;
const isLowSurrogate = (text: string, at: number): boolean =>
  (text.charCodeAt(at) & 0xfc00) === 0xdc00;
