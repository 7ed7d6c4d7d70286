// A page of somebody else with Sandloop's two components in it. The server must know its origin: server.cors_origins.
import { StrictMode, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { Client, ClientContext, CodeExecution, CodingAgentConfig, type ConfigCall } from "sandloop-web";
import "sandloop-web/style.css";
import "./example.css";

function Example() {
  const [login, setLogin] = useState<{ server: string; token: string } | null>(null);
  // The token stays in memory: a reload asks for it again.
  const client = useMemo(() => login && new Client({ baseUrl: login.server, token: () => login.token }), [login]);
  const [code, setCode] = useState("print('Hello from another page')\n");
  const [language, setLanguage] = useState("python");
  const [saved, setSaved] = useState<ConfigCall | null>(null);

  if (!client) {
    return (
      <form
        className="example-login"
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          setLogin({ server: String(form.get("server")), token: String(form.get("token")) });
        }}
      >
        <label>
          Server <input className="input" name="server" defaultValue="http://127.0.0.1:8000" />
        </label>
        <label>
          Token <input className="input" name="token" type="password" />
        </label>
        <button type="submit" className="button button-primary">
          Connect
        </button>
      </form>
    );
  }
  return (
    <ClientContext value={client}>
      <h1>Run code</h1>
      <div className="example-code">
        <CodeExecution
          threadId="example"
          code={code}
          language={language}
          onCodeChange={setCode}
          onLanguageChange={setLanguage}
        />
      </div>
      <h1>Set an agent up</h1>
      <CodingAgentConfig initialConfig={{ policy: { name: "Analyst" } }} onSave={setSaved} />
      {saved && <pre data-testid="saved">{JSON.stringify(saved, null, 2)}</pre>}
    </ClientContext>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Example />
    </StrictMode>,
  );
}
