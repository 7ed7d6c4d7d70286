/** The parts of the page that other pages can embed. See docs/web.md, and web/example for a page that does. */

import "./styles/library.css";

export { CodingAgentConfig, type CodingAgentConfigProps } from "./agents/CodingAgentConfig";
export { ApiError, Client } from "./api/client";
export type { AgentEvent, Artifact, CodingAgentConfig as SavedAgent, ConfigCall, SandboxPolicy } from "./api/types";
export { ClientContext, useClient } from "./app/session";
export { CodeExecution, type CodeExecutionProps } from "./code/CodeExecution";
export { Results } from "./results/Results";
