/** What a sandbox prints, as spans: colours are kept, and nothing else that a terminal would obey. */

export interface Span {
  text: string;
  className: string;
  /** A control character, shown by its name instead of being obeyed. */
  control?: boolean;
}

const TOKEN =
  /\x1b\[([0-9;:]*)m|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|[PX^_][^\x1b]*(?:\x1b\\|$)|[ -/]*[0-~])|\x1b|([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])|([\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f])/g;
const OVERWRITTEN = /[^\n]*\r(?=[^\n])/g;

const NAMES: Record<string, string> = {
  "\u061c": "ALM",
  "\u200e": "LRM",
  "\u200f": "RLM",
  "\u202a": "LRE",
  "\u202b": "RLE",
  "\u202c": "PDF",
  "\u202d": "LRO",
  "\u202e": "RLO",
  "\u2066": "LRI",
  "\u2067": "RLI",
  "\u2068": "FSI",
  "\u2069": "PDI",
};

export function spans(text: string): Span[] {
  const plain = text.replaceAll("\r\n", "\n").replace(OVERWRITTEN, "").replaceAll("\r", "");
  const found: Span[] = [];
  const style = new Style();
  let at = 0;
  const put = (until: number) => {
    if (until > at) found.push({ text: plain.slice(at, until), className: style.className });
  };
  for (const match of plain.matchAll(TOKEN)) {
    put(match.index);
    at = match.index + match[0].length;
    if (match[1] !== undefined) style.apply(match[1]);
    else if (match[2]) found.push({ text: NAMES[match[2]] ?? "?", className: "control", control: true });
  }
  put(plain.length);
  return found;
}

/** Text for places that hold one line and no colours: file names, titles, error messages. */
export function plain(text: string): string {
  return text.replace(TOKEN, (_, _sgr, bidi) => (bidi ? `⟨${NAMES[bidi]}⟩` : ""));
}

class Style {
  private foreground = "";
  private background = "";
  private readonly marks = new Set<string>();

  get className(): string {
    return [this.foreground, this.background, ...this.marks].filter(Boolean).join(" ");
  }

  apply(codes: string): void {
    const numbers = codes.split(/[;:]/).map(Number);
    for (let i = 0; i < numbers.length; i++) {
      const code = numbers[i] ?? 0;
      if (code === 38 || code === 48) {
        const skipped = numbers[i + 1] === 5 ? 2 : 4;
        const colour = numbers[i + 1] === 5 ? (numbers[i + 2] ?? 0) : -1;
        if (code === 38) this.foreground = colour >= 0 && colour < 16 ? `ansi-${colour}` : "ansi-other";
        i += skipped;
      } else this.one(code);
    }
  }

  private one(code: number): void {
    if (code === 0) {
      this.foreground = this.background = "";
      this.marks.clear();
    } else if (code === 1) this.marks.add("ansi-bold");
    else if (code === 2) this.marks.add("ansi-dim");
    else if (code === 3) this.marks.add("ansi-italic");
    else if (code === 4) this.marks.add("ansi-underline");
    else if (code === 22) {
      this.marks.delete("ansi-bold");
      this.marks.delete("ansi-dim");
    } else if (code === 39) this.foreground = "";
    else if (code === 49) this.background = "";
    else if (code >= 30 && code <= 37) this.foreground = `ansi-${code - 30}`;
    else if (code >= 90 && code <= 97) this.foreground = `ansi-${code - 82}`;
    else if (code >= 40 && code <= 47) this.background = `ansi-bg-${code - 40}`;
  }
}
