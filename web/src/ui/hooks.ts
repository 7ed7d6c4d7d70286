import { useCallback, useEffect, useRef, useState } from "react";
import { isAbort } from "../api/client";

export interface Loaded<T> {
  data: T | null;
  error: unknown;
  reload: () => void;
  set: (data: T) => void;
}

/** Load on mount and whenever `load` changes; what is shown stays until the next answer. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ data: T | null; error: unknown }>({ data: null, error: null });
  const [turn, setTurn] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new turn loads again.
  useEffect(() => {
    const stop = new AbortController();
    load(stop.signal).then(
      (data) => !stop.signal.aborted && setState({ data, error: null }),
      (error) => !stop.signal.aborted && !isAbort(error) && setState((before) => ({ ...before, error })),
    );
    return () => stop.abort();
  }, [load, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  const set = useCallback((data: T) => setState({ data, error: null }), []);
  return { ...state, reload, set };
}

/** Call again and again while the page is visible. */
export function useEvery(milliseconds: number | null, call: () => void): void {
  const latest = useRef(call);
  latest.current = call;
  useEffect(() => {
    if (milliseconds === null) return;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") latest.current();
    }, milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
}

/** State that changes many times a second, shown once a frame. */
export function useFrames(): [number, () => void] {
  const [version, setVersion] = useState(0);
  const waiting = useRef(0);
  const changed = useCallback(() => {
    if (waiting.current) return;
    waiting.current = requestAnimationFrame(() => {
      waiting.current = 0;
      setVersion((before) => before + 1);
    });
  }, []);
  useEffect(() => () => cancelAnimationFrame(waiting.current), []);
  return [version, changed];
}
