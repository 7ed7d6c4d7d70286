import { type ReactNode, useEffect, useId, useRef } from "react";
import { CloseIcon } from "./icons";

/** A modal dialog of the browser's own: it keeps the focus, and Escape closes it. */
export function Dialog(props: { title: string; onClose: () => void; children: ReactNode; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog
      ref={box}
      className={props.wide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={id}
      onClose={props.onClose}
    >
      <header className="dialog-head">
        <h2 id={id}>{props.title}</h2>
        <button type="button" className="icon-button" aria-label="Close" onClick={() => box.current?.close()}>
          <CloseIcon />
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

/** Ask before something is gone. */
export function Confirm(props: {
  title: string;
  text: string;
  action: string;
  onYes: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p>{props.text}</p>
      <footer className="dialog-foot">
        <button type="button" className="button" onClick={props.onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button button-danger"
          onClick={() => {
            props.onYes();
            props.onClose();
          }}
        >
          {props.action}
        </button>
      </footer>
    </Dialog>
  );
}

/** Ask for one line of text. */
export function Ask(props: {
  title: string;
  label: string;
  value: string;
  action: string;
  onDone: (value: string) => void;
  onClose: () => void;
}) {
  const id = useId();
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const value = String(new FormData(event.currentTarget).get("value")).trim();
          if (value) {
            props.onDone(value);
            props.onClose();
          }
        }}
      >
        <label className="field" htmlFor={id}>
          <span>{props.label}</span>
          <input id={id} name="value" className="input" defaultValue={props.value} autoFocus maxLength={200} />
        </label>
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={props.onClose}>
            Cancel
          </button>
          <button type="submit" className="button button-primary">
            {props.action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
