import { lazy, Suspense, useMemo, useState } from "react";
import type { Artifact } from "../api/types";
import { DownloadIcon } from "../ui/icons";
import { Chart } from "./Chart";
import { parseChart } from "./chartData";
import { type Group, groups } from "./groups";
import { HtmlFrame } from "./HtmlFrame";
import { Markdown } from "./Markdown";
import { size } from "./Output";
import { Table } from "./Table";

const Latex = lazy(() => import("./Latex"));

const LABELS: Record<Artifact["kind"], string> = {
  png: "Image",
  jpeg: "Image",
  svg: "Vector",
  chart: "Interactive",
  dataframe: "Table",
  html: "HTML",
  markdown: "Markdown",
  latex: "Formula",
  json: "JSON",
  pdf: "PDF",
  javascript: "JavaScript",
  text: "Text",
};

interface Props {
  artifacts: readonly Artifact[];
  /** Where a large artifact, which stays in the sandbox, is downloaded. */
  fileUrl: (path: string) => string;
}

export function Results({ artifacts, fileUrl }: Props) {
  const found = useMemo(() => groups(artifacts), [artifacts]);
  return found.map((group) => <Result key={group.key} group={group} fileUrl={fileUrl} />);
}

function Result({ group, fileUrl }: { group: Group; fileUrl: Props["fileUrl"] }) {
  const [chosen, setChosen] = useState(0);
  const shown = group.views[Math.min(chosen, group.views.length - 1)];
  if (!shown) return null;
  return (
    <figure className="result" data-kind={shown.kind}>
      <div className="result-view">
        <View artifact={shown} fileUrl={fileUrl} />
      </div>
      <figcaption className="result-bar">
        {group.views.length > 1 &&
          group.views.map((view, index) => (
            <button
              type="button"
              key={view.name}
              className="chip"
              aria-pressed={view === shown}
              onClick={() => setChosen(index)}
            >
              {LABELS[view.kind]}
            </button>
          ))}
        <Save artifact={shown} fileUrl={fileUrl} />
      </figcaption>
    </figure>
  );
}

function View({ artifact, fileUrl }: { artifact: Artifact; fileUrl: Props["fileUrl"] }) {
  const { kind, data } = artifact;
  const chart = useMemo(() => (kind === "chart" && data ? parseChart(data) : null), [kind, data]);
  if (data === null) {
    return (
      <p className="quiet">
        {LABELS[kind]} of {size(artifact.size)}: too large to show here.{" "}
        {artifact.path && (
          <a href={fileUrl(artifact.path)} download>
            Download it
          </a>
        )}
      </p>
    );
  }
  switch (kind) {
    case "png":
    case "jpeg":
      return <img className="result-image" src={`data:${artifact.mime_type};base64,${data}`} alt="Result" />;
    case "svg":
      // As an image, an SVG runs no script and loads nothing.
      return (
        <img
          className="result-image"
          src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(data)}`}
          alt="Result"
        />
      );
    case "chart":
      return chart ? <Chart chart={chart} /> : <p className="quiet">This kind of chart has no interactive view.</p>;
    case "dataframe":
      return <Table json={data} />;
    case "html":
      return <HtmlFrame html={data} />;
    case "markdown":
      return <Markdown text={data} />;
    case "latex":
      return (
        <Suspense fallback={<p className="quiet">…</p>}>
          <Latex text={data} />
        </Suspense>
      );
    case "json":
      return <pre className="text">{pretty(data)}</pre>;
    case "pdf":
      return <p className="quiet">A PDF of {size(artifact.size)}.</p>;
    default:
      return <pre className="text">{data.slice(0, 100_000)}</pre>;
  }
}

const ENDINGS: Record<string, string> = {
  chart: "json",
  dataframe: "json",
  markdown: "md",
  latex: "tex",
  javascript: "js",
};

function Save({ artifact, fileUrl }: { artifact: Artifact; fileUrl: Props["fileUrl"] }) {
  const name = `${artifact.name}.${ENDINGS[artifact.kind] ?? artifact.kind}`;
  const save = () => {
    if (artifact.data !== null) saveAs(blobOf(artifact, artifact.data), name);
  };
  if (artifact.path) {
    return (
      <a
        className="icon-button push"
        href={fileUrl(artifact.path)}
        download
        aria-label={`Download ${name}`}
        title="Download"
      >
        <DownloadIcon />
      </a>
    );
  }
  return (
    <button type="button" className="icon-button push" onClick={save} aria-label={`Download ${name}`} title="Download">
      <DownloadIcon />
    </button>
  );
}

const BASE64 = new Set<Artifact["kind"]>(["png", "jpeg", "pdf"]);

function blobOf(artifact: Artifact, data: string): Blob {
  // Never the type that a browser would open on this origin.
  const type = "application/octet-stream";
  if (!BASE64.has(artifact.kind)) return new Blob([data], { type });
  return new Blob([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))], { type });
}

export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2).slice(0, 100_000);
  } catch {
    return json.slice(0, 100_000);
  }
}
