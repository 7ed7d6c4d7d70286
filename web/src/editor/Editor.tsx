import { lazy, Suspense } from "react";
import { Loading } from "../ui/Notice";

const MonacoEditor = lazy(() => import("./MonacoEditor"));

export interface EditorProps {
  /** Which document it is; each keeps its own history. */
  id: string;
  value: string;
  language: string;
  label: string;
  readOnly?: boolean;
  problems?: readonly { line: number; message: string }[];
  /** A line to go to; a new object goes there again. */
  reveal?: { line: number } | null;
  onChange?: (value: string) => void;
  /** With the text as it is now: what is typed just before may not have come as a change yet. */
  onRun?: (value: string) => void;
  onSave?: (value: string) => void;
}

/** A code editor. Monaco is loaded when the first one is shown. */
export function Editor(props: EditorProps) {
  return (
    <Suspense fallback={<Loading label="Loading the editor" />}>
      <MonacoEditor {...props} />
    </Suspense>
  );
}
