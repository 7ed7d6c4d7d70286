import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError } from "../api/client";
import type { AgentResponse, RunCall } from "../api/types";
import { go, href } from "../app/route";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { Markdown } from "../results/Markdown";
import { ChatIcon, DownloadIcon, FolderIcon, ListIcon } from "../ui/icons";
import { Failed, Loading } from "../ui/Notice";
import { Approvals } from "./Approvals";
import { type Agent, Composer, useChoices } from "./Composer";
import type { Item } from "./items";
import { ToolCell } from "./ToolCell";
import { type Conversation, isBroken, useConversation } from "./useConversation";

interface Props {
  id: string | null;
  onBegun: (id: string) => void;
  onChanged: () => void;
  onList: () => void;
}

const EXAMPLES = ["Calculate the factorial of 10", "Analyse /home/user/bicycle_counts.csv and make a chart"];

export function Thread({ id, onBegun, onChanged, onList }: Props) {
  const conversation = useConversation(id, onChanged);
  const choices = useChoices();
  const [agent, setAgent] = useAgent(id, conversation.thread?.agent_type);
  const [model, setModel] = useState<{ provider: string; model: string } | null>(null);
  const [draft, setDraft] = useState("");
  const { phase, items } = conversation;
  const busy = phase === "running" || phase === "reconnecting";
  const provider = model?.provider ?? conversation.model?.provider ?? "";
  const name = model?.model ?? conversation.model?.name ?? "";

  const send = (call: RunCall, files: string[]) => {
    const thread = id ?? crypto.randomUUID();
    if (!id) {
      onBegun(thread);
      remember(thread, agent);
      go("chat", thread);
    }
    void conversation.send(thread, call, files);
  };
  const standard = choices.data?.providers.find((one) => one.default_model !== null)?.id;
  const scripted = conversation.model ? conversation.model.scripted : (provider || standard) === "scripted";

  return (
    <section className="thread" aria-label="Conversation">
      <Head conversation={conversation} id={id} scripted={scripted} onList={onList} />
      <Scroll following={busy} items={items}>
        {phase === "loading" && items.length === 0 ? (
          <Loading />
        ) : items.length === 0 && conversation.error === null ? (
          <Welcome onExample={setDraft} />
        ) : (
          <Items conversation={conversation} threadId={id ?? ""} busy={busy} />
        )}
        {phase === "running" && items.at(-1)?.kind !== "tool" && <Thinking />}
        {phase === "reconnecting" && (
          <div className="notice notice-warn" role="status">
            <span className="spinner" aria-hidden="true" /> The connection was lost. Trying again…
          </div>
        )}
        {phase === "elsewhere" && (
          <div className="notice" role="status">
            <span className="spinner" aria-hidden="true" /> A run of this conversation goes on in another window.
          </div>
        )}
        {conversation.error !== null && <Failed error={conversation.error} />}
        {choices.error ? <Failed error={choices.error} onRetry={choices.reload} /> : null}
        {phase === "idle" && id && conversation.thread && isBroken(conversation.thread) && (
          <div className="notice" role="status">
            <div>The last run did not come to its end.</div>
            <button type="button" className="button button-small" onClick={() => void conversation.resume(id, [])}>
              Continue
            </button>
          </div>
        )}
      </Scroll>
      <div className="composer-box">
        <Composer
          choices={choices.data}
          agent={agent}
          onAgent={(chosen) => {
            setAgent(chosen);
            if (id) remember(id, chosen);
          }}
          provider={provider}
          model={name}
          onModel={(provider, model) => setModel({ provider, model })}
          running={busy}
          disabled={phase === "loading" || phase === "elsewhere" || isMissing(conversation.error)}
          draft={draft}
          onSend={send}
          onCancel={() => id && void conversation.cancel(id)}
        />
      </div>
    </section>
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

function Head({
  conversation,
  id,
  scripted,
  onList,
}: {
  conversation: Conversation;
  id: string | null;
  scripted: boolean;
  onList: () => void;
}) {
  const client = useClient();
  const params = { thread_id: id ?? "" };
  const download = (format: string) => client.url("/agents/threads/{thread_id}/export", { ...params, format });
  return (
    <header className="thread-head">
      <button type="button" className="icon-button thread-list-button" aria-label="Conversations" onClick={onList}>
        <ListIcon />
      </button>
      <h2>{plain(conversation.thread?.title ?? "New chat")}</h2>
      {scripted && (
        <span
          className="badge badge-warn"
          title="No language model is asked: the replies are prepared, only the results of tools are real"
        >
          Scripted model
        </span>
      )}
      {id && conversation.thread && (
        <span className="thread-links">
          <a
            className="button button-small"
            href={href("code", id)}
            title="Files, packages and code of this conversation's sandbox"
          >
            <FolderIcon /> <span>Files</span>
          </a>
          <a className="button button-small" href={download("ipynb")} download title="Download as a notebook">
            <DownloadIcon /> <span>Notebook</span>
          </a>
          <a
            className="button button-small"
            href={download("zip")}
            download
            title="Download the notebook, the artifacts and the files"
          >
            <DownloadIcon /> <span>Zip</span>
          </a>
        </span>
      )}
    </header>
  );
}

/** Follows what comes, unless the reader has scrolled away. */
function Scroll({ following, items, children }: { following: boolean; items: readonly Item[]; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it scrolls whenever more has come.
  useEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [items, following]);
  return (
    <div
      ref={box}
      className="messages"
      role="log"
      aria-label="Messages"
      aria-busy={following}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
      tabIndex={0}
      onScroll={(event) => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
        atEnd.current = scrollHeight - scrollTop - clientHeight < 60;
      }}
    >
      <div className="messages-inner">{children}</div>
    </div>
  );
}

function Items({
  conversation,
  threadId,
  busy,
}: {
  conversation: ReturnType<typeof useConversation>;
  threadId: string;
  busy: boolean;
}) {
  const { items } = conversation;
  const requests = items.flatMap((item) => (item.kind === "approval" ? [item.request] : []));
  const first = items.find((item) => item.kind === "approval");
  return items.map((item) => {
    switch (item.kind) {
      case "user":
        return <User key={item.key} item={item} />;
      case "words":
        return (
          <div key={item.key} className="words" data-testid="words">
            <Markdown text={item.text} />
          </div>
        );
      case "tool":
        return <ToolCell key={item.key} tool={item} threadId={threadId} running={busy} />;
      case "approval":
        return item === first ? (
          <Approvals
            key="approvals"
            requests={requests}
            busy={busy}
            onDecided={(made) => void conversation.resume(threadId, made)}
          />
        ) : null;
      case "end":
        return <End key={item.key} response={item.response} seconds={item.seconds} />;
    }
    return null;
  });
}

function User({ item }: { item: Extract<Item, { kind: "user" }> }) {
  return (
    <div className="user" data-testid="user">
      <div>{plain(item.text)}</div>
      {item.files.length > 0 && (
        <div className="attachments">
          {item.files.map((name) => (
            <span key={name} className="badge">
              {plain(name)}
            </span>
          ))}
        </div>
      )}
    </div>
  );
}

const STOPPED: Partial<Record<AgentResponse["stopped_because"], string>> = {
  model_calls: "Stopped: the limit of model calls was reached",
  tool_calls: "Stopped: the limit of tool calls was reached",
  cancelled: "Cancelled",
  approval: "Waits for your approval",
};

function End({ response, seconds }: { response: AgentResponse; seconds: number }) {
  const { total_tokens, input_tokens, output_tokens } = response.usage;
  const parts = [STOPPED[response.stopped_because], `${seconds.toFixed(1)} s`].filter(Boolean);
  return (
    <>
      {response.failure && <Failed error={new Error(response.failure.message)} />}
      <p className="run-foot" data-testid="run-end">
        {parts.join(" · ")}
        {total_tokens > 0 && (
          <span title={`${input_tokens} in, ${output_tokens} out`}>· {total_tokens.toLocaleString()} tokens</span>
        )}
      </p>
    </>
  );
}

function Thinking() {
  return (
    <div className="thinking" role="status">
      <span className="visually-hidden">Working</span>
      <i />
      <i />
      <i />
    </div>
  );
}

function Welcome({ onExample }: { onExample: (text: string) => void }) {
  return (
    <div className="welcome">
      <div className="empty-icon">
        <ChatIcon />
      </div>
      <h2>What should it work on?</h2>
      <p className="quiet">The agent writes code, runs it in a sandbox of its own, and repairs what fails.</p>
      <div className="welcome-examples">
        {EXAMPLES.map((text) => (
          <button key={text} type="button" className="chip" onClick={() => onExample(text)}>
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}

const KEY = "sandloop.agents";

/** Which saved agent a thread was begun with: the server keeps the agent's type only. */
function useAgent(id: string | null, type: string | undefined): [Agent, (agent: Agent) => void] {
  const [chosen, choose] = useState<Agent | null>(() => (id ? recalled(id) : null));
  const preset = sessionStorage.getItem("sandloop.try");
  useEffect(() => {
    // The agents page has sent us here to try one.
    if (preset) {
      sessionStorage.removeItem("sandloop.try");
      choose(preset);
    }
  }, [preset]);
  return [chosen ?? `type:${type ?? "coding"}`, choose];
}

function agents(): Record<string, Agent> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}

function recalled(id: string): Agent | null {
  const agent = agents()[id];
  return typeof agent === "string" ? agent : null;
}

function remember(id: string, agent: Agent): void {
  try {
    const last = Object.entries({ ...agents(), [id]: agent }).slice(-200);
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(last)));
  } catch {
    // Storage may be off: it holds until the page is left.
  }
}
