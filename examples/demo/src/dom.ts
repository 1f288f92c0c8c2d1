// SPDX-License-Identifier: Apache-2.0
//
// Small helpers for the page: elements that must exist, and elements made in one expression.

export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type))
    throw new Error(`#${id} is missing or not a ${type.name}`);
  return element;
}

interface Attributes {
  readonly class?: string;
  readonly text?: string;
  readonly title?: string;
  readonly [data: `data-${string}` | `aria-${string}`]: string;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  children: readonly Node[] = [],
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function button(
  attributes: Attributes,
  onClick: () => void,
): HTMLButtonElement {
  const element = make("button", attributes);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

// Runs `draw` at most once per frame, however often it is asked to.
export function oncePerFrame(draw: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000)
    return `${(bytes / 1000).toFixed(bytes < 10_000 ? 2 : 1)} kB`;
  return `${(bytes / 1_000_000).toFixed(2)} MB`;
}
