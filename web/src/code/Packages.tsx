import { useCallback, useEffect, useId, useState } from "react";
import { isAbort } from "../api/client";
import { events } from "../api/events";
import type { InstallResult } from "../api/types";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { Output } from "../results/Output";
import { Transcript } from "../results/transcript";
import { useFrames, useLoaded } from "../ui/hooks";
import { Failed, Loading } from "../ui/Notice";

interface Props {
  threadId: string;
  language: string;
  turn: number;
  onChanged: () => void;
}

export function Packages({ threadId, language, turn, onChanged }: Props) {
  const client = useClient();
  const id = useId();
  const [filter, setFilter] = useState("");
  const install = useInstall(threadId, onChanged);
  const ecosystem = language === "javascript" || language === "typescript" ? language : "python";
  const list = useLoaded(
    useCallback(
      async (signal: AbortSignal) => {
        const all = await client.send("GET /sandboxes", { signal });
        const mine = all.find((sandbox) => sandbox.thread_id === threadId);
        if (!mine) return [];
        const params = { sandbox_id: mine.sandbox_id, details: true };
        return (await client.send("GET /sandboxes/{sandbox_id}", { params, signal })).packages;
      },
      [client, threadId],
    ),
  );
  const { reload } = list;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new turn looks again.
  useEffect(reload, [turn, reload]);
  const shown = (list.data ?? []).filter(({ name }) => name.toLowerCase().includes(filter.toLowerCase()));

  return (
    <div className="packages">
      <form
        className="packages-form"
        onSubmit={(event) => {
          event.preventDefault();
          const names = String(new FormData(event.currentTarget).get("names"))
            .split(/[\s,]+/)
            .filter(Boolean);
          if (names.length) void install.start(names, ecosystem);
        }}
      >
        <label htmlFor={id} className="field">
          <span>Install for {ecosystem === "python" ? "Python" : "JavaScript"}</span>
          <input
            id={id}
            name="names"
            className="input"
            placeholder={ecosystem === "python" ? "polars httpx>=0.27" : "lodash"}
            autoComplete="off"
            spellCheck={false}
          />
        </label>
        {install.busy ? (
          <button type="button" className="button" onClick={install.stop}>
            Stop
          </button>
        ) : (
          <button type="submit" className="button">
            Install
          </button>
        )}
      </form>
      {(install.busy || !install.transcript.empty) && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
        <section className="packages-log" data-scroll tabIndex={0} aria-label="Progress">
          <Output transcript={install.transcript} version={install.version} live={install.busy} />
          {install.busy && <span className="spinner" role="status" aria-label="Installing" />}
        </section>
      )}
      {install.error !== null && <Failed error={install.error} />}
      {install.done && (
        <p className={install.done.success ? "notice notice-good" : "notice notice-error"} role="status">
          {install.done.success
            ? `Installed ${install.done.packages_installed.join(", ")}`
            : plain(install.done.error ?? "")}
        </p>
      )}
      <label className="field">
        <span>Installed Python packages</span>
        <input
          className="input"
          type="search"
          placeholder="Filter"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
      </label>
      {list.error ? (
        <Failed error={list.error} onRetry={reload} />
      ) : list.data ? (
        <ul className="package-list">
          {shown.slice(0, 300).map(({ name, version }) => (
            <li key={name}>
              <span>{plain(name)}</span>
              <span className="quiet">{plain(version)}</span>
            </li>
          ))}
          {shown.length === 0 && (
            <li className="quiet">{list.data.length ? "None of this name." : "No sandbox yet: run something."}</li>
          )}
        </ul>
      ) : (
        <Loading />
      )}
    </div>
  );
}

function useInstall(threadId: string, onChanged: () => void) {
  const client = useClient();
  const [transcript, setTranscript] = useState(() => new Transcript());
  const [version, changed] = useFrames();
  const [stopping, setStopping] = useState<AbortController | null>(null);
  const [done, setDone] = useState<InstallResult | null>(null);
  const [error, setError] = useState<unknown>(null);
  const start = async (packages: string[], language: string) => {
    const stop = new AbortController();
    const progress = new Transcript();
    setStopping(stop);
    setTranscript(progress);
    setDone(null);
    setError(null);
    try {
      const body = { thread_id: threadId, packages, language };
      for await (const event of events(client, "/code/install-packages", { body, signal: stop.signal })) {
        if (event.name === "end") setDone(event.data as InstallResult);
        else progress.add(event.name as "status", (event.data as { text: string }).text);
        changed();
      }
    } catch (failed) {
      if (!isAbort(failed)) setError(failed);
    }
    setStopping(null);
    onChanged();
  };
  return { transcript, version, busy: stopping !== null, done, error, start, stop: () => stopping?.abort() };
}
