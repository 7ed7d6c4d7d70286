import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { ApiError, Client } from "../api/client";
import type { Session } from "../api/types";
import { AgentIcon, BoxIcon, ChatIcon, CodeIcon, ExitIcon, MoonIcon, SunIcon } from "../ui/icons";
import { Failed, Loading } from "../ui/Notice";
import { Login } from "./Login";
import { href, type Page, useRoute } from "./route";
import { ClientContext, type SessionState } from "./session";
import { setTheme, useTheme } from "./theme";

const CodePage = lazy(() => import("../code/CodePage"));
const AgentsPage = lazy(() => import("../agents/AgentsPage"));
const ChatPage = lazy(() => import("../chat/ChatPage"));
const SandboxesPage = lazy(() => import("../sandboxes/SandboxesPage"));

const PAGES = [
  { page: "code", title: "Code", Icon: CodeIcon },
  { page: "chat", title: "Chat", Icon: ChatIcon },
  { page: "agents", title: "Agents", Icon: AgentIcon },
  { page: "sandboxes", title: "Sandboxes", Icon: BoxIcon },
] as const;

export function App() {
  const client = useMemo(() => new Client(), []);
  const [state, setState] = useState<SessionState>({ kind: "unknown" });

  const enter = useCallback(
    (session: Session) => {
      client.remember(session);
      setState({ kind: "in", session });
    },
    [client],
  );
  const look = useCallback(() => {
    client.send("GET /auth/me").then(enter, (error: unknown) => {
      if (error instanceof ApiError && error.status === 401) {
        setState({ kind: "out", expired: error.code === "token_expired" });
      } else setState({ kind: "unreachable", error });
    });
  }, [client, enter]);
  useEffect(look, [look]);
  useEffect(
    () =>
      client.onUnauthorized((error) => {
        client.remember(null);
        // Once in, an answer of 401 means that the token is no longer good.
        setState((before) => ({ kind: "out", expired: before.kind === "in" || error.code === "token_expired" }));
      }),
    [client],
  );

  if (state.kind === "unknown") return <Loading />;
  if (state.kind === "unreachable") {
    return (
      <main className="alone">
        <Failed error={state.error} onRetry={look} />
      </main>
    );
  }
  if (state.kind === "out") return <Login client={client} expired={state.expired} onDone={enter} />;
  return (
    <ClientContext value={client}>
      <Shell session={state.session} onLeave={() => leave(client, setState)} />
    </ClientContext>
  );
}

async function leave(client: Client, setState: (state: SessionState) => void) {
  await client.send("POST /auth/logout").catch(() => undefined);
  client.remember(null);
  setState({ kind: "out", expired: false });
}

function Shell({ session, onLeave }: { session: Session; onLeave: () => void }) {
  const route = useRoute();
  const title = PAGES.find(({ page }) => page === route.page)?.title ?? "";
  useEffect(() => {
    document.title = `${title} · Sandloop`;
  }, [title]);
  return (
    <div className="shell">
      {/* biome-ignore lint/a11y/useValidAnchor: it goes to the content, but a fragment here is a page. */}
      <a className="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header className="top">
        <a className="brand" href={href("code")} aria-label="Sandloop">
          <img src="/icon.svg" alt="" width="22" height="22" />
          <span>Sandloop</span>
        </a>
        <nav className="tabs" aria-label="Pages">
          {PAGES.map(({ page, title, Icon }) => (
            <a key={page} href={href(page)} aria-current={route.page === page ? "page" : undefined}>
              <Icon />
              <span>{title}</span>
            </a>
          ))}
        </nav>
        <div className="top-end">
          {session.by === "cookie" && (
            <span className="subject" title="Logged in as">
              {session.subject}
            </span>
          )}
          <ThemeButton />
          {session.by === "cookie" && (
            <button type="button" className="icon-button" aria-label="Log out" title="Log out" onClick={onLeave}>
              <ExitIcon />
            </button>
          )}
        </div>
      </header>
      <main id="main" className={`page page-${route.page}`} tabIndex={-1}>
        <h1 className="visually-hidden">{title}</h1>
        <Suspense fallback={<Loading />}>
          <Place page={route.page} id={route.id} />
        </Suspense>
      </main>
    </div>
  );
}

function Place({ page, id }: { page: Page; id: string | null }) {
  switch (page) {
    case "code":
      return <CodePage id={id} />;
    case "agents":
      return <AgentsPage id={id} />;
    case "chat":
      return <ChatPage id={id} />;
    case "sandboxes":
      return <SandboxesPage />;
  }
}

function skip(event: React.MouseEvent) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function ThemeButton() {
  const theme = useTheme();
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
      onClick={() => setTheme(other)}
    >
      {theme === "dark" ? <SunIcon /> : <MoonIcon />}
    </button>
  );
}
