/** What is open in the editor: a scratch pad, and files of the sandbox. */

import { useCallback, useState } from "react";

export interface Doc {
  id: string;
  /** Null for the scratch pad, which is no file yet. */
  path: string | null;
  name: string;
  language: string;
  text: string;
  /** As it is in the sandbox. */
  saved: string;
}

const EXAMPLES: Record<string, string> = {
  python: `import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 4 * np.pi, 200)
plt.figure(figsize=(8, 4))
plt.plot(x, np.sin(x), label="sine")
plt.plot(x, np.sin(x) * np.exp(-x / 8), label="damped")
plt.title("Two waves")
plt.xlabel("x")
plt.legend()
plt.show()
`,
  javascript: `const squares = [1, 2, 3, 4].map((x) => x * x);
console.log(squares);
squares.reduce((sum, x) => sum + x, 0)
`,
  typescript: `interface Point { x: number; y: number }
const far = ({ x, y }: Point): number => Math.hypot(x, y);
far({ x: 3, y: 4 })
`,
  bash: `echo "This is $(uname -s) with $(nproc) processors"
ls -la
`,
};

const ENDINGS: Record<string, string> = {
  py: "python",
  js: "javascript",
  mjs: "javascript",
  cjs: "javascript",
  ts: "typescript",
  mts: "typescript",
  sh: "bash",
  bash: "bash",
  go: "go",
  rs: "rust",
  java: "java",
  c: "c",
  h: "c",
  cpp: "cpp",
  cc: "cpp",
  hpp: "cpp",
  cs: "csharp",
  rb: "ruby",
  php: "php",
  r: "r",
  jl: "julia",
};

/** The language that a file's name stands for, or null. */
export function languageOf(path: string): string | null {
  return ENDINGS[path.split(".").pop()?.toLowerCase() ?? ""] ?? null;
}

const DISPLAY: Record<string, string> = {
  md: "markdown",
  json: "javascript",
  html: "html",
  css: "css",
  yml: "yaml",
  yaml: "yaml",
  toml: "ini",
  sql: "sql",
};

/** The language to colour a file in. */
export function displayLanguage(doc: Doc): string {
  return (doc.path && DISPLAY[doc.path.split(".").pop()?.toLowerCase() ?? ""]) || doc.language;
}

export function baseName(path: string): string {
  return path.split("/").filter(Boolean).pop() ?? path;
}

export function isUnsaved(doc: Doc): boolean {
  return doc.path !== null && doc.text !== doc.saved;
}

const SCRATCH = "scratch";

function scratch(language: string): Doc {
  const text = EXAMPLES[language] ?? "";
  return { id: SCRATCH, path: null, name: "Scratch", language, text, saved: text };
}

export function useDocuments(language: string) {
  const [docs, setDocs] = useState<Doc[]>(() => [scratch(language)]);
  const [chosen, choose] = useState(SCRATCH);
  const active = docs.find((doc) => doc.id === chosen) ?? docs[0] ?? scratch(language);

  const change = useCallback((id: string, part: Partial<Doc>) => {
    setDocs((before) => before.map((doc) => (doc.id === id ? { ...doc, ...part } : doc)));
  }, []);
  const open = useCallback((path: string, text: string) => {
    const doc = { id: path, path, name: baseName(path), language: languageOf(path) ?? "python", text, saved: text };
    setDocs((before) => (before.some((one) => one.id === path) ? before : [...before, doc]));
    choose(path);
  }, []);
  const close = useCallback((id: string) => {
    setDocs((before) => before.filter((doc) => doc.id !== id || doc.id === SCRATCH));
    choose((before) => (before === id ? SCRATCH : before));
  }, []);
  /** After a rename or a save under a name. */
  const move = useCallback((id: string, path: string, saved?: string) => {
    const place = { id: path, path, name: baseName(path), language: languageOf(path) ?? "python" };
    setDocs((before) => before.map((doc) => (doc.id === id ? { ...doc, ...place, saved: saved ?? doc.saved } : doc)));
    choose((before) => (before === id ? path : before));
  }, []);
  const setLanguage = useCallback(
    (language: string) => {
      setDocs((before) =>
        before.map((doc) => {
          if (doc.id !== chosen) return doc;
          // An example that nobody has touched gives way to that of the new language.
          const untouched = doc.path === null && (doc.text === (EXAMPLES[doc.language] ?? "") || !doc.text.trim());
          return { ...doc, language, text: untouched ? (EXAMPLES[language] ?? "") : doc.text };
        }),
      );
    },
    [chosen],
  );
  return { docs, active, choose, change, open, close, move, setLanguage };
}

export type Documents = ReturnType<typeof useDocuments>;
