import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, isAbort } from "../api/client";
import { events } from "../api/events";
import type { AgentEvent, ApprovalDecision, RunCall, ThreadDetail } from "../api/types";
import { useClient } from "../app/session";
import { after, type Item, remembered } from "./items";

export type Phase = "loading" | "idle" | "running" | "reconnecting" | "elsewhere";

export interface Conversation {
  phase: Phase;
  items: Item[];
  thread: ThreadDetail | null;
  /** Of the run that goes on, or of the last one. */
  model: { provider: string; name: string; scripted: boolean } | null;
  error: unknown;
}

const EMPTY: Conversation = { phase: "idle", items: [], thread: null, model: null, error: null };
const RUNNING = "sandloop.running";
const LOOK_AGAIN = 1000;
const MOST_WAIT = 8000;

/**
 * One conversation: what is remembered of it, and its run. A run that loses its connection, or its page by a reload,
 * is stopped by the server; here it is taken up again.
 */
export function useConversation(id: string | null, onChanged: () => void) {
  const client = useClient();
  const [state, setState] = useState<Conversation>(() => (id ? { ...EMPTY, phase: "loading" } : EMPTY));
  const stopping = useRef<AbortController | null>(null);
  const told = useRef(onChanged);
  told.current = onChanged;

  const change = useCallback((part: Partial<Conversation> | ((before: Conversation) => Partial<Conversation>)) => {
    setState((before) => ({ ...before, ...(typeof part === "function" ? part(before) : part) }));
  }, []);

  const load = useCallback(
    async (thread: string, signal: AbortSignal) => {
      const detail = await client.send("GET /agents/threads/{thread_id}", { params: { thread_id: thread }, signal });
      const model = detail.provider_id
        ? { provider: detail.provider_id, name: detail.model_id, scripted: detail.provider_id === "scripted" }
        : null;
      change({ thread: detail, items: remembered(detail), model });
      return detail;
    },
    [client, change],
  );

  /** Follow a run to its end, over lost connections. */
  const follow = useCallback(
    async (thread: string, path: string, body: unknown) => {
      stopping.current?.abort();
      const stop = new AbortController();
      stopping.current = stop;
      mark(thread);
      change({ phase: "running", error: null });
      const startedAt = performance.now();
      const call = { params: { thread_id: thread }, body, signal: stop.signal };
      try {
        await stream(client, path, call, startedAt, change, () => told.current());
        unmark();
      } catch (error) {
        if (stop.signal.aborted || isAbort(error)) return;
        if (!(error instanceof ApiError && error.offline)) {
          unmark();
          change({ phase: "idle", error });
        } else if (await regained(thread, load, change, stop.signal)) {
          return follow(thread, "/agents/{thread_id}/resume", {});
        } else unmark();
      }
      if (stop.signal.aborted) return;
      change({ phase: "idle" });
      told.current();
      await refresh(client, thread, change, stop.signal);
    },
    [client, change, load],
  );

  useEffect(() => {
    const stop = new AbortController();
    const open = async (thread: string) => {
      change({ phase: "loading", error: null });
      try {
        let detail = await load(thread, stop.signal);
        while (detail.running) {
          change({ phase: "elsewhere" });
          await pause(LOOK_AGAIN, stop.signal);
          detail = await load(thread, stop.signal);
        }
        if (stop.signal.aborted) return;
        if (isBroken(detail) && isMarked(thread)) return await follow(thread, "/agents/{thread_id}/resume", {});
        change({ phase: "idle" });
      } catch (error) {
        if (!isAbort(error) && !stop.signal.aborted) change({ phase: "idle", error });
      }
    };
    // A thread that this page has just begun is shown already.
    if (id && stopping.current === null) void open(id);
    return () => stop.abort();
  }, [id, load, follow, change]);
  useEffect(
    () => () => {
      stopping.current?.abort();
      stopping.current = null;
    },
    [],
  );

  const send = useCallback(
    (thread: string, call: RunCall, files: string[]) => {
      const item: Item = { kind: "user", key: `u${Date.now()}`, text: call.message, files };
      change((before) => ({ items: [...before.items, item] }));
      return follow(thread, "/agents/stream", { ...call, thread_id: thread });
    },
    [change, follow],
  );
  const resume = useCallback(
    (thread: string, decisions: ApprovalDecision[]) => follow(thread, "/agents/{thread_id}/resume", { decisions }),
    [follow],
  );
  const cancel = useCallback(
    async (thread: string) => {
      unmark();
      try {
        await client.send("POST /agents/{thread_id}/cancel", { params: { thread_id: thread } });
      } catch (error) {
        change({ error });
      }
    },
    [client, change],
  );
  return { ...state, send, resume, cancel };
}

type Change = (part: Partial<Conversation> | ((before: Conversation) => Partial<Conversation>)) => void;
type ClientOf = ReturnType<typeof useClient>;

async function stream(
  client: ClientOf,
  path: string,
  call: { params: { thread_id: string }; body: unknown; signal: AbortSignal },
  startedAt: number,
  change: Change,
  onStarted: () => void,
): Promise<void> {
  let waiting: AgentEvent[] = [];
  let frame = 0;
  const show = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    const events = waiting;
    waiting = [];
    if (events.length) {
      change(({ items }) => ({ items: events.reduce((all, event) => after(all, event, startedAt), items) }));
    }
  };
  try {
    // `params` fills the path's braces; where there are none it would be a query.
    const { params, ...rest } = call;
    const options = path.includes("{") ? call : rest;
    void params;
    for await (const { data } of events(client, path, options)) {
      const event = data as AgentEvent;
      if (event.type === "started") {
        change({ model: { provider: event.provider_id, name: event.model_id, scripted: event.scripted } });
        onStarted();
      }
      waiting.push(event);
      if (event.type === "ended") return;
      if (!frame) frame = requestAnimationFrame(show);
    }
    throw new ApiError(0, "connection_lost", "The connection was lost.");
  } finally {
    show();
  }
}

/** Wait until the server answers again; true when the run has to be taken up. */
async function regained(
  thread: string,
  load: (thread: string, signal: AbortSignal) => Promise<ThreadDetail>,
  change: Change,
  signal: AbortSignal,
): Promise<boolean> {
  change({ phase: "reconnecting" });
  for (let wait = 250; !signal.aborted; wait = Math.min(MOST_WAIT, wait * 2)) {
    await pause(wait, signal);
    if (signal.aborted) return false;
    try {
      const detail = await load(thread, signal);
      // The server may not have noticed yet, or somebody else goes on with it.
      if (detail.running) {
        wait = LOOK_AGAIN / 2;
        continue;
      }
      return isBroken(detail);
    } catch (error) {
      if (error instanceof ApiError && error.offline) continue;
      if (!isAbort(error)) change({ error });
      return false;
    }
  }
  return false;
}

/** Whether the run can go on by itself. One that was let through by a person waits for that person again. */
export function isBroken(thread: ThreadDetail): boolean {
  return thread.interrupted && thread.approvals.length === 0;
}

/** What a list and the header say of a thread, without its items: those of the run are shown already. */
async function refresh(client: ClientOf, thread: string, change: Change, signal: AbortSignal): Promise<void> {
  try {
    change({ thread: await client.send("GET /agents/threads/{thread_id}", { params: { thread_id: thread }, signal }) });
  } catch {
    // The next visit shows it.
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}

/** Which thread this tab runs, so that a reload takes it up again. */
function mark(thread: string): void {
  sessionStorage.setItem(RUNNING, thread);
}

function unmark(): void {
  sessionStorage.removeItem(RUNNING);
}

function isMarked(thread: string): boolean {
  return sessionStorage.getItem(RUNNING) === thread;
}
