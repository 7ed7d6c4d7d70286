/** Output of a run, as it comes: kept within bounds, so that 50 MB of it are no more work than 500 kB. */

export type Stream = "stdout" | "stderr" | "status";

export interface Piece {
  id: number;
  stream: Stream;
  text: string;
}

const HEAD = 64 * 1024;
const TAIL = 256 * 1024;
/** A piece is one element of the page; longer text is more of them, of which only the visible ones are laid out. */
const PIECE = 8 * 1024;

export class Transcript {
  readonly head: Piece[] = [];
  tail: Piece[] = [];
  leftOut = 0;
  private headSize = 0;
  private tailSize = 0;
  private next = 0;

  get empty(): boolean {
    return this.head.length === 0;
  }

  add(stream: Stream, text: string): void {
    for (let at = 0; at < text.length; ) {
      const end = boundary(text, at, PIECE);
      this.put(stream, text.slice(at, end));
      at = end;
    }
  }

  /** All that is kept of one stream; null when some of it was left out. */
  whole(stream: Stream): string | null {
    if (this.leftOut) return null;
    return [...this.head, ...this.tail].map((piece) => (piece.stream === stream ? piece.text : "")).join("");
  }

  private put(stream: Stream, text: string): void {
    const toHead = this.tail.length === 0 && this.headSize + text.length <= HEAD;
    if (toHead) this.headSize += text.length;
    else this.tailSize += text.length;
    this.append(toHead ? this.head : this.tail, stream, text);
    while (this.tailSize > TAIL && this.tail.length > 1) {
      const gone = this.tail.shift();
      this.tailSize -= gone?.text.length ?? 0;
      this.leftOut += gone?.text.length ?? 0;
    }
  }

  private append(pieces: Piece[], stream: Stream, text: string): void {
    const last = pieces.at(-1);
    if (last && last.stream === stream && last.text.length + text.length <= PIECE) {
      pieces[pieces.length - 1] = { ...last, text: last.text + text };
    } else pieces.push({ id: this.next++, stream, text });
  }
}

/** Where to cut: after a line where there is one, and never inside a surrogate pair. */
function boundary(text: string, from: number, most: number): number {
  if (text.length - from <= most) return text.length;
  const line = text.lastIndexOf("\n", from + most - 1);
  if (line > from + most / 2) return line + 1;
  const end = from + most;
  const unit = text.charCodeAt(end - 1);
  return unit >= 0xd800 && unit <= 0xdbff ? end - 1 : end;
}
