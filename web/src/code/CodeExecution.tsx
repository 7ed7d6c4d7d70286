import { type ReactNode, useId, useMemo, useState } from "react";
import type { LanguageEntry, SandboxPolicy } from "../api/types";
import { Editor } from "../editor/Editor";
import { PlayIcon, StopIcon } from "../ui/icons";
import { RunOutput } from "./RunOutput";
import { linesOf } from "./Traceback";
import { type Run, useExecution } from "./useExecution";

export interface CodeExecutionProps {
  /** Whose variables and files: each thread has a sandbox of its own. */
  threadId: string;
  code: string;
  language: string;
  onCodeChange: (code: string) => void;
  onLanguageChange: (language: string) => void;
  languages?: readonly Pick<LanguageEntry, "name" | "title" | "available" | "how_to_install">[];
  policy?: SandboxPolicy;
  /** Which document is shown, where there are several. */
  documentId?: string;
  onSave?: (code: string) => void;
  onRan?: (run: Run) => void;
  /** The language to colour the text in, where it is not the one to run it in. */
  displayLanguage?: string;
  /** Above the editor: tabs of open files. */
  header?: ReactNode;
  /** More buttons beside Run. */
  actions?: ReactNode;
}

const COMMON = [
  { name: "python", title: "Python" },
  { name: "javascript", title: "JavaScript" },
  { name: "typescript", title: "TypeScript" },
  { name: "bash", title: "Bash" },
].map((language) => ({ ...language, available: true, how_to_install: "" }));

/** An editor with what its code prints and makes. Needs a `ClientContext`. */
export function CodeExecution(props: CodeExecutionProps) {
  const { run, version, start, stop } = useExecution();
  const [reveal, setReveal] = useState<{ line: number } | null>(null);
  const [view, setView] = useState<"code" | "output">("code");
  const running = run.phase === "running";

  const go = async (code: string) => {
    if (running) return;
    setView("output");
    const call = { code, language: props.language, thread_id: props.threadId, policy: props.policy };
    props.onRan?.(await start(call));
  };
  const problems = useMemo(() => {
    const error = run.result?.error;
    const line = linesOf(run.result?.traceback ?? "").at(-1);
    return error && line && run.result?.code === props.code ? [{ line, message: error }] : [];
  }, [run.result, props.code]);

  return (
    <section className="execution" data-view={view}>
      <div className="execution-bar">
        <LanguageSelect {...props} />
        <div className="segments execution-views" role="group" aria-label="Show">
          <button type="button" aria-pressed={view === "code"} onClick={() => setView("code")}>
            Code
          </button>
          <button type="button" aria-pressed={view === "output"} onClick={() => setView("output")}>
            Output
          </button>
        </div>
        {props.actions}
        {running ? (
          <button type="button" className="button" onClick={stop}>
            <StopIcon /> Stop
          </button>
        ) : (
          <button
            type="button"
            className="button button-primary"
            onClick={() => void go(props.code)}
            title="Ctrl+Enter"
          >
            <PlayIcon /> Run
          </button>
        )}
      </div>
      <div className="execution-code">
        {props.header}
        <Editor
          id={props.documentId ?? "code"}
          value={props.code}
          language={props.displayLanguage ?? props.language}
          label="Code"
          problems={problems}
          reveal={reveal}
          onChange={props.onCodeChange}
          onRun={go}
          onSave={props.onSave}
        />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <section className="execution-output" aria-label="Output" data-scroll tabIndex={0}>
        <RunOutput
          run={run}
          version={version}
          threadId={props.threadId}
          codeLines={props.code.split("\n").length}
          onLine={(line) => {
            setView("code");
            setReveal({ line });
          }}
        />
      </section>
    </section>
  );
}

function LanguageSelect(props: CodeExecutionProps) {
  const id = useId();
  const languages = props.languages?.length ? props.languages : COMMON;
  return (
    <label className="select-box" htmlFor={id}>
      <span className="visually-hidden">Language</span>
      <select
        id={id}
        className="select"
        value={props.language}
        onChange={(event) => props.onLanguageChange(event.target.value)}
      >
        {languages.map((language) => (
          <option
            key={language.name}
            value={language.name}
            disabled={!language.available}
            title={language.how_to_install}
          >
            {language.title}
            {language.available ? "" : " (not installed)"}
          </option>
        ))}
      </select>
    </label>
  );
}
