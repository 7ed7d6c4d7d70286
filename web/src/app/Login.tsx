import { useId, useState } from "react";
import type { Client } from "../api/client";
import type { Session } from "../api/types";
import { Failed } from "../ui/Notice";

export function Login(props: { client: Client; expired: boolean; onDone: (session: Session) => void }) {
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  const submit = async (form: HTMLFormElement) => {
    const token = String(new FormData(form).get("token")).trim();
    setBusy(true);
    try {
      props.onDone(await props.client.send("POST /auth/login", { body: { token } }));
    } catch (failed) {
      setError(failed);
      setBusy(false);
    }
  };

  return (
    <main className="alone">
      <form
        className="card login"
        onSubmit={(event) => {
          event.preventDefault();
          void submit(event.currentTarget);
        }}
      >
        <img src="/icon.svg" alt="" width="40" height="40" />
        <h1>Sandloop</h1>
        <p className="quiet">
          {props.expired
            ? "Your token has expired. Make a new one:"
            : "Log in with a token. On the server, this makes one:"}
        </p>
        <pre className="code-block">sandloop token --expires 8h</pre>
        <label className="field" htmlFor={id}>
          <span>Token</span>
          {/* biome-ignore lint/a11y/noAutofocus: it is the page's only field. */}
          <input id={id} name="token" type="password" className="input" autoComplete="off" required autoFocus />
        </label>
        {error !== null && <Failed error={error} />}
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? "Logging in…" : "Log in"}
        </button>
      </form>
    </main>
  );
}
