// SPDX-License-Identifier: Apache-2.0
//
// One note in the list: name, first words, votes and who has it open.

import { button, make } from "./dom";
import type { Note } from "./note";
import type { Person } from "./presence";

interface Actions {
  readonly onOpen: (id: string) => void;
  readonly onRemove: (id: string) => void;
}

export class NoteItem {
  readonly element: HTMLLIElement;
  #open: HTMLButtonElement;
  #remove: HTMLButtonElement;
  #name = make("span", { class: "note-name" });
  #preview = make("span", { class: "note-preview" });
  #votes = make("span", { class: "note-votes" });
  #people = make("span", { class: "note-people" });

  constructor(id: string, { onOpen, onRemove }: Actions) {
    this.#open = button({ class: "note-open", "data-note": id }, () =>
      onOpen(id),
    );
    this.#open.append(
      this.#name,
      this.#preview,
      make("span", { class: "note-meta" }, [this.#votes, this.#people]),
    );
    this.#remove = button(
      { class: "note-remove", text: "×", title: "Delete note" },
      () => onRemove(id),
    );
    this.element = make("li", { class: "note" }, [this.#open, this.#remove]);
  }

  show(note: Note, isOpen: boolean, people: readonly Person[]): void {
    const name = note.title || "Untitled";
    setText(this.#name, name);
    setText(this.#preview, note.body.toString().slice(0, 80) || "No text yet");
    setText(this.#votes, `▲ ${note.votes}`);
    this.element.dataset["colour"] = note.colour;
    this.#open.setAttribute("aria-current", String(isOpen));
    this.#remove.setAttribute("aria-label", `Delete ${name}`);
    this.#people.replaceChildren(
      ...people.map((person) => {
        const dot = make("i", { class: "dot", title: person.name });
        dot.style.setProperty("--hue", String(person.hue));
        return dot;
      }),
    );
  }
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
