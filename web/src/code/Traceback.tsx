import { Fragment } from "react";
import { Ansi } from "../results/Output";

const PLACES = /(?:Cell In\[\d+\], line |\bcell-\d+\.[jt]s:|\bmain\.\w+:|\bline )(\d+)/gi;

/** Lines of the code that a traceback names, the innermost last. */
export function linesOf(traceback: string): number[] {
  return [...traceback.matchAll(PLACES)].map((match) => Number(match[1]));
}

/** A traceback whose places lead to the editor's lines. */
export function Traceback(props: { text: string; lines: number; onLine: (line: number) => void }) {
  const parts: { text: string; line: number | null }[] = [];
  let at = 0;
  for (const match of props.text.matchAll(PLACES)) {
    const line = Number(match[1]);
    if (line < 1 || line > props.lines) continue;
    parts.push({ text: props.text.slice(at, match.index), line: null }, { text: match[0], line });
    at = match.index + match[0].length;
  }
  parts.push({ text: props.text.slice(at), line: null });
  return (
    <pre className="text text-stderr traceback">
      {parts.map((part, index) => (
        <Fragment key={index}>
          {part.line === null ? (
            <Ansi text={part.text} />
          ) : (
            <button type="button" className="line-link" onClick={() => props.onLine(part.line ?? 1)}>
              {part.text}
            </button>
          )}
        </Fragment>
      ))}
    </pre>
  );
}
