// SPDX-License-Identifier: Apache-2.0
//
// The wire panel: what the last keystroke cost, how that compares with sending the note, totals and the newest frames.

import { byId, formatBytes, make, oncePerFrame } from "./dom";
import type { Wire } from "./wire";

const barsShown = 48;
const framesShown = 7;

export class WirePanel {
  #wire: Wire;
  #last = byId("wire-last", HTMLElement);
  #average = byId("wire-average", HTMLElement);
  #ack = byId("wire-ack", HTMLElement);
  #sent = byId("wire-sent", HTMLElement);
  #received = byId("wire-received", HTMLElement);
  #snapshot = byId("wire-snapshot", HTMLElement);
  #bars = byId("wire-bars", HTMLElement);
  #frames = byId("wire-frames", HTMLElement);

  constructor(wire: Wire) {
    this.#wire = wire;
    for (let i = 0; i < barsShown; i += 1) this.#bars.append(make("i"));
    const draw = oncePerFrame(() => this.#draw());
    wire.subscribe(draw);
    draw();
  }

  // How many bytes the open note would take as a whole.
  showSnapshotSize(bytes: number | null): void {
    this.#snapshot.textContent = bytes === null ? "–" : formatBytes(bytes);
  }

  #draw(): void {
    const { sentBytes, receivedBytes, frames, updateSizes, lastAckMs } =
      this.#wire.state;
    const last = updateSizes.at(-1);
    this.#last.textContent = last === undefined ? "–" : formatBytes(last);
    const mean =
      updateSizes.reduce((sum, size) => sum + size, 0) / updateSizes.length;
    this.#average.textContent =
      updateSizes.length === 0 ? "–" : formatBytes(Math.round(mean));
    this.#ack.textContent =
      lastAckMs === null ? "–" : `${lastAckMs.toFixed(1)} ms`;
    this.#sent.textContent = formatBytes(sentBytes);
    this.#received.textContent = formatBytes(receivedBytes);
    this.#drawBars(updateSizes.slice(-barsShown));
    this.#frames.replaceChildren(
      ...frames
        .slice(-framesShown)
        .reverse()
        .map((frame) =>
          make("li", { "data-direction": frame.direction }, [
            make("span", {
              class: "arrow",
              text: frame.direction === "up" ? "↑" : "↓",
            }),
            make("span", { class: "kind", text: frame.kind }),
            make("span", { class: "room", text: frame.room }),
            make("span", { class: "size", text: formatBytes(frame.bytes) }),
          ]),
        ),
    );
  }

  #drawBars(sizes: readonly number[]): void {
    const top = Math.max(160, ...sizes);
    const bars = [...this.#bars.children];
    bars.forEach((bar, index) => {
      const size = sizes[index - (bars.length - sizes.length)];
      if (bar instanceof HTMLElement)
        bar.style.height =
          size === undefined ? "2px" : `${Math.max(6, (100 * size) / top)}%`;
      bar.classList.toggle("filled", size !== undefined);
    });
  }
}
