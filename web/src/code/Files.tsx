import { type DragEvent, useCallback, useEffect, useRef, useState } from "react";
import { ApiError, messageOf } from "../api/client";
import type { FileEntry } from "../api/types";
import { useClient } from "../app/session";
import { plain } from "../results/ansi";
import { size } from "../results/Output";
import { Ask, Confirm } from "../ui/Dialog";
import { useLoaded } from "../ui/hooks";
import {
  BackIcon,
  DownloadIcon,
  EditIcon,
  FileIcon,
  FolderIcon,
  PlusIcon,
  RefreshIcon,
  TrashIcon,
  UploadIcon,
} from "../ui/icons";
import { Failed, Loading } from "../ui/Notice";
import { absolute } from "./CodePage";
import type { Documents } from "./documents";

const HOME = "/home/user";
/** What the editor takes; more is for downloading. */
const EDITABLE = 2_000_000;

interface Props {
  threadId: string;
  documents: Documents;
  /** Counts up when files may have changed. */
  turn: number;
  onChanged: () => void;
}

type Asking = { kind: "new" } | { kind: "rename" | "delete"; entry: FileEntry };

export function Files({ threadId, documents, turn, onChanged }: Props) {
  const client = useClient();
  const [folder, setFolder] = useState(HOME);
  const [asking, setAsking] = useState<Asking | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [uploading, setUploading] = useState<string[]>([]);
  const [over, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const listing = useLoaded(
    useCallback(
      (signal: AbortSignal) =>
        client.send("POST /code/list-files", { body: { thread_id: threadId, path: folder }, signal }),
      [client, threadId, folder],
    ),
  );
  const { reload } = listing;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new turn looks again.
  useEffect(reload, [turn, reload]);

  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
      setError(null);
    } catch (failed) {
      setError(failed);
    }
    onChanged();
  };
  const open = (entry: FileEntry) =>
    attempt(async () => {
      if (documents.docs.some((doc) => doc.id === entry.path)) return documents.choose(entry.path);
      documents.open(entry.path, await textOf(entry));
    });
  const textOf = async (entry: FileEntry) => {
    if (entry.size > EDITABLE)
      throw new ApiError(0, "large", `${entry.name} has ${size(entry.size)}: download it instead.`);
    const response = await client.fetch("GET", "/code/download", { params: { path: entry.path, thread_id: threadId } });
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await response.arrayBuffer());
    } catch {
      throw new ApiError(0, "binary", `${entry.name} is not text: download it instead.`);
    }
  };
  const upload = (files: Iterable<File>) =>
    attempt(async () => {
      for (const file of files) {
        setUploading((before) => [...before, file.name]);
        const body = new FormData();
        body.set("thread_id", threadId);
        body.set("path", `${folder}/${file.name}`);
        body.set("file", file);
        try {
          await client.fetch("POST", "/code/upload", { body });
        } catch (failed) {
          throw new ApiError(0, "upload", `${file.name}: ${messageOf(failed)}`);
        } finally {
          setUploading((before) => before.filter((name) => name !== file.name));
        }
      }
    });
  const rename = (entry: FileEntry, name: string) =>
    attempt(async () => {
      const path = name.startsWith("/") ? name : `${folder}/${name}`;
      await client.send("POST /code/rename-file", { body: { thread_id: threadId, path: entry.path, new_path: path } });
      documents.move(entry.path, path);
    });
  const remove = (entry: FileEntry) =>
    attempt(async () => {
      await client.send("POST /code/delete-file", { body: { thread_id: threadId, path: entry.path } });
      for (const doc of documents.docs) {
        if (doc.id === entry.path || doc.id.startsWith(`${entry.path}/`)) documents.close(doc.id);
      }
    });
  const create = (name: string) =>
    attempt(async () => {
      const path = absolute(name.startsWith("/") ? name : `${folder}/${name}`);
      await client.send("POST /code/write-file", { body: { thread_id: threadId, path, content: "" } });
      documents.open(path, "");
    });

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping files is a second way; the button is the first.
    <div
      className="files"
      data-over={over || undefined}
      data-testid="files"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event: DragEvent) => {
        event.preventDefault();
        setOver(false);
        void upload(event.dataTransfer.files);
      }}
    >
      <div className="files-bar">
        <span className="files-path" title={plain(folder)}>
          {folder !== HOME && (
            <button
              type="button"
              className="icon-button"
              aria-label="Up"
              onClick={() => setFolder(folder.split("/").slice(0, -1).join("/") || HOME)}
            >
              <BackIcon />
            </button>
          )}
          <bdi>{folder === HOME ? "Home" : plain(folder.replace(`${HOME}/`, ""))}</bdi>
        </span>
        <button
          type="button"
          className="icon-button"
          aria-label="New file"
          title="New file"
          onClick={() => setAsking({ kind: "new" })}
        >
          <PlusIcon />
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label="Upload"
          title="Upload"
          onClick={() => picker.current?.click()}
        >
          <UploadIcon />
        </button>
        <button type="button" className="icon-button" aria-label="Look again" title="Look again" onClick={reload}>
          <RefreshIcon />
        </button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          data-testid="file-picker"
          onChange={(event) => {
            void upload([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
      </div>
      {error !== null && <Failed error={error} />}
      {uploading.map((name) => (
        <div key={name} className="file quiet">
          <span className="spinner" aria-hidden="true" /> {plain(name)}
        </div>
      ))}
      {listing.error ? (
        <Failed error={listing.error} onRetry={reload} />
      ) : listing.data ? (
        <ul className="file-list">
          {listing.data.entries
            .filter((entry) => !entry.name.startsWith("."))
            .toSorted((a, b) => Number(b.type === "directory") - Number(a.type === "directory"))
            .map((entry) => (
              <Row
                key={entry.path}
                entry={entry}
                url={client.url("/code/download", { path: entry.path, thread_id: threadId })}
                onOpen={() => (entry.type === "directory" ? setFolder(entry.path) : void open(entry))}
                onAsk={(kind) => setAsking({ kind, entry })}
              />
            ))}
          {listing.data.truncated && <li className="quiet">More files are not shown.</li>}
        </ul>
      ) : (
        <Loading />
      )}
      {listing.data && listing.data.entries.length === 0 && (
        <p className="quiet files-hint">Drop files here to upload them.</p>
      )}
      {asking?.kind === "new" && (
        <Ask
          title="New file"
          label="Name"
          value=""
          action="Create"
          onDone={(name) => void create(name)}
          onClose={() => setAsking(null)}
        />
      )}
      {asking?.kind === "rename" && (
        <Ask
          title="Rename"
          label="New name"
          value={asking.entry.name}
          action="Rename"
          onDone={(name) => void rename(asking.entry, name)}
          onClose={() => setAsking(null)}
        />
      )}
      {asking?.kind === "delete" && (
        <Confirm
          title={`Delete ${plain(asking.entry.name)}?`}
          text="It is gone from the sandbox, with all that is in it."
          action="Delete"
          onYes={() => void remove(asking.entry)}
          onClose={() => setAsking(null)}
        />
      )}
    </div>
  );
}

function Row(props: { entry: FileEntry; url: string; onOpen: () => void; onAsk: (kind: "rename" | "delete") => void }) {
  const { entry } = props;
  const name = plain(entry.name);
  return (
    <li className="file">
      <button type="button" className="file-name" onClick={props.onOpen} title={name}>
        {entry.type === "directory" ? <FolderIcon /> : <FileIcon />}
        <bdi>{name}</bdi>
        {entry.type === "file" && <span className="quiet file-size">{size(entry.size)}</span>}
      </button>
      <span className="file-actions">
        {entry.type === "file" && (
          <a className="icon-button" href={props.url} download aria-label={`Download ${name}`} title="Download">
            <DownloadIcon />
          </a>
        )}
        <button
          type="button"
          className="icon-button"
          aria-label={`Rename ${name}`}
          title="Rename"
          onClick={() => props.onAsk("rename")}
        >
          <EditIcon />
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label={`Delete ${name}`}
          title="Delete"
          onClick={() => props.onAsk("delete")}
        >
          <TrashIcon />
        </button>
      </span>
    </li>
  );
}
