/** The policy's fields as the server describes them. */

import described from "../api/policy.json";
import type { SandboxPolicy } from "../api/types";

export type PolicyField = keyof SandboxPolicy;

export interface FieldSchema {
  name: PolicyField;
  title: string;
  description: string;
  kind: "text" | "long" | "number" | "switch" | "choice" | "list" | "patterns";
  choices: string[];
  optional: boolean;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  initial: unknown;
}

interface Raw {
  title?: string;
  description?: string;
  type?: string;
  enum?: string[];
  anyOf?: Raw[];
  items?: { $ref?: string };
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  default?: unknown;
}

function field(name: string, raw: Raw): FieldSchema {
  const options = raw.anyOf?.find((one) => one.type !== "null") ?? raw;
  return {
    name: name as PolicyField,
    title: raw.title ?? name,
    description: raw.description ?? "",
    kind: kindOf(name, options),
    choices: options.enum ?? [],
    optional: raw.anyOf?.some((one) => one.type === "null") ?? false,
    minimum: options.minimum,
    maximum: options.maximum,
    maxLength: options.maxLength,
    initial: raw.default ?? null,
  };
}

function kindOf(name: string, raw: Raw): FieldSchema["kind"] {
  if (raw.enum) return "choice";
  if (raw.type === "boolean") return "switch";
  if (raw.type === "integer") return "number";
  if (raw.type === "array") return raw.items?.$ref ? "patterns" : "list";
  return name === "systemPrompt" || name === "description" ? "long" : "text";
}

export const FIELDS: ReadonlyMap<PolicyField, FieldSchema> = new Map(
  Object.entries(described.properties as Record<string, Raw>).map(([name, raw]) => [
    name as PolicyField,
    field(name, raw),
  ]),
);

/** What comes first; all else is folded away. */
export const SANDBOX: readonly PolicyField[] = [
  "timeout",
  "maxExecutionTime",
  "defaultPackages",
  "allowedPackages",
  "enableFileSystem",
  "enableNetwork",
  "enableGPU",
];

const ELSEWHERE: readonly PolicyField[] = ["name", "description", "systemPrompt"];

export const MORE: readonly PolicyField[] = [...FIELDS.keys()].filter(
  (name) => !SANDBOX.includes(name) && !ELSEWHERE.includes(name),
);
