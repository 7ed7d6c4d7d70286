/** Who is logged in. The token itself is in a cookie that no script can read; nothing of it is kept here. */

import { createContext, useContext } from "react";
import { Client } from "../api/client";
import type { Session } from "../api/types";

export const ClientContext = createContext<Client>(new Client());

export function useClient(): Client {
  return useContext(ClientContext);
}

export type SessionState =
  | { kind: "unknown" }
  | { kind: "out"; expired: boolean }
  | { kind: "unreachable"; error: unknown }
  | { kind: "in"; session: Session };
