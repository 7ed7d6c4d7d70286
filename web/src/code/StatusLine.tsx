import { useCallback, useEffect, useState } from "react";
import { messageOf } from "../api/client";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { useEvery, useLoaded } from "../ui/hooks";

/** The sandbox below: how long it lives, and what it uses. Looking does not renew it. */
export function StatusLine({ threadId, turn }: { threadId: string; turn: number }) {
  const client = useClient();
  const [told, setTold] = useState("");
  const found = useLoaded(
    useCallback(
      async (signal: AbortSignal) => {
        const all = await client.send("GET /sandboxes", { signal });
        return { at: Date.now(), sandbox: all.find((sandbox) => sandbox.thread_id === threadId) ?? null };
      },
      [client, threadId],
    ),
  );
  const { reload } = found;
  useEvery(5000, reload);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new turn looks again.
  useEffect(reload, [turn, reload]);
  const sandbox = found.data?.sandbox;

  const extend = async () => {
    if (!sandbox) return;
    try {
      const params = { sandbox_id: sandbox.sandbox_id };
      await client.send("POST /sandboxes/{sandbox_id}/extend", { params, body: { seconds: 3600 } });
      setTold("");
    } catch (failed) {
      setTold(messageOf(failed));
    }
    reload();
  };

  if (found.error) return <footer className="status-line">{messageOf(found.error)}</footer>;
  if (!found.data) return <footer className="status-line">…</footer>;
  if (!sandbox) return <footer className="status-line">No sandbox yet. The first run makes one.</footer>;
  return (
    <footer className="status-line" data-testid="status-line">
      <span className="status-item">
        <i className={`dot dot-${sandbox.state === "running" ? "good" : "idle"}`} />
        {sandbox.state === "running" ? "Running" : "Paused"}
        <code className="status-id">{sandbox.sandbox_id}</code>
      </span>
      {sandbox.state === "running" && (
        <span className="status-item">
          <TimeLeft seconds={sandbox.seconds_left} at={found.data.at} />
          <button type="button" className="link" onClick={extend}>
            Extend
          </button>
        </span>
      )}
      {sandbox.memory_mib !== null && (
        <span className="status-item">
          Memory {sandbox.memory_mib} of {sandbox.memory_limit_mib} MiB
        </span>
      )}
      {sandbox.cpu_percent !== null && <span className="status-item">CPU {Math.round(sandbox.cpu_percent)} %</span>}
      <Network level={sandbox.network} />
      {told && <span className="status-item">{told}</span>}
    </footer>
  );
}

const LEVELS: Record<string, string> = { on: "Internet", registries: "Package registries only", off: "No network" };

function Network({ level }: { level: string | null }) {
  return level ? <span className="status-item">{LEVELS[level] ?? plain(level)}</span> : null;
}

export function TimeLeft({ seconds, at }: { seconds: number; at: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, seconds - Math.max(0, now - at) / 1000);
  return <span title="Until it is paused or ends">{duration(left)} left</span>;
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${whole} s`;
}
