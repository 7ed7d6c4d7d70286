import { useCallback, useEffect, useMemo, useState } from "react";
import { replace } from "../app/route";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { Ask, Confirm } from "../ui/Dialog";
import { useLoaded } from "../ui/hooks";
import { CloseIcon, FolderIcon } from "../ui/icons";
import { Failed } from "../ui/Notice";
import { CodeExecution } from "./CodeExecution";
import { type Doc, type Documents, displayLanguage, isUnsaved, languageOf, useDocuments } from "./documents";
import { Files } from "./Files";
import { Packages } from "./Packages";
import { StatusLine } from "./StatusLine";

const KEY = "sandloop.code-thread";

/** The browser's own thread, unless the address names another, such as that of a chat. */
function ownThread(): string {
  const made = `code-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  try {
    const kept = localStorage.getItem(KEY);
    if (kept && /^[A-Za-z0-9][\w.:@-]{0,127}$/.test(kept)) return kept;
    localStorage.setItem(KEY, made);
  } catch {
    // Storage may be off: it holds until the page is left.
  }
  return made;
}

export default function CodePage({ id }: { id: string | null }) {
  useEffect(() => {
    if (!id) replace("code", ownThread());
  }, [id]);
  return id ? <Workbench key={id} threadId={id} /> : null;
}

function Workbench({ threadId }: { threadId: string }) {
  const client = useClient();
  const documents = useDocuments("python");
  const { active, change, move } = documents;
  const [turn, setTurn] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [naming, setNaming] = useState(false);
  const [panel, setPanel] = useState<"files" | "packages" | null>(() => (window.innerWidth > 1000 ? "files" : null));
  const languages = useLoaded(
    useCallback(
      (signal: AbortSignal) => client.send("GET /code/languages", { params: { thread_id: threadId }, signal }),
      [client, threadId],
    ),
  );
  const changed = useCallback(() => setTurn((before) => before + 1), []);
  useWarning(documents.docs.some(isUnsaved));

  const write = async (doc: Doc, path: string) => {
    try {
      await client.send("POST /code/write-file", { body: { thread_id: threadId, path, content: doc.text } });
      if (doc.path === path) change(doc.id, { saved: doc.text });
      else move(doc.id, path, doc.text);
      setError(null);
      changed();
    } catch (failed) {
      setError(failed);
    }
  };
  const save = (text: string) => {
    if (active.path) void write({ ...active, text }, active.path);
    else setNaming(true);
  };
  const known = useMemo(() => languages.data?.languages ?? [], [languages.data]);
  const ending = known.find((language) => language.name === active.language)?.ending ?? ".py";

  return (
    <div className="workbench" data-panel={panel ?? undefined}>
      <CodeExecution
        threadId={threadId}
        documentId={active.id}
        code={active.text}
        language={active.language}
        languages={known}
        onCodeChange={(text) => change(active.id, { text })}
        onLanguageChange={documents.setLanguage}
        displayLanguage={displayLanguage(active)}
        onSave={save}
        onRan={changed}
        header={<Tabs documents={documents} onSave={() => save(active.text)} />}
        actions={
          <button
            type="button"
            className="button"
            aria-pressed={panel !== null}
            aria-label="Files and packages"
            title="Files and packages"
            onClick={() => setPanel(panel ? null : "files")}
          >
            <FolderIcon />
          </button>
        }
      />
      {panel && (
        <aside className="side" aria-label="Files and packages">
          <div className="side-head">
            <div className="segments" role="group" aria-label="Panel">
              <button type="button" aria-pressed={panel === "files"} onClick={() => setPanel("files")}>
                Files
              </button>
              <button type="button" aria-pressed={panel === "packages"} onClick={() => setPanel("packages")}>
                Packages
              </button>
            </div>
            <button type="button" className="icon-button" aria-label="Close the panel" onClick={() => setPanel(null)}>
              <CloseIcon />
            </button>
          </div>
          {panel === "files" ? (
            <Files threadId={threadId} documents={documents} turn={turn} onChanged={changed} />
          ) : (
            <Packages threadId={threadId} language={active.language} turn={turn} onChanged={changed} />
          )}
        </aside>
      )}
      {error !== null && <Failed error={error} />}
      <StatusLine threadId={threadId} turn={turn} />
      {naming && (
        <Ask
          title="Save as a file"
          label="Path in the sandbox"
          value={`main${ending}`}
          action="Save"
          onDone={(path) => void write({ ...active, language: languageOf(path) ?? active.language }, absolute(path))}
          onClose={() => setNaming(false)}
        />
      )}
    </div>
  );
}

export function absolute(path: string): string {
  return path.startsWith("/") ? path : `/home/user/${path}`;
}

/** Ask before the page is left with unsaved text. */
function useWarning(unsaved: boolean) {
  useEffect(() => {
    if (!unsaved) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [unsaved]);
}

function Tabs({ documents, onSave }: { documents: Documents; onSave: () => void }) {
  const [closing, setClosing] = useState<Doc | null>(null);
  const { active } = documents;
  return (
    <div className="doc-bar">
      <div className="doc-tabs">
        {documents.docs.map((doc) => (
          <span key={doc.id} className="doc-tab" data-active={doc.id === active.id || undefined}>
            <button
              type="button"
              aria-pressed={doc.id === active.id}
              onClick={() => documents.choose(doc.id)}
              title={plain(doc.path ?? "Not a file yet")}
            >
              {plain(doc.name)}
              {isUnsaved(doc) && <span className="unsaved" role="img" aria-label="unsaved" />}
            </button>
            {doc.path && (
              <button
                type="button"
                className="doc-close"
                aria-label={`Close ${plain(doc.name)}`}
                onClick={() => (isUnsaved(doc) ? setClosing(doc) : documents.close(doc.id))}
              >
                <CloseIcon />
              </button>
            )}
          </span>
        ))}
      </div>
      <button
        type="button"
        className="button button-small button-plain"
        title="Ctrl+S"
        disabled={active.path !== null && !isUnsaved(active)}
        onClick={onSave}
      >
        {active.path ? "Save" : "Save as…"}
      </button>
      {closing && (
        <Confirm
          title="Close without saving?"
          text={`${plain(closing.name)} has changes that are not in the sandbox.`}
          action="Close it"
          onYes={() => documents.close(closing.id)}
          onClose={() => setClosing(null)}
        />
      )}
    </div>
  );
}
