import { useEffect, useId, useState } from "react";
import type { FieldSchema } from "./schema";

interface Props {
  schema: FieldSchema;
  value: unknown;
  error?: string;
  onChange: (value: unknown) => void;
  placeholder?: string;
}

/** One field of a policy, by what the server says of it. */
export function Field(props: Props) {
  const id = useId();
  const { schema, error } = props;
  const hint = `${id}-hint`;
  const about = { id, "aria-describedby": hint, "aria-invalid": error ? true : undefined };
  if (schema.kind === "switch") {
    return (
      <div className="check" data-field={schema.name}>
        <input
          {...about}
          type="checkbox"
          checked={Boolean(props.value ?? schema.initial)}
          onChange={(event) => props.onChange(event.target.checked)}
        />
        <div>
          <label htmlFor={id}>{schema.title}</label>
          <Hint id={hint} schema={schema} error={error} />
        </div>
      </div>
    );
  }
  return (
    <div className="field" data-field={schema.name}>
      <label htmlFor={id}>{schema.title}</label>
      <Control {...props} about={about} />
      <Hint id={hint} schema={schema} error={error} />
    </div>
  );
}

function Hint({ id, schema, error }: { id: string; schema: FieldSchema; error?: string }) {
  return (
    <div id={id}>
      {error && <div className="field-error">{error}</div>}
      <div className="field-hint">{schema.description}</div>
    </div>
  );
}

type ControlProps = Props & { about: { id: string; "aria-describedby": string; "aria-invalid"?: boolean } };

function Control({ schema, value, onChange, placeholder, about }: ControlProps) {
  switch (schema.kind) {
    case "number":
      return (
        <input
          {...about}
          className="input"
          type="number"
          min={schema.minimum}
          max={schema.maximum}
          value={value === undefined ? String(schema.initial) : String(value ?? "")}
          onChange={(event) => onChange(event.target.value === "" ? null : Number(event.target.value))}
        />
      );
    case "choice":
      return (
        <select
          {...about}
          className="select"
          value={String(value ?? schema.initial ?? "")}
          onChange={(event) => onChange(event.target.value || null)}
        >
          {schema.optional && <option value="">by the lists</option>}
          {schema.choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      );
    case "list":
      return (
        <Lines
          about={about}
          value={(value ?? schema.initial) as string[]}
          onChange={onChange}
          placeholder={placeholder}
        />
      );
    case "patterns":
      return <Json about={about} value={value ?? schema.initial} onChange={onChange} />;
    case "long":
      return (
        <textarea
          {...about}
          className="input"
          rows={schema.name === "systemPrompt" ? 12 : 2}
          maxLength={schema.maxLength}
          placeholder={placeholder}
          value={String(value ?? "")}
          onChange={(event) => onChange(event.target.value)}
        />
      );
    default:
      return (
        <input
          {...about}
          className="input"
          maxLength={schema.maxLength}
          placeholder={placeholder}
          value={String(value ?? "")}
          onChange={(event) => onChange(event.target.value)}
        />
      );
  }
}

type Inner<T> = { about: ControlProps["about"]; value: T; onChange: (value: unknown) => void; placeholder?: string };

/** A list, one item a line. The text is kept as it was typed. */
function Lines({ about, value, onChange, placeholder }: Inner<string[]>) {
  const [text, setText] = useState(() => value.join("\n"));
  const said = value.join("\n");
  useEffect(() => {
    setText((before) => (items(before).join("\n") === said ? before : said));
  }, [said]);
  return (
    <textarea
      {...about}
      className="input"
      rows={Math.min(8, Math.max(2, value.length + 1))}
      spellCheck={false}
      placeholder={placeholder ?? "one a line"}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        onChange(items(event.target.value));
      }}
    />
  );
}

function items(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map((item) => item.trim())
    .filter(Boolean);
}

function Json({ about, value, onChange }: Inner<unknown>) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState(false);
  return (
    <>
      <textarea
        {...about}
        className="input mono"
        rows={8}
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          try {
            onChange(JSON.parse(event.target.value));
            setWrong(false);
          } catch {
            setWrong(true);
          }
        }}
      />
      {wrong && <div className="field-error">This is not JSON; the last good text counts.</div>}
    </>
  );
}
