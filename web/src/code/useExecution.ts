import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, isAbort } from "../api/client";
import { events } from "../api/events";
import type { Artifact, ExecuteCall, Execution } from "../api/types";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { replacesText } from "../results/groups";
import { Transcript } from "../results/transcript";
import { useFrames } from "../ui/hooks";

export type Ending = Omit<Execution, "artifacts">;

export interface Run {
  phase: "idle" | "running" | "done" | "stopped" | "failed";
  transcript: Transcript;
  artifacts: Artifact[];
  result: Ending | null;
  /** The text of the last expression's value, where nothing richer says the same. */
  value: string;
  error: unknown;
  startedAt: number;
}

function fresh(phase: Run["phase"]): Run {
  return {
    phase,
    transcript: new Transcript(),
    artifacts: [],
    result: null,
    value: "",
    error: null,
    startedAt: performance.now(),
  };
}

/** One run of code at a time, with its output as it comes. Leaving the page stops it. */
export function useExecution() {
  const client = useClient();
  const [run, setRun] = useState<Run>(() => fresh("idle"));
  const [version, changed] = useFrames();
  const stopping = useRef<AbortController | null>(null);
  useEffect(() => () => stopping.current?.abort(), []);

  const start = useCallback(
    async (call: ExecuteCall): Promise<Run> => {
      stopping.current?.abort();
      const stop = new AbortController();
      stopping.current = stop;
      const now = fresh("running");
      setRun(now);
      const finish = (end: Partial<Run>) => {
        const done = { ...now, ...end };
        if (stopping.current === stop) setRun(done);
        return done;
      };
      try {
        for await (const event of events(client, "/code/execute", { body: call, signal: stop.signal })) {
          if (event.name === "artifact") now.artifacts = [...now.artifacts, event.data as Artifact];
          else if (event.name === "end") return finish(ended(now, event.data as Ending));
          else {
            now.transcript.add(event.name as "stdout", (event.data as { text: string }).text);
            changed();
          }
        }
        throw new ApiError(0, "connection_lost", "The connection was lost, and the code was stopped.");
      } catch (error) {
        return finish(isAbort(error) || stop.signal.aborted ? { phase: "stopped" } : { phase: "failed", error });
      }
    },
    [client, changed],
  );
  const stop = useCallback(() => stopping.current?.abort(), []);
  return { run, version, start, stop };
}

function ended(now: Run, result: Ending): Partial<Run> {
  return { phase: "done", result, value: valueText(now, result) };
}

/** The server's output is what was printed and, below it, values. Only the values have not been seen yet. */
function valueText(now: Run, result: Ending): string {
  if (result.output_file || replacesText(now.artifacts)) return "";
  const printed = now.transcript.whole("stdout");
  if (printed === null) return "";
  const seen = tidy(printed);
  if (!seen) return result.output;
  return result.output.startsWith(seen) ? result.output.slice(seen.length).replace(/^\n/, "") : "";
}

function tidy(text: string): string {
  const lines = text.replaceAll("\r\n", "\n").replace(/[^\n]*\r(?!\n)/g, "");
  return plain(lines)
    .replace(/⟨[A-Z]+⟩/g, "")
    .replace(/\n+$/, "");
}
