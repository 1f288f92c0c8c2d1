// SPDX-License-Identifier: Apache-2.0
//
// The open note: title, text with everyone's carets, votes, tags and colour.

import { CaretOverlay } from "./caret_overlay";
import { button, byId, make, oncePerFrame } from "./dom";
import { colours } from "./note";
import type { Note } from "./note";
import type { Presence } from "./presence";
import { TextBinding } from "./text_binding";

export class Editor {
  #presence: Presence;
  #panel = byId("editor", HTMLElement);
  #title = byId("note-title", HTMLInputElement);
  #body = byId("note-body", HTMLTextAreaElement);
  #votes = byId("note-votes", HTMLElement);
  #tags = byId("note-tags", HTMLElement);
  #tagInput = byId("note-tag-input", HTMLInputElement);
  #colours = byId("note-colours", HTMLElement);
  #counts = byId("note-counts", HTMLElement);
  #overlay: CaretOverlay;
  #note: Note | null = null;
  #close: (() => void)[] = [];
  #redraw = oncePerFrame(() => this.#draw());

  constructor(presence: Presence) {
    this.#presence = presence;
    this.#overlay = new CaretOverlay(
      this.#body,
      byId("note-carets", HTMLElement),
    );
    presence.store.subscribe(this.#redraw);
    document.addEventListener("selectionchange", () => this.#tellCaret());
    this.#body.addEventListener("blur", () => this.#tellCaret());
    this.#title.addEventListener("input", () => {
      if (this.#note) this.#note.title = this.#title.value;
    });
    this.#title.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      this.#body.focus();
    });
    byId("vote-up", HTMLButtonElement).addEventListener("click", () =>
      this.#note?.vote(1),
    );
    byId("vote-down", HTMLButtonElement).addEventListener("click", () =>
      this.#note?.vote(-1),
    );
    this.#tagInput.addEventListener("keydown", (event) => this.#tagKey(event));
    this.#tagInput.addEventListener("blur", () => this.#takeTag());
    this.#panel.addEventListener("keydown", (event) => this.#undoKey(event));
    for (const colour of colours) {
      this.#colours.append(
        button(
          {
            class: "swatch",
            "data-colour": colour,
            title: colour,
            "aria-label": `Colour ${colour}`,
          },
          () => {
            if (this.#note) this.#note.colour = colour;
          },
        ),
      );
    }
  }

  get note(): Note | null {
    return this.#note;
  }

  open(note: Note | null): void {
    for (const close of this.#close.splice(0)) close();
    this.#note = note;
    this.#panel.hidden = note === null;
    if (note) {
      const binding = new TextBinding(
        this.#body,
        note.doc,
        note.body,
        this.#redraw,
      );
      this.#close.push(
        () => binding.destroy(),
        note.doc.subscribe(this.#redraw),
      );
    }
    this.#presence.place(note?.id ?? null, null);
    this.#draw();
  }

  focusTitle(): void {
    this.#title.focus();
    this.#title.select();
  }

  #draw(): void {
    const note = this.#note;
    if (!note) return;
    if (this.#title.value !== note.title)
      showKeepingCaret(this.#title, note.title);
    this.#panel.dataset["colour"] = note.colour;
    this.#votes.textContent = String(note.votes);
    for (const swatch of this.#colours.querySelectorAll("button")) {
      swatch.setAttribute(
        "aria-pressed",
        String(swatch.dataset["colour"] === note.colour),
      );
    }
    this.#drawTags(note);
    const text = this.#body.value;
    const words = text.split(/\s+/u).filter(Boolean).length;
    this.#counts.textContent = `${words} ${words === 1 ? "word" : "words"} · ${text.length} characters`;
    const others = this.#presence.people.filter(
      (person) => !person.self && person.note === note.id,
    );
    this.#overlay.draw(note.doc, others);
  }

  // Only when they changed, so that a click on one is not lost to a redraw.
  #drawTags(note: Note): void {
    const drawn = JSON.stringify([note.id, note.tags]);
    if (this.#tags.dataset["drawn"] === drawn) return;
    this.#tags.dataset["drawn"] = drawn;
    this.#tags.replaceChildren(
      ...note.tags.map((tag) =>
        make("li", { class: "tag" }, [
          make("span", { text: tag }),
          button(
            {
              text: "×",
              title: `Remove ${tag}`,
              "aria-label": `Remove tag ${tag}`,
            },
            () => note.removeTag(tag),
          ),
        ]),
      ),
    );
  }

  #tellCaret(): void {
    if (!this.#note) return;
    const focused = document.activeElement === this.#body;
    const cursor = focused
      ? this.#note.body.getCursor(this.#body.selectionEnd)?.encode()
      : undefined;
    this.#presence.place(this.#note.id, cursor ?? null);
  }

  #tagKey(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      this.#takeTag();
    } else if (event.key === "Backspace" && this.#tagInput.value === "") {
      const last = this.#note?.tags.at(-1);
      if (last !== undefined) this.#note?.removeTag(last);
    }
  }

  #takeTag(): void {
    const tag = this.#tagInput.value.trim();
    this.#tagInput.value = "";
    if (tag) this.#note?.addTag(tag);
  }

  // The browser's own undo does not know about other people's edits.
  #undoKey(event: KeyboardEvent): void {
    if (
      !(event.ctrlKey || event.metaKey) ||
      event.altKey ||
      event.target === this.#tagInput
    )
      return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) this.#note?.redo();
    else this.#note?.undo();
  }
}

function showKeepingCaret(input: HTMLInputElement, value: string): void {
  const { selectionStart, selectionEnd } = input;
  input.value = value;
  if (document.activeElement === input)
    input.setSelectionRange(selectionStart, selectionEnd);
}
