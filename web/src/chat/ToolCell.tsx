import { useState } from "react";
import { useClient } from "../app/session";
import { seconds } from "../code/RunOutput";
import { linesOf, Traceback } from "../code/Traceback";
import { plain } from "../results/ansi";
import { CodeBlock } from "../results/Markdown";
import { Ansi, Output } from "../results/Output";
import { Results } from "../results/Results";
import { ChevronIcon } from "../ui/icons";
import type { Tool } from "./items";

const TITLES: Record<string, string> = {
  execute_python_code: "Python",
  execute_code: "Code",
  run_command: "Command",
  install_packages: "Install packages",
  read_file: "Read a file",
  write_file: "Write a file",
  edit_file: "Edit a file",
  list_files: "List files",
  delete_file: "Delete a file",
  get_sandbox_info: "Look at the sandbox",
};

export function toolTitle(name: string, args: Record<string, unknown>): string {
  const language = typeof args.language === "string" && name === "execute_code" ? args.language : null;
  return plain(language ?? TITLES[name] ?? name);
}

/** The argument that is code, and its language. */
export function codeOf(
  name: string,
  args: Record<string, unknown>,
): { field: string; code: string; language: string } | null {
  for (const field of ["code", "command", "content", "new_string"]) {
    const value = args[field];
    if (typeof value !== "string") continue;
    const language = field === "command" ? "bash" : typeof args.language === "string" ? args.language : "python";
    return { field, code: value, language: name.endsWith("_file") ? "" : language };
  }
  return null;
}

/** One call of a tool: its code, its output as it comes, and what it made. */
export function ToolCell({ tool, threadId, running }: { tool: Tool; threadId: string; running: boolean }) {
  const [open, setOpen] = useState(true);
  const { step } = tool;
  const state = step ? (step.failed ? "failed" : "done") : running ? "running" : "stopped";
  return (
    <section
      className="cell"
      data-state={state}
      data-testid="cell"
      aria-label={`Tool call: ${toolTitle(tool.name, tool.args)}`}
    >
      <button type="button" className="cell-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <ChevronIcon />
        <span className="cell-title">{toolTitle(tool.name, tool.args)}</span>
        <Where args={tool.args} />
        <span className="cell-state">
          {state === "running" && <span className="spinner" aria-hidden="true" />}
          {state === "running" ? "running" : state === "failed" ? "failed" : state === "stopped" ? "stopped" : "done"}
          {step && step.seconds > 0 && ` · ${seconds(step.seconds)}`}
        </span>
      </button>
      {open && <Body tool={tool} threadId={threadId} live={state === "running"} />}
    </section>
  );
}

function Where({ args }: { args: Record<string, unknown> }) {
  const path = args.file_path ?? args.path;
  return typeof path === "string" ? <code className="cell-where">{plain(path)}</code> : null;
}

function Body({ tool, threadId, live }: { tool: Tool; threadId: string; live: boolean }) {
  const client = useClient();
  const code = codeOf(tool.name, tool.args);
  const content = (typeof tool.step?.content === "object" ? tool.step.content : null) as Record<string, unknown> | null;
  const error = typeof content?.error === "string" ? content.error : null;
  const traceback = typeof content?.traceback === "string" ? content.traceback : "";
  const file = typeof content?.output_file === "string" ? content.output_file : null;
  const fileUrl = (path: string) => client.url("/code/download", { path, thread_id: threadId });
  const [line, setLine] = useState<number | null>(null);
  return (
    <div className="cell-body">
      {code ? (
        <Numbered code={code.code} language={code.language} line={line ?? linesOf(traceback).at(-1) ?? null} />
      ) : (
        <Arguments args={tool.args} />
      )}
      {tool.transcript && !tool.transcript.empty && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
        <section className="cell-output" data-scroll tabIndex={0} aria-label="Output">
          <Output transcript={tool.transcript} version={live ? performance.now() : 0} live={live} />
        </section>
      )}
      {tool.step && (
        <Told content={content ?? tool.step.content} printed={tool.transcript !== null && !tool.transcript.empty} />
      )}
      {tool.step && <Results artifacts={tool.step.artifacts} fileUrl={fileUrl} />}
      {error && (
        <div className="run-error">
          {traceback ? (
            <Traceback text={traceback} lines={code?.code.split("\n").length ?? 0} onLine={setLine} />
          ) : (
            <pre className="text text-stderr">
              <Ansi text={error} />
            </pre>
          )}
        </div>
      )}
      {file && (
        <p className="quiet">
          The output is long.{" "}
          <a href={fileUrl(file)} download>
            Download all of it
          </a>
        </p>
      )}
    </div>
  );
}

function Numbered({ code, language, line }: { code: string; language: string; line: number | null }) {
  return (
    <div className="cell-code">
      <CodeBlock code={code} language={language} />
      {line !== null && (
        <div className="cell-line" style={{ top: `calc(10px + ${line - 1} * 1.55 * 12.5px)` }} aria-hidden="true" />
      )}
    </div>
  );
}

function Arguments({ args }: { args: Record<string, unknown> }) {
  const shown = Object.entries(args).filter(([name]) => name !== "file_path" && name !== "path");
  if (!shown.length) return null;
  return (
    <dl className="arguments">
      {shown.map(([name, value]) => (
        <div key={name}>
          <dt>{plain(name)}</dt>
          <dd>{plain(typeof value === "string" ? value : JSON.stringify(value))}</dd>
        </div>
      ))}
    </dl>
  );
}

/** What the model was told, as far as it was not printed before everybody's eyes. */
function Told({ content, printed }: { content: unknown; printed: boolean }) {
  if (typeof content === "string") return <Text text={content} />;
  if (typeof content !== "object" || content === null) return null;
  const told = content as Record<string, unknown>;
  if (Array.isArray(told.entries)) {
    return <Text text={told.entries.map((entry) => String((entry as { path?: unknown }).path ?? "")).join("\n")} />;
  }
  if (Array.isArray(told.packages_installed) && !("output" in told))
    return <Text text={told.packages_installed.join("\n")} />;
  const parts = [told.output, told.stdout, told.stderr, told.text].filter((part) => typeof part === "string" && part);
  return printed || !parts.length ? null : <Text text={parts.join("\n")} />;
}

function Text({ text }: { text: string }) {
  if (!text) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <section className="cell-output" tabIndex={0} aria-label="Output">
      <pre className="text">
        <Ansi text={text.slice(0, 100_000)} />
      </pre>
    </section>
  );
}
