import { useId, useState } from "react";
import type { ApprovalDecision, ApprovalRequest } from "../api/types";
import { Editor } from "../editor/Editor";
import { plain } from "../results/ansi";
import { CodeBlock } from "../results/Markdown";
import { AlertIcon } from "../ui/icons";
import { codeOf, toolTitle } from "./ToolCell";

interface Props {
  requests: readonly ApprovalRequest[];
  busy: boolean;
  onDecided: (decisions: ApprovalDecision[]) => void;
}

/** Calls that wait for a person. They are sent when all have been decided. */
export function Approvals({ requests, busy, onDecided }: Props) {
  const [decisions, setDecisions] = useState<ReadonlyMap<string, ApprovalDecision>>(new Map());
  const decide = (decision: ApprovalDecision) => {
    const all = new Map(decisions).set(decision.tool_call_id, decision);
    setDecisions(all);
    if (requests.every((request) => all.has(request.tool_call_id))) onDecided([...all.values()]);
  };
  return requests.map((request) => (
    <Approval
      key={request.tool_call_id}
      request={request}
      decided={decisions.get(request.tool_call_id) ?? null}
      busy={busy}
      onDecide={decide}
    />
  ));
}

function Approval(props: {
  request: ApprovalRequest;
  decided: ApprovalDecision | null;
  busy: boolean;
  onDecide: (decision: ApprovalDecision) => void;
}) {
  const { request, busy } = props;
  const [mode, setMode] = useState<"look" | "edit" | "reject">("look");
  const id = request.tool_call_id;
  const code = codeOf(request.name, request.args);
  const can = (decision: ApprovalDecision["decision"]) => request.allowed_decisions.includes(decision);
  return (
    <section
      className="approval"
      aria-label={`Approval: ${toolTitle(request.name, request.args)}`}
      data-testid="approval"
    >
      <header className="approval-head">
        <AlertIcon />
        <div>
          <h3>{toolTitle(request.name, request.args)} waits for your approval</h3>
          {request.reason && <p className="quiet">{plain(request.reason)}</p>}
        </div>
      </header>
      {mode === "edit" ? (
        <Edit
          request={request}
          onDone={(args) => props.onDecide({ tool_call_id: id, decision: "edit", args })}
          onCancel={() => setMode("look")}
        />
      ) : (
        <CodeBlock code={code?.code ?? JSON.stringify(request.args, null, 2)} language={code?.language ?? ""} />
      )}
      {mode === "reject" && (
        <Reject
          onDone={(reason) => props.onDecide({ tool_call_id: id, decision: "reject", reason })}
          onCancel={() => setMode("look")}
        />
      )}
      {mode === "look" &&
        (props.decided ? (
          <p className="quiet">Decided. The others wait for you.</p>
        ) : (
          <div className="approval-foot">
            {can("approve") && (
              <button
                type="button"
                className="button button-primary"
                disabled={busy}
                onClick={() => props.onDecide({ tool_call_id: id, decision: "approve" })}
              >
                Approve
              </button>
            )}
            {can("edit") && (
              <button type="button" className="button" disabled={busy} onClick={() => setMode("edit")}>
                Edit
              </button>
            )}
            {can("reject") && (
              <button type="button" className="button" disabled={busy} onClick={() => setMode("reject")}>
                Reject
              </button>
            )}
          </div>
        ))}
    </section>
  );
}

function Edit(props: {
  request: ApprovalRequest;
  onDone: (args: Record<string, unknown>) => void;
  onCancel: () => void;
}) {
  const { args, name, tool_call_id } = props.request;
  const code = codeOf(name, args);
  const [text, setText] = useState(code?.code ?? JSON.stringify(args, null, 2));
  const [problem, setProblem] = useState("");
  const done = (text: string) => {
    if (code) return props.onDone({ ...args, [code.field]: text });
    try {
      props.onDone(JSON.parse(text));
    } catch {
      setProblem("This is not JSON.");
    }
  };
  return (
    <>
      <div className="approval-editor">
        <Editor
          id={tool_call_id}
          value={text}
          language={code?.language ?? "javascript"}
          label="Edit the call"
          onChange={setText}
          onRun={done}
        />
      </div>
      {problem && <p className="field-error">{problem}</p>}
      <div className="approval-foot">
        <button type="button" className="button button-primary" onClick={() => done(text)}>
          Run this instead
        </button>
        <button type="button" className="button" onClick={props.onCancel}>
          Cancel
        </button>
      </div>
    </>
  );
}

function Reject({ onDone, onCancel }: { onDone: (reason: string) => void; onCancel: () => void }) {
  const id = useId();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onDone(String(new FormData(event.currentTarget).get("reason")).trim());
      }}
    >
      <label className="field" htmlFor={id}>
        <span>What the model is told</span>
        {/* biome-ignore lint/a11y/noAutofocus: the button has opened this field. */}
        <input id={id} name="reason" className="input" placeholder="Not needed: use the file that is there" autoFocus />
      </label>
      <div className="approval-foot">
        <button type="submit" className="button button-danger">
          Reject
        </button>
        <button type="button" className="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
