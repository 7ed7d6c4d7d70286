// What a visit loads, compressed: without the editor, and all of it. Fails when it is more than was promised.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const folder = join(import.meta.dirname, "..", "..", "sandloop", "web_static");
const FIRST_MOST = 250_000;
const WHOLE_MOST = 1_600_000;

const size = (name) => gzipSync(readFileSync(join(folder, name))).length;
const assets = readdirSync(join(folder, "assets")).map((name) => join("assets", name));
const scripts = [...assets, "index.html", "theme.js", "icon.svg", "frame.html"];

/** A file with all that it imports at once; what it imports later is loaded when it is needed. */
function withImports(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const text = readFileSync(join(folder, name), "utf8");
  for (const [, other] of text.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g))
    withImports(join("assets", other), found);
  for (const [, other] of text.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css|svg))"/g)) withImports(other, found);
  return found;
}

const isEditor = (name) => /Monaco|worker/.test(name);
const pages = assets.filter((name) => /Page-.*\.(js|css)$/.test(name));
const first = new Set([...withImports("index.html"), ...pages.flatMap((page) => [...withImports(page)])]);
const editor = [...first].filter(isEditor);
const sum = (names) => [...names].reduce((total, name) => total + size(name), 0);
const kB = (bytes) => `${(bytes / 1000).toFixed(0)} kB`;

const [before, whole] = [sum(first), sum(scripts)];
console.log(`all pages without the editor: ${kB(before)} of ${kB(FIRST_MOST)}`);
console.log(`everything: ${kB(whole)} of ${kB(WHOLE_MOST)}`);
if (editor.length) console.error(`loaded before it is needed: ${editor.join(", ")}`);
process.exit(before <= FIRST_MOST && whole <= WHOLE_MOST && editor.length === 0 ? 0 : 1);
