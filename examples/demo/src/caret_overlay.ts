// SPDX-License-Identifier: Apache-2.0
//
// Other people's carets over a textarea. A textarea cannot hold markers, so an invisible copy of its text with the
// same metrics lies over it, and the markers stand in the copy.

import { Cursor } from "loro-crdt";
import type { LoroDoc } from "loro-crdt";
import { make } from "./dom";
import type { Person } from "./presence";

export class CaretOverlay {
  #area: HTMLTextAreaElement;
  #layer: HTMLElement;

  constructor(area: HTMLTextAreaElement, layer: HTMLElement) {
    this.#area = area;
    this.#layer = layer;
    area.addEventListener("scroll", () => this.#follow());
  }

  draw(doc: LoroDoc, people: readonly Person[]): void {
    const text = this.#area.value;
    const carets = people
      .flatMap((person) => {
        const offset = offsetOf(doc, person);
        return offset === null
          ? []
          : [{ person, offset: Math.min(offset, text.length) }];
      })
      .sort((a, b) => a.offset - b.offset);
    const nodes: Node[] = [];
    let at = 0;
    for (const { person, offset } of carets) {
      nodes.push(document.createTextNode(text.slice(at, offset)));
      const flag = make("span", { class: "caret-name", text: person.name });
      const caret = make("span", { class: "caret", "data-person": person.id }, [
        flag,
      ]);
      caret.style.setProperty("--hue", String(person.hue));
      nodes.push(caret);
      at = offset;
    }
    // The final character keeps a trailing newline from collapsing.
    nodes.push(document.createTextNode(`${text.slice(at)}\u200b`));
    this.#layer.replaceChildren(...nodes);
    this.#follow();
  }

  #follow(): void {
    this.#layer.style.transform = `translateY(${-this.#area.scrollTop}px)`;
  }
}

// A caret may name a character that has not arrived yet; it is drawn with the next change.
function offsetOf(doc: LoroDoc, { cursor }: Person): number | null {
  if (!cursor) return null;
  try {
    return doc.getCursorPos(Cursor.decode(cursor))?.offset ?? null;
  } catch {
    return null;
  }
}
