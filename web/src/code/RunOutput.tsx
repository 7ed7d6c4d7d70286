import { useEffect, useState } from "react";
import { useClient } from "../app/session";
import { Ansi, Output } from "../results/Output";
import { Results } from "../results/Results";
import { CodeIcon } from "../ui/icons";
import { Empty, Failed } from "../ui/Notice";
import { Traceback } from "./Traceback";
import type { Run } from "./useExecution";

interface Props {
  run: Run;
  version: number;
  threadId: string;
  codeLines: number;
  onLine: (line: number) => void;
}

/** What a run has printed and made. */
export function RunOutput({ run, version, threadId, codeLines, onLine }: Props) {
  const client = useClient();
  const fileUrl = (path: string) => client.url("/code/download", { path, thread_id: threadId });
  if (run.phase === "idle") {
    return (
      <Empty icon={<CodeIcon />} title="Nothing has run yet">
        Press <kbd>Ctrl</kbd> <kbd>Enter</kbd>. Variables and files live on between runs.
      </Empty>
    );
  }
  const { result } = run;
  return (
    <div className="run" aria-busy={run.phase === "running"}>
      <Output transcript={run.transcript} version={version} live={run.phase === "running"} />
      {run.value && (
        <pre className="text value" data-testid="value">
          <Ansi text={run.value} />
        </pre>
      )}
      <Results artifacts={run.artifacts} fileUrl={fileUrl} />
      {result?.output_file && (
        <p className="quiet">
          The output is long.{" "}
          <a href={fileUrl(result.output_file)} download>
            Download all of it
          </a>
        </p>
      )}
      {result?.error && (
        <div className="run-error" role="alert">
          {/* A traceback ends with the error itself. */}
          {result.traceback ? (
            <Traceback text={result.traceback} lines={codeLines} onLine={onLine} />
          ) : (
            <pre className="text text-stderr">
              <Ansi text={result.error} />
            </pre>
          )}
        </div>
      )}
      {result?.notes.map((note) => (
        <p key={note} className="notice">
          <Ansi text={note} />
        </p>
      ))}
      {run.phase === "failed" && <Failed error={run.error} />}
      <Footer run={run} />
    </div>
  );
}

function Footer({ run }: { run: Run }) {
  if (run.phase === "running") return <Clock since={run.startedAt} />;
  const words: Partial<Record<Run["phase"], string>> = { stopped: "Stopped" };
  if (run.result) {
    const code = run.result.exit_code ? ` · exit code ${run.result.exit_code}` : "";
    words.done = `${run.result.success ? "Done" : "Failed"} in ${seconds(run.result.execution_time)}${code}`;
  }
  const text = words[run.phase];
  return text ? (
    <p className="run-foot" role="status" data-testid="run-end">
      <i className={`dot dot-${run.result?.success ? "good" : "bad"}`} />
      {text}
    </p>
  ) : null;
}

function Clock({ since }: { since: number }) {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 100);
    return () => clearInterval(timer);
  }, []);
  return (
    <p className="run-foot">
      <span className="spinner" aria-hidden="true" />
      Running · {((now - since) / 1000).toFixed(1)} s
    </p>
  );
}

export function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}
