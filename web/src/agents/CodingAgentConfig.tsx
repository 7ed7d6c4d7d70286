import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { ApiError } from "../api/client";
import type { AgentTypeEntry, ConfigCall, SandboxPolicy } from "../api/types";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { useLoaded } from "../ui/hooks";
import { CheckIcon } from "../ui/icons";
import { Failed, Loading } from "../ui/Notice";
import { Field } from "./Field";
import { FIELDS, MORE, type PolicyField, SANDBOX } from "./schema";

export interface CodingAgentConfigProps {
  /** What to begin with; nothing is the server's own defaults. */
  initialConfig?: Partial<ConfigCall>;
  /** Called with what the server has found to be valid. What it throws is shown. */
  onSave: (config: ConfigCall) => Promise<void> | void;
  /** A second button, that also tries the agent. */
  onSaveAndTry?: (config: ConfigCall) => Promise<void> | void;
  onCancel?: () => void;
}

const STEPS = ["Agent type", "Sandbox", "System prompt", "Name and save"] as const;
const STEP_OF: Partial<Record<string, number>> = { agent_type: 0, systemPrompt: 2, name: 3, description: 3 };

/** The form of a coding agent, in the order of its making. Each step is checked by the server. Needs a `ClientContext`. */
export function CodingAgentConfig({ initialConfig, onSave, onSaveAndTry, onCancel }: CodingAgentConfigProps) {
  const client = useClient();
  const types = useLoaded(useCallback((signal: AbortSignal) => client.send("GET /agents/types", { signal }), [client]));
  const [step, setStep] = useState(0);
  const [type, setType] = useState(initialConfig?.agent_type ?? "coding");
  const [policy, setPolicy] = useState<SandboxPolicy>(initialConfig?.policy ?? { name: "" });
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map());
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const head = useRef<HTMLHeadingElement>(null);

  const change = (name: PolicyField, value: unknown) => {
    setPolicy((before) => ({ ...before, [name]: value }));
    setErrors((before) => new Map([...before].filter(([field]) => field !== name)));
    setError(null);
  };
  const shown = useRef(step);
  useEffect(() => {
    if (shown.current !== step) head.current?.focus();
    shown.current = step;
  }, [step]);
  const [refusals, setRefusals] = useState(0);
  // After the step's own, so that the field has the focus and not the heading.
  useEffect(() => {
    if (refusals) document.querySelector<HTMLElement>("[data-field] [aria-invalid]")?.focus();
  }, [refusals]);
  const refused = (failed: unknown, from: number) => {
    const found = failed instanceof ApiError ? fieldsOf(failed) : new Map<string, string>();
    const at = [...found.keys()].map((name) => STEP_OF[name] ?? 1);
    // What a later step asks for may still be missing.
    if (found.size && at.every((one) => one > from)) return false;
    setErrors(found);
    setError(found.size ? null : failed);
    const first = Math.min(...at, from);
    if (first !== from) setStep(first);
    setRefusals((before) => before + 1);
    return true;
  };
  const config: ConfigCall = { agent_type: type, policy };
  const attempt = async (work: () => Promise<void> | void, after: () => void) => {
    setBusy(true);
    try {
      await client.send("POST /agents/configs/check", { body: config });
      await work();
      setErrors(new Map());
      setError(null);
      after();
    } catch (failed) {
      if (!refused(failed, step)) after();
    }
    setBusy(false);
  };
  const next = () =>
    attempt(
      () => undefined,
      () => setStep(step + 1),
    );
  const save = (how: CodingAgentConfigProps["onSave"]) =>
    attempt(
      () => how(config),
      () => undefined,
    );
  const field = (name: PolicyField, placeholder?: string) => {
    const schema = FIELDS.get(name);
    return schema ? (
      <Field
        key={name}
        schema={schema}
        value={policy[name]}
        error={errors.get(name)}
        onChange={(value) => change(name, value)}
        placeholder={placeholder}
      />
    ) : null;
  };

  return (
    <form
      className="config"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void (step < STEPS.length - 1 ? next() : save(onSave));
      }}
    >
      <ol className="steps" aria-label="Steps">
        {STEPS.map((name, index) => (
          <li key={name}>
            <button
              type="button"
              aria-current={index === step ? "step" : undefined}
              data-done={index < step || undefined}
              onClick={() => setStep(index)}
            >
              <span className="step-number">{index < step ? <CheckIcon /> : index + 1}</span>
              <span>{name}</span>
            </button>
          </li>
        ))}
      </ol>
      <fieldset className="config-fields">
        <h3 ref={head} tabIndex={-1}>
          {STEPS[step]}
        </h3>
        {step === 0 && <Types loaded={types} chosen={type} onChoose={setType} />}
        {step === 1 && (
          <>
            <div className="config-pair">
              {field("timeout")}
              {field("maxExecutionTime")}
            </div>
            {field("defaultPackages", "pandas>=2\nnpm:lodash")}
            {field("allowedPackages", "pandas\nnumpy")}
            {SANDBOX.slice(4).map((name) => field(name))}
            {policy.enableNetwork && field("networkApproval")}
            <details className="config-more" open={MORE.some((name) => errors.has(name)) || undefined}>
              <summary>All other rules</summary>
              <div className="config-fields">
                {MORE.filter((name) => name !== "networkApproval" || !policy.enableNetwork).map((name) => field(name))}
              </div>
            </details>
          </>
        )}
        {step === 2 && field("systemPrompt", "Answer in one sentence. Show a chart whenever there are numbers.")}
        {step === 3 && (
          <>
            {field("name", "Analyst")}
            {field("description", "What it is for")}
            <Summary type={type} policy={policy} />
          </>
        )}
        {error !== null && <Failed error={error} />}
      </fieldset>
      <footer className="config-foot">
        {step > 0 ? (
          <button type="button" className="button" onClick={() => setStep(step - 1)}>
            Back
          </button>
        ) : (
          onCancel && (
            <button type="button" className="button" onClick={onCancel}>
              Cancel
            </button>
          )
        )}
        <span className="push" />
        {step < STEPS.length - 1 ? (
          <button type="submit" className="button button-primary" disabled={busy}>
            Next
          </button>
        ) : (
          <>
            <button type="submit" className={onSaveAndTry ? "button" : "button button-primary"} disabled={busy}>
              Save
            </button>
            {onSaveAndTry && (
              <button
                type="button"
                className="button button-primary"
                disabled={busy}
                onClick={() => void save(onSaveAndTry)}
              >
                Save and try
              </button>
            )}
          </>
        )}
      </footer>
    </form>
  );
}

/** The server's words by the field they are about. */
function fieldsOf(error: ApiError): Map<string, string> {
  const found = new Map<string, string>();
  for (const { field, message } of error.fields) {
    const [first, second] = field.split(".");
    const name = first === "policy" ? second : first;
    if (name && (FIELDS.has(name as PolicyField) || name === "agent_type")) found.set(name, plain(message));
  }
  return found;
}

function Types(props: {
  loaded: { data: AgentTypeEntry[] | null; error: unknown; reload: () => void };
  chosen: string;
  onChoose: (name: string) => void;
}): ReactNode {
  const { data, error, reload } = props.loaded;
  if (error) return <Failed error={error} onRetry={reload} />;
  if (!data) return <Loading />;
  return (
    <div className="types" role="radiogroup" aria-label="Agent type">
      {data.map((type) => (
        <label key={type.name} className="type">
          <input
            type="radio"
            name="type"
            value={type.name}
            checked={type.name === props.chosen}
            onChange={() => props.onChoose(type.name)}
          />
          <span>
            <strong>{type.name.replaceAll("_", " ")}</strong>
            <span className="quiet">{plain(type.description)}</span>
            <span className="type-tools">
              {type.tools.length ? `${type.tools.length} tools` : "no tools"}
              {type.mcp_servers.length > 0 && ` · MCP: ${type.mcp_servers.join(", ")}`}
            </span>
          </span>
        </label>
      ))}
    </div>
  );
}

function Summary({ type, policy }: { type: string; policy: SandboxPolicy }) {
  const installs = policy.enableInstalls ?? true;
  const lines: [string, string][] = [
    ["Agent type", type.replaceAll("_", " ")],
    ["Network", policy.enableNetwork ? "the internet" : installs ? "package registries only" : "none"],
    ["Packages", policy.defaultPackages?.length ? policy.defaultPackages.join(", ") : "those of the template"],
    [
      "Installs",
      !installs ? "not possible" : policy.allowedPackages?.length ? policy.allowedPackages.join(", ") : "any package",
    ],
    [
      "System prompt",
      policy.systemPrompt?.trim() ? `${policy.systemPrompt.trim().length} characters` : "that of the type",
    ],
  ];
  return (
    <dl className="summary">
      {lines.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{plain(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
