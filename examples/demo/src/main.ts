// SPDX-License-Identifier: Apache-2.0
//
// The demo page: a board of notes, each a row of the table `note`, edited by everyone who has the page open. The
// documents are plain loro-crdt, the connection is plain loro-websocket; the server is Merrow.

import { byId, make, oncePerFrame } from "./dom";
import { Editor } from "./editor";
import { Board, Note } from "./note";
import { NoteItem } from "./note_item";
import { Presence } from "./presence";
import { Session } from "./session";
import { Wire } from "./wire";
import { WirePanel } from "./wire_panel";

const wire = new Wire();
wire.install();

const session = new Session(
  `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/sync`,
);
const presence = new Presence();
session.presence("board", "main", presence.store);
const board = new Board(session.row("board", "main"));
const editor = new Editor(presence);
const wirePanel = new WirePanel(wire);
const notes = new Map<string, Note>();

const list = byId("notes", HTMLElement);
const empty = byId("empty", HTMLElement);
const people = byId("people", HTMLElement);
const connection = byId("connection", HTMLElement);
const saved = byId("saved", HTMLElement);
const offlineSwitch = byId("offline", HTMLButtonElement);
const ownAvatar = byId("my-avatar", HTMLElement);
const nameInput = byId("my-name", HTMLInputElement);

function note(id: string): Note {
  let found = notes.get(id);
  if (!found) {
    found = new Note(id, session.row("note", id));
    found.doc.subscribe(drawSoon);
    notes.set(id, found);
  }
  return found;
}

function openNote(id: string | null): void {
  if (id !== editor.note?.id) editor.open(id === null ? null : note(id));
  history.replaceState(null, "", id === null ? location.pathname : `#${id}`);
  drawSoon();
}

function addNote(): void {
  const id = crypto.randomUUID().slice(0, 8);
  board.add(id);
  openNote(id);
  editor.focusTitle();
}

// ---- drawing -------------------------------------------------------------------------------------------------------

const drawSoon = oncePerFrame(draw);
let snapshotTimer: ReturnType<typeof setTimeout> | undefined;

function draw(): void {
  const ids = board.noteIds;
  chooseOpenNote(ids);
  drawList(ids);
  empty.hidden = ids.length > 0 || !session.isLoaded("board", "main");
  drawPeople();
  // An export per second at most: it is only there to be compared with.
  snapshotTimer ??= setTimeout(() => {
    snapshotTimer = undefined;
    wirePanel.showSnapshotSize(
      editor.note ? editor.note.doc.export({ mode: "snapshot" }).length : null,
    );
  }, 1000);
}

function chooseOpenNote(ids: readonly string[]): void {
  const open = editor.note?.id;
  if (open !== undefined && ids.includes(open)) return;
  const wanted = location.hash.slice(1);
  const next = ids.includes(wanted) ? wanted : (ids.at(-1) ?? null);
  if (next !== (open ?? null)) openNote(next);
}

// Elements are kept from one drawing to the next, so that a click that spans two of them is not lost.
const listItems = new Map<string, NoteItem>();

function drawList(ids: readonly string[]): void {
  for (const [id, item] of listItems) {
    if (ids.includes(id)) continue;
    item.element.remove();
    listItems.delete(id);
  }
  ids.forEach((id, index) => {
    let item = listItems.get(id);
    if (!item) {
      item = new NoteItem(id, {
        onOpen: openNote,
        onRemove: (removed) => board.remove(removed),
      });
      listItems.set(id, item);
    }
    const others = presence.people.filter(
      (person) => person.note === id && !person.self,
    );
    item.show(note(id), id === editor.note?.id, others);
    if (list.children[index] !== item.element)
      list.insertBefore(item.element, list.children[index] ?? null);
  });
}

function drawPeople(): void {
  ownAvatar.style.setProperty("--hue", String(presence.hue));
  people.replaceChildren(
    ...presence.people
      .filter((person) => !person.self)
      .map((person) => {
        const initials = person.name
          .split(/\s+/u)
          .map((word) => word.slice(0, 1))
          .join("")
          .slice(0, 2);
        const where =
          person.note && notes.has(person.note)
            ? notes.get(person.note)?.title || "Untitled"
            : "";
        const avatar = make("span", { class: "avatar", text: initials });
        avatar.style.setProperty("--hue", String(person.hue));
        return make("li", { class: "person" }, [
          avatar,
          make("span", { class: "person-name", text: person.name }),
          make("span", {
            class: "person-where",
            text: person.note ? `in ${where}` : "on the board",
          }),
        ]);
      }),
  );
  people.classList.toggle("alone", people.children.length === 0);
}

function drawConnection(): void {
  const { state, latencyMs } = session;
  connection.dataset["state"] = state;
  const names = {
    connected: "Connected",
    connecting: "Connecting…",
    disconnected: "Reconnecting…",
    offline: "Offline",
  };
  connection.textContent =
    names[state] +
    (state === "connected" && latencyMs !== null ? ` · ${latencyMs} ms` : "");
  const { unacknowledged, lastRefusal } = wire.state;
  const away = state !== "connected";
  saved.textContent = lastRefusal
    ? `Refused by the server (${lastRefusal})`
    : away
      ? "Edits wait in this tab"
      : unacknowledged > 0
        ? "Saving…"
        : "Saved to disk";
  saved.dataset["state"] = lastRefusal
    ? "refused"
    : away
      ? "waiting"
      : unacknowledged > 0
        ? "saving"
        : "saved";
  offlineSwitch.setAttribute("aria-pressed", String(state === "offline"));
  offlineSwitch.textContent = state === "offline" ? "Go online" : "Go offline";
}

// ---- events --------------------------------------------------------------------------------------------------------

board.doc.subscribe(drawSoon);
presence.store.subscribe(drawSoon);
session.subscribe(drawSoon);
const drawConnectionSoon = oncePerFrame(drawConnection);
session.subscribe(drawConnectionSoon);
wire.subscribe(drawConnectionSoon);

for (const add of document.querySelectorAll("[data-add-note]"))
  add.addEventListener("click", addNote);
offlineSwitch.addEventListener("click", () =>
  session.state === "offline" ? session.goOnline() : session.goOffline(),
);
nameInput.value = presence.name;
nameInput.addEventListener("change", () => {
  presence.rename(nameInput.value);
  nameInput.value = presence.name;
});

list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  const buttons = [...list.querySelectorAll<HTMLElement>(".note-open")];
  const at = buttons.findIndex((element) => element === document.activeElement);
  buttons[Math.max(0, Math.min(buttons.length - 1, at + step))]?.focus();
  event.preventDefault();
});
window.addEventListener("keydown", (event) => {
  if (event.altKey && event.code === "KeyN") {
    event.preventDefault();
    addNote();
  }
});
window.addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (board.noteIds.includes(id)) openNote(id);
});

const theme = byId("theme", HTMLButtonElement);
const storedTheme = localStorage.getItem("theme");
if (storedTheme) document.documentElement.dataset["theme"] = storedTheme;
theme.addEventListener("click", () => {
  const dark =
    getComputedStyle(document.documentElement)
      .getPropertyValue("--is-dark")
      .trim() === "1";
  document.documentElement.dataset["theme"] = dark ? "light" : "dark";
  localStorage.setItem("theme", dark ? "light" : "dark");
});
draw();
drawConnection();
