import { useCallback, useState } from "react";
import type { CodingAgentConfig as Config, ConfigCall } from "../api/types";
import { go, href } from "../app/route";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { Confirm } from "../ui/Dialog";
import { useLoaded } from "../ui/hooks";
import { AgentIcon, ChatIcon, EditIcon, PlusIcon, TrashIcon } from "../ui/icons";
import { Empty, Failed, Loading } from "../ui/Notice";
import { CodingAgentConfig } from "./CodingAgentConfig";

/** Open the chat with an agent chosen. */
export function tryAgent(config: Config): void {
  sessionStorage.setItem("sandloop.try", `config:${config.id}`);
  go("chat");
}

export default function AgentsPage({ id }: { id: string | null }) {
  const client = useClient();
  const configs = useLoaded(
    useCallback((signal: AbortSignal) => client.send("GET /agents/configs", { signal }), [client]),
  );
  if (configs.error) {
    return (
      <div className="sheet">
        <Failed error={configs.error} onRetry={configs.reload} />
      </div>
    );
  }
  if (!configs.data) return <Loading />;
  if (id === null) return <List configs={configs.data} onChanged={configs.reload} />;
  const edited = configs.data.find((config) => config.id === id) ?? null;
  if (id !== "new" && !edited) {
    return (
      <div className="sheet">
        <Empty icon={<AgentIcon />} title="There is no such agent">
          <a href={href("agents")}>See all of them</a>
        </Empty>
      </div>
    );
  }
  return <Edit key={id} edited={edited} onChanged={configs.reload} />;
}

function Edit({ edited, onChanged }: { edited: Config | null; onChanged: () => void }) {
  const client = useClient();
  const save = async (body: ConfigCall) => {
    const params = { config_id: edited?.id ?? "" };
    const saved = edited
      ? await client.send("PUT /agents/configs/{config_id}", { params, body })
      : await client.send("POST /agents/configs", { body });
    onChanged();
    return saved;
  };
  return (
    <div className="sheet">
      <header className="sheet-head">
        <h2>{edited ? plain(edited.policy.name ?? "") : "New agent"}</h2>
        <p className="quiet">What it may do, and what it is told.</p>
      </header>
      <CodingAgentConfig
        initialConfig={edited ?? undefined}
        onSave={async (config) => {
          await save(config);
          go("agents");
        }}
        onSaveAndTry={async (config) => tryAgent(await save(config))}
        onCancel={() => go("agents")}
      />
    </div>
  );
}

function List({ configs, onChanged }: { configs: readonly Config[]; onChanged: () => void }) {
  const client = useClient();
  const [deleting, setDeleting] = useState<Config | null>(null);
  const [error, setError] = useState<unknown>(null);
  const remove = async (config: Config) => {
    try {
      await client.send("DELETE /agents/configs/{config_id}", { params: { config_id: config.id } });
      setError(null);
    } catch (failed) {
      setError(failed);
    }
    onChanged();
  };
  return (
    <div className="sheet">
      <header className="sheet-head">
        <h2>Agents</h2>
        <p className="quiet">Saved configurations: a sandbox with its rules, and a system prompt.</p>
        <a className="button button-primary" href={href("agents", "new")}>
          <PlusIcon /> New agent
        </a>
      </header>
      {error !== null && <Failed error={error} />}
      {configs.length === 0 ? (
        <Empty icon={<AgentIcon />} title="No agents yet">
          The chat works without one. Save one to fix its packages, its network and its prompt.
        </Empty>
      ) : (
        <ul className="agents">
          {configs.map((config) => (
            <li key={config.id} className="card agent" data-testid="agent">
              <div className="agent-about">
                <h3>
                  <a href={href("agents", config.id)}>{plain(config.policy.name ?? "")}</a>
                </h3>
                {config.policy.description && <p className="quiet">{plain(config.policy.description)}</p>}
                <div className="agent-facts">
                  <span className="badge">{config.agent_type.replaceAll("_", " ")}</span>
                  {config.policy.enableNetwork && <span className="badge badge-warn">internet</span>}
                  {config.policy.defaultPackages?.slice(0, 4).map((name) => (
                    <span key={name} className="badge">
                      {plain(name)}
                    </span>
                  ))}
                </div>
              </div>
              <div className="agent-actions">
                <button type="button" className="button button-small" onClick={() => tryAgent(config)}>
                  <ChatIcon /> Try
                </button>
                <a
                  className="icon-button"
                  href={href("agents", config.id)}
                  aria-label={`Edit ${plain(config.policy.name ?? "")}`}
                  title="Edit"
                >
                  <EditIcon />
                </a>
                <button
                  type="button"
                  className="icon-button"
                  aria-label={`Delete ${plain(config.policy.name ?? "")}`}
                  title="Delete"
                  onClick={() => setDeleting(config)}
                >
                  <TrashIcon />
                </button>
              </div>
            </li>
          ))}
        </ul>
      )}
      {deleting && (
        <Confirm
          title={`Delete ${plain(deleting.policy.name ?? "")}?`}
          text="Conversations with it stay."
          action="Delete"
          onYes={() => void remove(deleting)}
          onClose={() => setDeleting(null)}
        />
      )}
    </div>
  );
}
