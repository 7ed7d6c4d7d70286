import { useEffect, useRef } from "react";
import { useTheme } from "../app/theme";
import type { EditorProps } from "./Editor";
import { monaco, monacoLanguage } from "./monaco";

type Code = monaco.editor.IStandaloneCodeEditor;

/** Each document keeps its own model, with its history and its place. Use it by `Editor`, which loads it. */
export default function MonacoEditor(props: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const editor = useRef<Code | null>(null);
  const models = useRef(new Map<string, monaco.editor.ITextModel>());
  const places = useRef(new Map<string, monaco.editor.ICodeEditorViewState>());
  const latest = useRef(props);
  latest.current = props;
  const theme = useTheme();

  useEffect(() => {
    if (!box.current) return;
    const made = create(box.current, latest);
    editor.current = made;
    const kept = models.current;
    return () => {
      made.dispose();
      for (const model of kept.values()) model.dispose();
      kept.clear();
      editor.current = null;
    };
  }, []);

  useEffect(() => monaco.editor.setTheme(theme === "dark" ? "sandloop-dark" : "sandloop-light"), [theme]);

  useEffect(() => {
    const there = editor.current;
    if (!there) return;
    let model = models.current.get(props.id);
    if (!model) {
      model = monaco.editor.createModel(props.value, monacoLanguage(props.language));
      models.current.set(props.id, model);
    }
    if (model.getValue() !== props.value) model.setValue(props.value);
    if (there.getModel() !== model) {
      there.setModel(model);
      const place = places.current.get(props.id);
      if (place) there.restoreViewState(place);
    }
    const id = props.id;
    return () => {
      const place = there.getModel() && there.saveViewState();
      if (place) places.current.set(id, place);
    };
  }, [props.id, props.value, props.language]);

  useEffect(() => {
    const model = models.current.get(props.id);
    if (model) monaco.editor.setModelLanguage(model, monacoLanguage(props.language));
  }, [props.id, props.language]);

  useEffect(() => {
    const model = models.current.get(props.id);
    if (!model) return;
    const marks = (props.problems ?? []).filter(({ line }) => line >= 1 && line <= model.getLineCount());
    monaco.editor.setModelMarkers(
      model,
      "run",
      marks.map(({ line, message }) => ({
        severity: monaco.MarkerSeverity.Error,
        message,
        startLineNumber: line,
        endLineNumber: line,
        startColumn: model.getLineFirstNonWhitespaceColumn(line) || 1,
        endColumn: model.getLineMaxColumn(line),
      })),
    );
  }, [props.id, props.problems]);

  useEffect(() => {
    if (!props.reveal || !editor.current) return;
    editor.current.revealLineInCenter(props.reveal.line);
    editor.current.setPosition({ lineNumber: props.reveal.line, column: 1 });
    editor.current.focus();
  }, [props.reveal]);

  return <div ref={box} className="editor" data-testid="editor" />;
}

function create(box: HTMLElement, latest: { current: EditorProps }): Code {
  const made = monaco.editor.create(box, {
    model: null,
    automaticLayout: true,
    ariaLabel: latest.current.label,
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 13,
    lineHeight: 20,
    lineNumbersMinChars: 3,
    minimap: { enabled: false },
    padding: { top: 12, bottom: 12 },
    readOnly: latest.current.readOnly ?? false,
    renderLineHighlight: "line",
    scrollBeyondLastLine: false,
    scrollbar: { verticalScrollbarSize: 10, horizontalScrollbarSize: 10, alwaysConsumeMouseWheel: false },
    // Tab moves on by Ctrl+M; text of sandboxes may hold characters that look like others.
    unicodeHighlight: { ambiguousCharacters: true, invisibleCharacters: true },
    wordBasedSuggestions: "currentDocument",
    fixedOverflowWidgets: true,
  });
  made.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter, () => latest.current.onRun?.(made.getValue()));
  made.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.KeyS, () => latest.current.onSave?.(made.getValue()));
  made.onDidChangeModelContent(() => {
    const value = made.getValue();
    if (value !== latest.current.value) latest.current.onChange?.(value);
  });
  return made;
}
