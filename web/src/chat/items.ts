/** A conversation as what is shown of it, built from what the server remembers and from the events of a run. */

import type { AgentEvent, AgentResponse, ApprovalRequest, ThreadDetail, ToolStep } from "../api/types";
import { Transcript } from "../results/transcript";

export type Item =
  | { kind: "user"; key: string; text: string; files: string[] }
  | { kind: "words"; key: string; text: string }
  | Tool
  | { kind: "approval"; key: string; request: ApprovalRequest }
  | { kind: "end"; key: string; response: AgentResponse; seconds: number };

export interface Tool {
  kind: "tool";
  key: string;
  name: string;
  args: Record<string, unknown>;
  /** Null for a call of an earlier visit, whose output is in its step. */
  transcript: Transcript | null;
  step: ToolStep | null;
}

/** What the server remembers. */
export function remembered(thread: ThreadDetail): Item[] {
  const waiting = new Set(thread.approvals.map((request) => request.tool_call_id));
  const items: Item[] = [];
  thread.messages.forEach((message, index) => {
    if (message.role === "user") items.push({ kind: "user", key: `m${index}`, text: message.text, files: [] });
    else if (message.text) items.push({ kind: "words", key: `m${index}`, text: message.text });
    for (const step of message.steps) {
      if (waiting.has(step.tool_call_id)) continue;
      items.push({ kind: "tool", key: step.tool_call_id, name: step.name, args: step.args, transcript: null, step });
    }
  });
  for (const request of thread.approvals) items.push({ kind: "approval", key: request.tool_call_id, request });
  return items;
}

/** The items after an event. Text of running code is added in place; everything else makes new items. */
export function after(items: readonly Item[], event: AgentEvent, startedAt: number): Item[] {
  switch (event.type) {
    case "token":
      return withWords(items, event.text);
    case "tool_call":
      return put(items, {
        kind: "tool",
        key: event.tool_call_id,
        name: event.name,
        args: event.args,
        transcript: new Transcript(),
        step: null,
      });
    case "tool_output": {
      const tool = items.findLast(
        (item) => item.kind === "tool" && (!event.tool_call_id || item.key === event.tool_call_id),
      );
      if (tool?.kind === "tool") tool.transcript?.add(event.stream, event.text);
      return [...items];
    }
    case "tool_result":
      return returned(items, event.step);
    case "approval":
      return event.requests.reduce<Item[]>(
        (all, request) => put(all, { kind: "approval", key: request.tool_call_id, request }),
        [...items],
      );
    case "ended": {
      const seconds = (performance.now() - startedAt) / 1000;
      return [...items, { kind: "end", key: `e${items.length}`, response: event.response, seconds }];
    }
    default:
      return [...items];
  }
}

function withWords(items: readonly Item[], text: string): Item[] {
  const last = items.at(-1);
  if (last?.kind === "words") return [...items.slice(0, -1), { ...last, text: last.text + text }];
  return [...items, { kind: "words", key: `w${items.length}`, text }];
}

function returned(items: readonly Item[], step: ToolStep): Item[] {
  const known = items.find((item) => item.key === step.tool_call_id);
  const transcript = known?.kind === "tool" ? known.transcript : null;
  // A person may have changed the arguments on the way.
  return put(items, { kind: "tool", key: step.tool_call_id, name: step.name, args: step.args, transcript, step });
}

/** In the place of the item of the same key, else at the end. */
function put(items: readonly Item[], item: Item): Item[] {
  return items.some((one) => one.key === item.key)
    ? items.map((one) => (one.key === item.key ? item : one))
    : [...items, item];
}
