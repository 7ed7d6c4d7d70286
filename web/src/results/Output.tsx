import { memo, useEffect, useRef } from "react";
import { spans } from "./ansi";
import type { Piece, Transcript } from "./transcript";

/** Text of a run. `version` changes with the transcript, which is changed in place. */
export function Output({ transcript, version, live }: { transcript: Transcript; version: number; live: boolean }) {
  const end = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it scrolls whenever more has come.
  useEffect(() => {
    const box = end.current?.closest("[data-scroll]");
    if (live && following.current && box) box.scrollTop = box.scrollHeight;
  }, [version, live]);
  useEffect(() => {
    const box = end.current?.closest("[data-scroll]");
    if (!box) return;
    const onScroll = () => {
      following.current = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    };
    box.addEventListener("scroll", onScroll, { passive: true });
    return () => box.removeEventListener("scroll", onScroll);
  }, []);
  return (
    <div className="output" data-testid="output">
      {transcript.head.map((piece) => (
        <Text key={piece.id} piece={piece} />
      ))}
      {transcript.leftOut > 0 && <div className="output-left-out">{size(transcript.leftOut)} are not shown here</div>}
      {transcript.tail.map((piece) => (
        <Text key={piece.id} piece={piece} />
      ))}
      <div ref={end} />
    </div>
  );
}

const Text = memo(function Text({ piece }: { piece: Piece }) {
  return (
    <pre className={`text text-${piece.stream}`}>
      <Ansi text={piece.text.endsWith("\n") ? piece.text.slice(0, -1) : piece.text} />
    </pre>
  );
});

/** Text with its colours; control characters that could deceive are shown by name. */
export function Ansi({ text }: { text: string }) {
  return spans(text).map((span, index) =>
    span.control ? (
      <abbr key={index} className="control" title="A control character that changes the direction of text">
        {span.text}
      </abbr>
    ) : (
      <span key={index} className={span.className || undefined}>
        {span.text}
      </span>
    ),
  );
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
