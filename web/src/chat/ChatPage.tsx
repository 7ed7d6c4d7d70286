import { useCallback, useEffect, useRef, useState } from "react";
import type { ThreadSummary } from "../api/types";
import { go, href } from "../app/route";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { Ask, Confirm } from "../ui/Dialog";
import { useEvery, useLoaded } from "../ui/hooks";
import { CloseIcon, EditIcon, PlusIcon, TrashIcon } from "../ui/icons";
import { Failed, Loading } from "../ui/Notice";
import { Thread } from "./Thread";

export default function ChatPage({ id }: { id: string | null }) {
  const client = useClient();
  const [drawer, setDrawer] = useState(false);
  // A new conversation gets its id when its first message is sent; the view stays the same one.
  const [fresh, setFresh] = useState<{ id: string; turn: number }>({ id: "", turn: 0 });
  const threads = useLoaded(
    useCallback((signal: AbortSignal) => client.send("GET /agents/threads", { signal }), [client]),
  );
  useEvery(10_000, threads.reload);
  const isFresh = id === null || id === fresh.id;
  const opened = useRef(false);
  useEffect(() => {
    if (id !== null) opened.current = true;
    else if (opened.current) {
      opened.current = false;
      setFresh((before) => ({ id: "", turn: before.turn + 1 }));
    }
  }, [id]);
  const begin = () => {
    setDrawer(false);
    go("chat");
  };
  return (
    <div className="chat" data-drawer={drawer || undefined}>
      <aside className="threads" aria-label="Conversations">
        <div className="threads-head">
          <button type="button" className="button threads-new" onClick={begin}>
            <PlusIcon /> New chat
          </button>
          <button
            type="button"
            className="icon-button threads-close"
            aria-label="Close the list"
            onClick={() => setDrawer(false)}
          >
            <CloseIcon />
          </button>
        </div>
        {threads.error ? (
          <Failed error={threads.error} onRetry={threads.reload} />
        ) : threads.data ? (
          <List threads={threads.data} open={id} onOpened={() => setDrawer(false)} onChanged={threads.reload} />
        ) : (
          <Loading />
        )}
      </aside>
      <Thread
        key={isFresh ? `new-${fresh.turn}` : id}
        id={id}
        onBegun={(made) => setFresh((before) => ({ ...before, id: made }))}
        onChanged={threads.reload}
        onList={() => setDrawer(true)}
      />
    </div>
  );
}

interface ListProps {
  threads: readonly ThreadSummary[];
  open: string | null;
  onOpened: () => void;
  onChanged: () => void;
}

function List({ threads, open, onOpened, onChanged }: ListProps) {
  const client = useClient();
  const [asking, setAsking] = useState<{ kind: "rename" | "delete"; thread: ThreadSummary } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const attempt = async (work: Promise<unknown>, after?: () => void) => {
    try {
      await work;
      setError(null);
      after?.();
    } catch (failed) {
      setError(failed);
    }
    onChanged();
  };
  if (!threads.length) return <p className="quiet threads-none">Conversations are kept here.</p>;
  return (
    <>
      {error !== null && <Failed error={error} />}
      <ul className="threads-list">
        {threads.map((thread) => (
          <li key={thread.id} className="thread-row" data-open={thread.id === open || undefined}>
            <a href={href("chat", thread.id)} aria-current={thread.id === open ? "true" : undefined} onClick={onOpened}>
              <span className="thread-title">{plain(thread.title)}</span>
              <span className="thread-about">
                <State thread={thread} />
                {when(thread.updated_at)}
              </span>
            </a>
            <span className="thread-actions">
              <button
                type="button"
                className="icon-button"
                aria-label={`Rename ${plain(thread.title)}`}
                title="Rename"
                onClick={() => setAsking({ kind: "rename", thread })}
              >
                <EditIcon />
              </button>
              <button
                type="button"
                className="icon-button"
                aria-label={`Delete ${plain(thread.title)}`}
                title="Delete"
                onClick={() => setAsking({ kind: "delete", thread })}
              >
                <TrashIcon />
              </button>
            </span>
          </li>
        ))}
      </ul>
      {asking?.kind === "rename" && (
        <Ask
          title="Rename"
          label="Title"
          value={asking.thread.title}
          action="Rename"
          onDone={(title) =>
            void attempt(
              client.send("PATCH /agents/threads/{thread_id}", {
                params: { thread_id: asking.thread.id },
                body: { title },
              }),
            )
          }
          onClose={() => setAsking(null)}
        />
      )}
      {asking?.kind === "delete" && (
        <Confirm
          title="Delete this conversation?"
          text={`“${plain(asking.thread.title)}” and its sandbox, with all files in it, are gone for good.`}
          action="Delete"
          onYes={() =>
            void attempt(
              client.send("DELETE /agents/threads/{thread_id}", { params: { thread_id: asking.thread.id } }),
              () => asking.thread.id === open && go("chat"),
            )
          }
          onClose={() => setAsking(null)}
        />
      )}
    </>
  );
}

function State({ thread }: { thread: ThreadSummary }) {
  if (thread.waiting) return <span className="badge badge-warn">waits for you</span>;
  if (thread.running) return <span className="badge badge-accent">running</span>;
  if (thread.interrupted) return <span className="badge">interrupted</span>;
  return null;
}

function when(time: string): string {
  const at = new Date(time);
  const today = at.toDateString() === new Date().toDateString();
  return today
    ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : at.toLocaleDateString([], { day: "numeric", month: "short" });
}
