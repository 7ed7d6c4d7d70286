import { useCallback, useEffect, useRef, useState } from "react";
import type { SandboxInfo, ThreadSummary } from "../api/types";
import { href } from "../app/route";
import { useClient } from "../app/session";
import { TimeLeft } from "../code/StatusLine";
import { plain } from "../results/ansi";
import { Confirm } from "../ui/Dialog";
import { useEvery, useLoaded } from "../ui/hooks";
import { BoxIcon, RefreshIcon, TrashIcon } from "../ui/icons";
import { Empty, Failed, Loading } from "../ui/Notice";
import { Curve } from "./Curve";

const EVERY = 2000;
const KEPT = 60;

interface Seen {
  at: number;
  sandboxes: SandboxInfo[];
  threads: ThreadSummary[];
}

export interface Sample {
  cpu: number;
  memory: number;
}

export default function SandboxesPage() {
  const client = useClient();
  const [ending, setEnding] = useState<SandboxInfo | null>(null);
  const [error, setError] = useState<unknown>(null);
  const seen = useLoaded(
    useCallback(
      async (signal: AbortSignal): Promise<Seen> => {
        const [sandboxes, threads] = await Promise.all([
          client.send("GET /sandboxes", { signal }),
          client.send("GET /agents/threads", { signal }),
        ]);
        return { at: Date.now(), sandboxes, threads };
      },
      [client],
    ),
  );
  useEvery(EVERY, seen.reload);
  const samples = useSamples(seen.data);

  const end = async (sandbox: SandboxInfo) => {
    try {
      await client.send("DELETE /sandboxes/{sandbox_id}", { params: { sandbox_id: sandbox.sandbox_id } });
      setError(null);
    } catch (failed) {
      setError(failed);
    }
    seen.reload();
  };

  return (
    <div className="sheet">
      <header className="sheet-head">
        <h2>Sandboxes</h2>
        <p className="quiet">
          Each conversation runs its code in one of its own. Looking at them does not keep them alive.
        </p>
        <button type="button" className="icon-button" aria-label="Look again" title="Look again" onClick={seen.reload}>
          <RefreshIcon />
        </button>
      </header>
      {error !== null && <Failed error={error} />}
      {seen.error ? <Failed error={seen.error} onRetry={seen.reload} /> : null}
      {!seen.data ? (
        !seen.error && <Loading />
      ) : seen.data.sandboxes.length === 0 ? (
        <Empty icon={<BoxIcon />} title="No sandboxes">
          They are made when code runs, and end by themselves when nobody uses them.
        </Empty>
      ) : (
        <ul className="sandboxes">
          {seen.data.sandboxes.map((sandbox) => (
            <Row
              key={sandbox.sandbox_id}
              sandbox={sandbox}
              at={seen.data?.at ?? 0}
              thread={seen.data?.threads.find((thread) => thread.id === sandbox.thread_id) ?? null}
              samples={samples.get(sandbox.sandbox_id) ?? []}
              onEnd={() => setEnding(sandbox)}
            />
          ))}
        </ul>
      )}
      {ending && (
        <Confirm
          title="End this sandbox?"
          text="Its files and variables are gone. Code that runs in it is stopped. The next run gets a new one."
          action="End it"
          onYes={() => void end(ending)}
          onClose={() => setEnding(null)}
        />
      )}
    </div>
  );
}

interface RowProps {
  sandbox: SandboxInfo;
  at: number;
  thread: ThreadSummary | null;
  samples: readonly Sample[];
  onEnd: () => void;
}

function Row({ sandbox, at, thread, samples, onEnd }: RowProps) {
  const running = sandbox.state === "running";
  return (
    <li className="sandbox card" data-testid="sandbox">
      <div className="sandbox-about">
        <div className="sandbox-name">
          <i className={`dot dot-${running ? "good" : "idle"}`} />
          <code>{sandbox.sandbox_id}</code>
          {!running && <span className="badge">paused</span>}
        </div>
        <div className="quiet sandbox-thread">
          {thread ? (
            <a href={href("chat", thread.id)}>{plain(thread.title)}</a>
          ) : sandbox.thread_id ? (
            <a href={href("code", sandbox.thread_id)}>{plain(sandbox.thread_id)}</a>
          ) : (
            "no thread"
          )}
          <span>
            since {new Date(sandbox.started_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}
          </span>
          {running && <TimeLeft seconds={sandbox.seconds_left} at={at} />}
        </div>
      </div>
      {running && (
        <div className="curves">
          <Curve
            name="Memory"
            values={samples.map((sample) => sample.memory)}
            most={sandbox.memory_limit_mib}
            label={`${sandbox.memory_mib ?? 0} MiB`}
          />
          <Curve
            name="CPU"
            values={samples.map((sample) => sample.cpu)}
            most={100 * Math.max(1, sandbox.cpu_count)}
            label={`${Math.round(sandbox.cpu_percent ?? 0)} %`}
          />
        </div>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={`End ${sandbox.sandbox_id}`}
        title="End it"
        onClick={onEnd}
      >
        <TrashIcon />
      </button>
    </li>
  );
}

/** The numbers of the last minutes, as far as this page has seen them. */
function useSamples(seen: Seen | null): ReadonlyMap<string, Sample[]> {
  const kept = useRef(new Map<string, Sample[]>());
  const [, setVersion] = useState(0);
  useEffect(() => {
    if (!seen) return;
    const next = new Map<string, Sample[]>();
    for (const sandbox of seen.sandboxes) {
      const before = kept.current.get(sandbox.sandbox_id) ?? [];
      const sample = { cpu: sandbox.cpu_percent ?? 0, memory: sandbox.memory_mib ?? 0 };
      next.set(sandbox.sandbox_id, [...before, sample].slice(-KEPT));
    }
    kept.current = next;
    setVersion((before) => before + 1);
  }, [seen]);
  return kept.current;
}
