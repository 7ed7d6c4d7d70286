import { useCallback, useEffect, useId, useRef, useState } from "react";
import type { AgentTypeEntry, CodingAgentConfig, InputFile, ProviderEntry, RunCall } from "../api/types";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { useLoaded } from "../ui/hooks";
import { ClipIcon, CloseIcon, SendIcon, StopIcon } from "../ui/icons";

export interface Choices {
  types: AgentTypeEntry[];
  configs: CodingAgentConfig[];
  providers: ProviderEntry[];
}

export function useChoices() {
  const client = useClient();
  return useLoaded(
    useCallback(
      async (signal: AbortSignal): Promise<Choices> => {
        const [types, configs, providers] = await Promise.all([
          client.send("GET /agents/types", { signal }),
          client.send("GET /agents/configs", { signal }),
          client.send("GET /agents/providers", { signal }),
        ]);
        return { types, configs, providers };
      },
      [client],
    ),
  );
}

/** `type:NAME` or `config:ID`. */
export type Agent = string;

interface Props {
  choices: Choices | null;
  agent: Agent;
  onAgent: (agent: Agent) => void;
  provider: string;
  model: string;
  onModel: (provider: string, model: string) => void;
  running: boolean;
  disabled: boolean;
  draft: string;
  onSend: (call: RunCall, files: string[]) => void;
  onCancel: () => void;
}

export function Composer(props: Props) {
  const [text, setText] = useState(props.draft);
  const [files, setFiles] = useState<File[]>([]);
  const box = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  useEffect(() => setText(props.draft), [props.draft]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the box grows with its text.
  useEffect(() => {
    if (!box.current) return;
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(220, box.current.scrollHeight)}px`;
  }, [text]);

  const send = async () => {
    if (!text.trim() || props.running || props.disabled) return;
    const call = callOf(props, text.trim(), await Promise.all(files.map(inputFile)));
    const names = files.map((file) => file.name);
    setText("");
    setFiles([]);
    props.onSend(call, names);
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        setFiles((before) => [...before, ...event.dataTransfer.files]);
      }}
    >
      {files.length > 0 && (
        <ul className="attachments">
          {files.map((file, index) => (
            <li key={index} className="badge">
              {plain(file.name)}
              <button
                type="button"
                aria-label={`Remove ${plain(file.name)}`}
                onClick={() => setFiles(files.toSpliced(index, 1))}
              >
                <CloseIcon />
              </button>
            </li>
          ))}
        </ul>
      )}
      <textarea
        ref={box}
        rows={1}
        aria-label="Message"
        placeholder="Message the agent"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            void send();
          }
        }}
      />
      <div className="composer-bar">
        <button
          type="button"
          className="icon-button"
          aria-label="Attach files"
          title="Attach files"
          onClick={() => picker.current?.click()}
        >
          <ClipIcon />
        </button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          data-testid="attach"
          onChange={(event) => {
            const picked = [...(event.target.files ?? [])];
            setFiles((before) => [...before, ...picked]);
            event.target.value = "";
          }}
        />
        <Selects {...props} />
        {props.running ? (
          <button
            type="button"
            className="button composer-send"
            onClick={props.onCancel}
            aria-label="Cancel the run"
            title="Cancel the run"
          >
            <StopIcon />
          </button>
        ) : (
          <button
            type="submit"
            className="button button-primary composer-send"
            disabled={!text.trim() || props.disabled}
            aria-label="Send"
            title="Enter"
          >
            <SendIcon />
          </button>
        )}
      </div>
    </form>
  );
}

function Selects({ choices, agent, onAgent, provider, model, onModel }: Props) {
  const id = useId();
  const chosen = provider || choices?.providers.find((one) => one.default_model !== null)?.id || "";
  const usual = choices?.providers.find((one) => one.id === chosen)?.default_model ?? "";
  return (
    <div className="composer-selects">
      <select className="select" aria-label="Agent" value={agent} onChange={(event) => onAgent(event.target.value)}>
        {choices?.configs.length ? (
          <optgroup label="Saved agents">
            {choices.configs.map((config) => (
              <option key={config.id} value={`config:${config.id}`}>
                {plain(config.policy.name ?? "")}
              </option>
            ))}
          </optgroup>
        ) : null}
        <optgroup label="Agent types">
          {(choices?.types ?? []).map((type) => (
            <option key={type.name} value={`type:${type.name}`} title={type.description}>
              {type.name.replaceAll("_", " ")}
            </option>
          ))}
        </optgroup>
      </select>
      <select
        className="select"
        aria-label="Provider"
        value={chosen}
        onChange={(event) => onModel(event.target.value, "")}
      >
        {(choices?.providers ?? []).map((one) => (
          <option
            key={one.id}
            value={one.id}
            disabled={!one.installed}
            title={one.installed ? one.title : "Its package is not installed"}
          >
            {one.id}
          </option>
        ))}
      </select>
      <input
        id={id}
        className="input"
        aria-label="Model"
        placeholder={usual || "model"}
        value={model}
        spellCheck={false}
        onChange={(event) => onModel(chosen, event.target.value)}
      />
    </div>
  );
}

function callOf({ choices, agent, provider, model }: Props, message: string, files: InputFile[]): RunCall {
  const config = choices?.configs.find((one) => `config:${one.id}` === agent);
  const call: RunCall = { message, files, agent_type: config?.agent_type ?? agent.replace(/^type:/, "") };
  if (config) call.policy = config.policy;
  if (provider) call.provider_id = provider;
  if (model.trim()) call.model_id = model.trim();
  return call;
}

async function inputFile(file: File): Promise<InputFile> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { name: file.name, content: btoa(binary) };
}
