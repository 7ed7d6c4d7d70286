/** Monaco with the features and languages that are used here, and its worker from our own origin. */

import * as monaco from "monaco-editor/editor";
import "monaco-editor/features/register.all";
import "monaco-editor/languages/definitions/cpp/register";
import "monaco-editor/languages/definitions/csharp/register";
import "monaco-editor/languages/definitions/css/register";
import "monaco-editor/languages/definitions/go/register";
import "monaco-editor/languages/definitions/html/register";
import "monaco-editor/languages/definitions/ini/register";
import "monaco-editor/languages/definitions/java/register";
import "monaco-editor/languages/definitions/javascript/register";
import "monaco-editor/languages/definitions/julia/register";
import "monaco-editor/languages/definitions/markdown/register";
import "monaco-editor/languages/definitions/php/register";
import "monaco-editor/languages/definitions/python/register";
import "monaco-editor/languages/definitions/r/register";
import "monaco-editor/languages/definitions/ruby/register";
import "monaco-editor/languages/definitions/rust/register";
import "monaco-editor/languages/definitions/shell/register";
import "monaco-editor/languages/definitions/sql/register";
import "monaco-editor/languages/definitions/typescript/register";
import "monaco-editor/languages/definitions/yaml/register";
import EditorWorker from "monaco-editor/editor/editor.worker?worker";

self.MonacoEnvironment = { getWorker: () => new EditorWorker() };

const LIGHT = { background: "#ffffff", line: "#f6f6f9", number: "#73737f", selection: "#dcdcf9" };
const DARK = { background: "#17171c", line: "#1e1e25", number: "#85858f", selection: "#38386b" };

for (const [name, base, colours] of [
  ["sandloop-light", "vs", LIGHT],
  ["sandloop-dark", "vs-dark", DARK],
] as const) {
  monaco.editor.defineTheme(name, {
    base,
    inherit: true,
    rules: [],
    colors: {
      "editor.background": colours.background,
      "editor.lineHighlightBackground": colours.line,
      "editor.lineHighlightBorder": "#00000000",
      "editorLineNumber.foreground": colours.number,
      "editor.selectionBackground": colours.selection,
      "editorGutter.background": colours.background,
    },
  });
}

/** Monaco's name for a language of the server. */
export function monacoLanguage(name: string): string {
  const names: Record<string, string> = { bash: "shell", c: "c", "": "plaintext" };
  return names[name] ?? name;
}

export { monaco };
