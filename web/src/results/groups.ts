/** Rich results: the representations of one result belong together, and one of them is shown first. */

import type { Artifact } from "../api/types";

export interface Group {
  key: string;
  views: Artifact[];
}

const ORDER: Artifact["kind"][] = [
  "png",
  "jpeg",
  "chart",
  "svg",
  "dataframe",
  "html",
  "markdown",
  "latex",
  "json",
  "pdf",
  "javascript",
  "text",
];

/** Group by the result's number, which ends an artifact's name. */
export function groups(artifacts: readonly Artifact[]): Group[] {
  const found = new Map<string, Artifact[]>();
  for (const artifact of artifacts) {
    const key = /-(\d+)$/.exec(artifact.name)?.[1] ?? artifact.name;
    found.set(key, [...(found.get(key) ?? []), artifact]);
  }
  const rank = (artifact: Artifact) => ORDER.indexOf(artifact.kind);
  return [...found].map(([key, views]) => ({ key, views: views.toSorted((a, b) => rank(a) - rank(b)) }));
}

/** Kinds that say what the value's text says as well. */
const SAYS_IT_ALL = new Set<Artifact["kind"]>(["dataframe", "html", "markdown", "latex", "json"]);

export function replacesText(artifacts: readonly Artifact[]): boolean {
  return artifacts.some((artifact) => SAYS_IT_ALL.has(artifact.kind));
}
