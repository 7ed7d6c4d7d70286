// Written by `make web-types` from the server's OpenAPI description. Do not edit.

export type AgentEvent = Started | Token | ToolCalled | ToolOutput | ToolReturned | ApprovalNeeded | Ended;

/** The data of one event of a run; its name is the data's `type`. `problem` is the other event there is. */
export type AgentEvents = Started | Token | ToolCalled | ToolOutput | ToolReturned | ApprovalNeeded | Ended;

/** What came of a run. */
export interface AgentResponse {
  answer: string;
  thread_id: string;
  sandbox_id: string | null;
  steps: (ToolStep)[];
  artifacts: (Artifact)[];
  usage: Usage;
  stopped_because: "answered" | "approval" | "model_calls" | "tool_calls" | "cancelled" | "failed";
  approvals: (ApprovalRequest)[];
  failure: Failure | null;
  scripted: boolean;
}

/** A kind of agent; `prompt` is the name of a built-in prompt or a text. */
export interface AgentTypeEntry {
  name: string;
  description: string;
  prompt: string;
  tools: (string)[];
  allowed_tools: (string)[];
  mcp_servers: (string)[];
  policy: SandboxPolicy;
}

/** What the person decided about one call. */
export interface ApprovalDecision {
  tool_call_id: string;
  decision: "approve" | "edit" | "reject";
  args?: Record<string, unknown> | null;
  reason?: string;
}

/** The run waits for decisions on all of these; `ended` follows. */
export interface ApprovalNeeded {
  type: "approval";
  requests: (ApprovalRequest)[];
}

/** A tool call that waits for a person. */
export interface ApprovalRequest {
  tool_call_id: string;
  name: string;
  args: Record<string, unknown>;
  reason: string;
  allowed_decisions: ("approve" | "edit" | "reject")[];
}

/** One representation of a rich result. */
export interface Artifact {
  kind: "png" | "jpeg" | "svg" | "pdf" | "html" | "latex" | "markdown" | "json" | "javascript" | "chart" | "dataframe" | "text";
  name: string;
  mime_type: string;
  size: number;
  data: string | null;
  path: string | null;
}

export interface Body_upload_code_upload_post {
  file: string;
  path?: string | null;
  thread_id?: string;
}

/** Whether there was a run to cancel. */
export interface Cancelled {
  cancelled: boolean;
}

/** The events of a call under /code: the names, and the data of each. */
export interface CodeEvents {
  stdout: LiveText;
  stderr: LiveText;
  status: LiveText;
  artifact: Artifact;
  end: Execution | CommandResult | InstallResult;
  problem: ProblemBody;
}

/** Something that code may do, how to see it, and what to do then. */
export interface CodePattern {
  name: string;
  calls?: (string)[];
  imports?: (string)[];
  regex?: string;
  languages?: (string)[];
  action?: "off" | "warn" | "block" | "ask";
  message?: string;
}

/** A saved configuration of an agent: the policy is the form, with name, description and system prompt. */
export interface CodingAgentConfig {
  id: string;
  created_at: string;
  updated_at: string;
  agent_type: string;
  policy: SandboxPolicy;
}

/** A shell command. */
export interface CommandCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  command: string;
  timeout?: number | null;
  background?: boolean;
}

/** One shell command. `success` says that the exit code is 0. */
export interface CommandResult {
  success: boolean;
  error: string | null;
  notes: (string)[];
  stdout: string;
  stderr: string;
  exit_code: number | null;
  pid: number | null;
  execution_time: number;
  output_file: string | null;
  sandbox_id: string;
}

/** What is saved of an agent. */
export interface ConfigCall {
  agent_type?: string;
  policy: SandboxPolicy;
}

/** A file, or a folder with all in it, to delete. */
export interface DeleteCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  path: string;
}

/** The last event of every run, also of one that failed or was cancelled. */
export interface Ended {
  type: "ended";
  response: AgentResponse;
}

/** Code to run. */
export interface ExecuteCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  code: string;
  language?: string | null;
  timeout?: number | null;
  install_packages?: (string)[];
}

/** What came of running code. `artifacts` are its images, charts and tables: not to be trusted. */
export interface Execution {
  success: boolean;
  error: string | null;
  notes: (string)[];
  output: string;
  stderr: string;
  traceback: string;
  sandbox_id: string;
  language: string;
  exit_code: number | null;
  execution_time: number;
  packages_installed: (string)[];
  code: string;
  results: (string)[];
  output_file: string | null;
  artifacts: (Artifact)[];
  thread_id: string;
}

/** How long a sandbox is to live from now on. */
export interface Extension {
  seconds?: number;
}

/** Why a run failed: the error's name, and what to do. */
export interface Failure {
  name: string;
  message: string;
}

/** What is wrong with one field; `field` is its path, such as `policy.timeout`. */
export interface FieldProblem {
  field: string;
  message: string;
}

/** One entry of a folder; `size` in bytes, `modified` in ISO 8601. */
export interface FileEntry {
  name: string;
  path: string;
  type: "file" | "directory" | "other";
  size: number;
  modified: string;
}

/** A file that was read, written, edited or deleted. */
export interface FileResult {
  success: boolean;
  error: string | null;
  notes: (string)[];
  path: string;
  sandbox_id: string;
  text: string | null;
  start_line: number | null;
  end_line: number | null;
  total_lines: number | null;
  size: number | null;
  replacements: number | null;
  mime_type: string | null;
}

/** The entries of a folder, sorted by path. */
export interface FolderResult {
  success: boolean;
  error: string | null;
  notes: (string)[];
  path: string;
  sandbox_id: string;
  entries: (FileEntry)[];
  truncated: boolean;
}

/** The process answers. */
export interface Health {
  status: "ok";
  version: string;
}

/** A file that is put into the sandbox's home before the run. */
export interface InputFile {
  name: string;
  content: string;
}

/** Packages to install. */
export interface InstallCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  packages: (string)[];
  language?: string;
  timeout?: number | null;
}

/** An installation. `error` holds the installer's last lines. */
export interface InstallResult {
  success: boolean;
  error: string | null;
  notes: (string)[];
  language: string;
  packages_installed: (string)[];
  execution_time: number;
  sandbox_id: string;
}

/** A language. */
export interface LanguageEntry {
  name: string;
  title: string;
  aliases: (string)[];
  ending: string;
  stateful: boolean;
  available: boolean;
  how_to_install: string;
}

/** The languages, and the one of code that does not say its own. */
export interface Languages {
  default: string;
  languages: (LanguageEntry)[];
}

/** A folder to list. */
export interface ListCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  path?: string;
  depth?: number;
}

/** The data of `stdout`, `stderr` and `status`. */
export interface LiveText {
  text: string;
}

/** A token to log in with. */
export interface Login {
  token: string;
}

/** An installed Python package. */
export interface Package {
  name: string;
  version: string;
}

/** The body of every 4xx and 5xx answer. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  errors: (FieldProblem)[];
}

/** Where models come from. The default one has the default model. */
export interface ProviderEntry {
  id: string;
  title: string;
  installed: boolean;
  default_model: string | null;
}

/** A file to read: text, whole or some of its lines, or an image. */
export interface ReadCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  path: string;
  start_line?: number | null;
  end_line?: number | null;
}

/** What a file holds: `text`, or base64 in `image`. */
export interface ReadFile {
  success: boolean;
  error: string | null;
  notes: (string)[];
  path: string;
  sandbox_id: string;
  text: string | null;
  start_line: number | null;
  end_line: number | null;
  total_lines: number | null;
  size: number | null;
  replacements: number | null;
  mime_type: string | null;
  image: string | null;
}

/** Whether calls can be served now: each part is `ok` or `failed`. */
export interface Readiness {
  status: "ready" | "not ready";
  sandboxes: "ok" | "failed";
  database: "ok" | "failed";
}

/** A file or folder to move. */
export interface RenameCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  path: string;
  new_path: string;
}

/** What a person has decided about the calls that wait; nothing for a run that was cancelled or broke off. */
export interface ResumeCall {
  decisions?: (ApprovalDecision)[];
}

/** A message to an agent. `policy` narrows or widens what its sandbox may do; `thread_id` goes on with a thread. */
export interface RunCall {
  message: string;
  agent_type?: string;
  system_prompt?: string | null;
  system_prompt_mode?: "extend" | "replace";
  provider_id?: string | null;
  model_id?: string | null;
  tools?: (string)[];
  thread_id?: string | null;
  files?: (InputFile)[];
  policy?: SandboxPolicy | null;
  stream?: boolean;
}

/** What is known of a sandbox without waking it; times in ISO 8601 UTC, sizes in MiB, CPU in percent of one core. */
export interface SandboxInfo {
  sandbox_id: string;
  state: "running" | "paused";
  template: string;
  started_at: string;
  ends_at: string;
  seconds_left: number;
  cpu_count: number;
  cpu_percent: number | null;
  memory_mib: number | null;
  memory_limit_mib: number;
  disk_mib: number | null;
  disk_limit_mib: number | null;
  languages: (string)[];
  python: string;
  platform: string;
  packages: (Package)[];
  thread_id: string | null;
  network: string | null;
  metadata: Record<string, string>;
}

/** The rules of a sandbox and of each call in it; camelCase on the wire, either spelling in Python. */
export interface SandboxPolicy {
  name?: string;
  description?: string;
  systemPrompt?: string;
  timeout?: number;
  maxExecutionTime?: number;
  enableFileSystem?: boolean;
  enableNetwork?: boolean;
  networkApproval?: "allow" | "ask";
  enableGPU?: boolean;
  enableInstalls?: boolean;
  defaultPackages?: (string)[];
  allowedPackages?: (string)[];
  deniedPackages?: (string)[];
  packageApproval?: "allow" | "ask" | "deny" | null;
  suspiciousPackageNames?: (string)[];
  suspiciousPackageAction?: "off" | "warn" | "block" | "ask";
  allowedLanguages?: (string)[];
  codeChecks?: "off" | "warn" | "block";
  dangerousCodePatterns?: (CodePattern)[];
  suspiciousFileEndings?: (string)[];
  suspiciousFileAction?: "off" | "warn" | "block" | "ask";
  hostDirectories?: (string)[];
  maxOutputBytes?: number;
  maxFileBytes?: number;
  maxCodeBytes?: number;
}

/** Who is logged in. */
export interface Session {
  subject: string;
  by: "token" | "cookie" | "loopback";
  expires: number | null;
  csrf_token: string;
  csrf_header: string;
}

/** The first event of a run. */
export interface Started {
  type: "started";
  thread_id: string;
  run_id: string;
  agent_type: string;
  provider_id: string;
  model_id: string;
  scripted: boolean;
}

/** A conversation with all that was said, and what it waits for. */
export interface ThreadDetail {
  id: string;
  title: string;
  created_at: string;
  updated_at: string;
  agent_type: string;
  provider_id: string;
  model_id: string;
  waiting: boolean;
  running: boolean;
  interrupted: boolean;
  sandbox_id: string | null;
  messages: (ThreadMessage)[];
  approvals: (ApprovalRequest)[];
}

/** What one side said; the assistant's holds the tool calls that it made with it. */
export interface ThreadMessage {
  role: "user" | "assistant";
  text: string;
  steps: (ToolStep)[];
}

/** A conversation; times in ISO 8601 UTC. */
export interface ThreadSummary {
  id: string;
  title: string;
  created_at: string;
  updated_at: string;
  agent_type: string;
  provider_id: string;
  model_id: string;
  waiting: boolean;
  running: boolean;
  interrupted: boolean;
}

/** A thread's new title. */
export interface Title {
  title: string;
}

/** A piece of the model's words. */
export interface Token {
  type: "token";
  text: string;
}

/** The model calls a tool; its code runs now. */
export interface ToolCalled {
  type: "tool_call";
  tool_call_id: string;
  name: string;
  args: Record<string, unknown>;
}

/** Output of a tool call, as it comes. */
export interface ToolOutput {
  type: "tool_output";
  tool_call_id: string | null;
  stream: "stdout" | "stderr" | "status";
  text: string;
}

/** A tool call has ended. */
export interface ToolReturned {
  type: "tool_result";
  step: ToolStep;
}

/** One tool call and its result. */
export interface ToolStep {
  tool_call_id: string;
  name: string;
  args: Record<string, unknown>;
  content: unknown;
  artifacts: (Artifact)[];
  failed: boolean;
  seconds: number;
}

/** Tokens of all model calls of a run. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
}

/** A text file to write. */
export interface WriteCall {
  thread_id?: string;
  policy?: SandboxPolicy | null;
  approved?: boolean;
  path: string;
  content: string;
}

/** Each route with its body and its answer. */
export interface Operations {
  "GET /agents/configs": { body: undefined; answer: (CodingAgentConfig)[] };
  "POST /agents/configs": { body: ConfigCall; answer: CodingAgentConfig };
  "POST /agents/configs/check": { body: ConfigCall; answer: undefined };
  "GET /agents/configs/{config_id}": { body: undefined; answer: CodingAgentConfig };
  "PUT /agents/configs/{config_id}": { body: ConfigCall; answer: CodingAgentConfig };
  "DELETE /agents/configs/{config_id}": { body: undefined; answer: undefined };
  "GET /agents/providers": { body: undefined; answer: (ProviderEntry)[] };
  "POST /agents/run": { body: RunCall; answer: AgentResponse };
  "POST /agents/stream": { body: RunCall; answer: undefined };
  "GET /agents/threads": { body: undefined; answer: (ThreadSummary)[] };
  "GET /agents/threads/{thread_id}": { body: undefined; answer: ThreadDetail };
  "PATCH /agents/threads/{thread_id}": { body: Title; answer: undefined };
  "DELETE /agents/threads/{thread_id}": { body: undefined; answer: undefined };
  "GET /agents/threads/{thread_id}/export": { body: undefined; answer: undefined };
  "GET /agents/types": { body: undefined; answer: (AgentTypeEntry)[] };
  "POST /agents/{thread_id}/cancel": { body: undefined; answer: Cancelled };
  "POST /agents/{thread_id}/resume": { body: ResumeCall; answer: AgentResponse };
  "POST /auth/login": { body: Login; answer: Session };
  "POST /auth/logout": { body: undefined; answer: undefined };
  "GET /auth/me": { body: undefined; answer: Session };
  "POST /code/delete-file": { body: DeleteCall; answer: FileResult };
  "GET /code/download": { body: undefined; answer: undefined };
  "POST /code/execute": { body: ExecuteCall; answer: Execution };
  "POST /code/install-packages": { body: InstallCall; answer: InstallResult };
  "GET /code/languages": { body: undefined; answer: Languages };
  "POST /code/list-files": { body: ListCall; answer: FolderResult };
  "POST /code/read-file": { body: ReadCall; answer: ReadFile };
  "POST /code/rename-file": { body: RenameCall; answer: FileResult };
  "POST /code/run-command": { body: CommandCall; answer: CommandResult };
  "POST /code/upload": { body: undefined; answer: FileResult };
  "POST /code/write-file": { body: WriteCall; answer: FileResult };
  "GET /health": { body: undefined; answer: Health };
  "GET /metrics": { body: undefined; answer: undefined };
  "GET /ready": { body: undefined; answer: Readiness };
  "GET /sandboxes": { body: undefined; answer: (SandboxInfo)[] };
  "GET /sandboxes/{sandbox_id}": { body: undefined; answer: SandboxInfo };
  "DELETE /sandboxes/{sandbox_id}": { body: undefined; answer: undefined };
  "POST /sandboxes/{sandbox_id}/extend": { body: Extension; answer: SandboxInfo };
}
