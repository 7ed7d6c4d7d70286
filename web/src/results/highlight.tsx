import type { ReactNode } from "react";
import { plain } from "./ansi";

const WORDS =
  "abstract and as assert async await break case catch class const continue def defer del do done elif else end enum " +
  "esac except export extends false fi final finally fn for foreach from func function go goto if impl implements " +
  "import in include interface is lambda let local loop match mod module mut namespace new nil none not null nullptr " +
  "or package pass private protected pub public raise ref require return select self static struct super switch " +
  "then this throw throws trait true try type typeof union unless until use using val var void where while with yield";
const KEYWORDS = new Set(WORDS.split(" "));
const HASH = new Set(["python", "py", "bash", "sh", "shell", "ruby", "r", "julia", "yaml", "toml", "php"]);
const MOST = 50_000;

const STRINGS = String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\x60(?:\\.|[^\x60\\])*\x60?`;
const REST = String.raw`(\b\d[\w.]*)|([A-Za-z_]\w*)(?=(\s*\()?)`;
const BY_HASH = new RegExp(`(#[^\\n]*)|(${STRINGS})|${REST}`, "g");
const BY_SLASH = new RegExp(String.raw`(\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(${STRINGS})|${REST}`, "g");

/** Code in a few colours, good enough to read in any of the languages. */
export function highlighted(code: string, language: string): ReactNode {
  const text = plain(code);
  if (!language || text.length > MOST) return text;
  const found: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(HASH.has(language.toLowerCase()) ? BY_HASH : BY_SLASH)) {
    const [whole, comment, string, number, word, call] = match;
    const kind = comment ? "comment" : string ? "string" : number ? "number" : nameKind(word ?? "", call);
    if (!kind) continue;
    found.push(text.slice(at, match.index));
    found.push(
      <span key={match.index} className={`syntax-${kind}`}>
        {whole}
      </span>,
    );
    at = match.index + whole.length;
  }
  found.push(text.slice(at));
  return found;
}

function nameKind(word: string, call: string | undefined): string | null {
  if (KEYWORDS.has(word) || word === "None" || word === "True" || word === "False") return "keyword";
  return call === undefined ? null : "call";
}
