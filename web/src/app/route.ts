/** Places of the page are fragments: all other paths belong to the API. */

import { useSyncExternalStore } from "react";

export type Page = "code" | "agents" | "chat" | "sandboxes";

export interface Route {
  page: Page;
  /** What is open there: a thread, or a saved agent. */
  id: string | null;
}

const PAGES: readonly string[] = ["code", "agents", "chat", "sandboxes"];

export function href(page: Page, id?: string | null): string {
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}`;
}

export function go(page: Page, id?: string | null): void {
  location.hash = href(page, id);
}

/** Change the place without a step in the history. */
export function replace(page: Page, id: string | null): void {
  history.replaceState(null, "", href(page, id));
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  const [, page = "", id = ""] = /^#\/([a-z]*)(?:\/(.*))?$/.exec(hash) ?? [];
  return { page: PAGES.includes(page) ? (page as Page) : "code", id: decoded(id) || null };
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
