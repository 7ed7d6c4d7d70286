/** Server-sent events over fetch, which can post, carry headers and be aborted. */

import { ApiError, type Call, type Client } from "./client";

export interface ServerEvent {
  name: string;
  data: unknown;
}

/** Yield the events of a streamed answer. It ends when the server ends it; a connection that breaks throws. */
export async function* events(client: Client, path: string, call: Call): AsyncGenerator<ServerEvent> {
  const response = await client.fetch("POST", path, { ...call, accept: "text/event-stream" });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await read(reader, call.signal);
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const event = parse(part);
        if (event?.name === "problem") throw asError(event.data);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The server says every 15 seconds that it is still there. */
const SILENCE = 45_000;

async function read(reader: ReadableStreamDefaultReader<string>, signal?: AbortSignal) {
  const silence = setTimeout(() => void reader.cancel("silence"), SILENCE);
  try {
    const { done, value } = await reader.read();
    return { done, value: value ?? "" };
  } catch {
    if (signal?.aborted) throw new DOMException("stopped", "AbortError");
    throw new ApiError(0, "connection_lost", "The connection was lost, and the server has stopped the code.");
  } finally {
    clearTimeout(silence);
  }
}

function parse(text: string): ServerEvent | null {
  let name = "message";
  const data: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}

function asError(data: unknown): ApiError {
  const body = data as { status?: number; code?: string; detail?: string; errors?: [] };
  return new ApiError(body.status ?? 500, body.code ?? "problem", body.detail ?? "The server failed.", body.errors);
}
