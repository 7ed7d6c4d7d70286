/** The one way to the server: same origin, the session's cookie, errors as `ApiError`. */

import type { Operations, Session } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: readonly FieldError[] = [],
    readonly retryAfter = 0,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** Nobody answered: the server is away, or the network. */
  get offline(): boolean {
    return this.status === 0;
  }
}

export interface FieldError {
  field: string;
  message: string;
}

export interface Call {
  body?: unknown;
  params?: Record<string, string | number | boolean>;
  signal?: AbortSignal;
  accept?: string;
}

type Listener = (error: ApiError) => void;

/**
 * Talks to one server.
 *
 * A page of the server itself needs no options: it logs in by cookie. Another page that embeds the components gives
 * its address and a token, and keeps the token in memory.
 */
export class Client {
  private csrf: { header: string; token: string } | null = null;
  private readonly listeners = new Set<Listener>();

  constructor(private readonly options: { baseUrl?: string; token?: () => string | undefined } = {}) {}

  /** Whether the page comes from the server that it talks to. */
  get isOwnOrigin(): boolean {
    return !this.options.baseUrl;
  }

  /** Hear of answers that say the session is over. */
  onUnauthorized(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  remember(session: Session | null): void {
    this.csrf = session?.csrf_token ? { header: session.csrf_header, token: session.csrf_token } : null;
  }

  async send<Route extends keyof Operations>(
    route: Route,
    call: Omit<Call, "body"> & { body?: Operations[Route]["body"] } = {},
  ): Promise<Operations[Route]["answer"]> {
    const [method, path] = split(route);
    const response = await this.fetch(method, path, call);
    return response.status === 204 ? undefined : ((await response.json()) as Operations[Route]["answer"]);
  }

  /** Send and return the answer itself, for streams and files. Parts of the path in braces come from `params`. */
  async fetch(method: string, path: string, call: Call = {}): Promise<Response> {
    const headers = new Headers({ Accept: call.accept ?? "application/json" });
    const token = this.options.token?.();
    if (token) headers.set("Authorization", `Bearer ${token}`);
    if (this.csrf && method !== "GET") headers.set(this.csrf.header, this.csrf.token);
    let body: BodyInit | undefined;
    if (call.body instanceof FormData) body = call.body;
    else if (call.body !== undefined) {
      headers.set("Content-Type", "application/json");
      body = JSON.stringify(call.body);
    }
    const init: RequestInit = {
      method,
      headers,
      body,
      signal: call.signal,
      credentials: token ? "omit" : "same-origin",
    };
    let response: Response;
    try {
      response = await fetch(this.url(path, call.params), init);
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw new ApiError(0, "offline", "The server does not answer. Is it still running?");
    }
    if (!response.ok) throw await this.refused(response);
    return response;
  }

  url(path: string, params: Call["params"] = {}): string {
    const query = new URLSearchParams();
    let filled = path;
    for (const [name, value] of Object.entries(params)) {
      if (filled.includes(`{${name}}`)) filled = filled.replace(`{${name}}`, encodeURIComponent(value));
      else query.set(name, String(value));
    }
    const search = query.size ? `?${query}` : "";
    return `${this.options.baseUrl ?? ""}${filled}${search}`;
  }

  private async refused(response: Response): Promise<ApiError> {
    const told = await problem(response);
    if (response.status === 401) for (const listener of this.listeners) listener(told);
    return told;
  }
}

function split(route: string): [string, string] {
  const space = route.indexOf(" ");
  return [route.slice(0, space), route.slice(space + 1)];
}

async function problem(response: Response): Promise<ApiError> {
  const wait = Number(response.headers.get("retry-after")) || 0;
  try {
    const body = await response.json();
    return new ApiError(response.status, String(body.code), String(body.detail), body.errors ?? [], wait);
  } catch {
    return new ApiError(response.status, "http", `The server answered ${response.status}.`, [], wait);
  }
}

/** What to tell a person about anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError && error.fields.length > 0) {
    const [first] = error.fields;
    return first && !error.message.includes(first.message) ? first.message : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
