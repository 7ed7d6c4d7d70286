/** E2B's chart data, which comes out of a sandbox: read with care, or not at all. */

export interface Series {
  label: string;
  points: { x: number; y: number; xText: string; yText: string }[];
}

export interface Axis {
  label: string;
  kind: "linear" | "log" | "time" | "category";
  /** Of a category axis. */
  names: string[];
}

export interface PointChart {
  type: "line" | "scatter";
  title: string;
  x: Axis;
  y: Axis;
  series: Series[];
}

export interface BarChart {
  type: "bar";
  title: string;
  xLabel: string;
  yLabel: string;
  labels: string[];
  groups: { name: string; values: (number | null)[] }[];
}

export interface PieChart {
  type: "pie";
  title: string;
  slices: { label: string; value: number }[];
}

export interface BoxChart {
  type: "box";
  title: string;
  xLabel: string;
  yLabel: string;
  boxes: { label: string; min: number; q1: number; median: number; q3: number; max: number; outliers: number[] }[];
}

export interface SuperChart {
  type: "super";
  title: string;
  charts: ChartData[];
}

export type ChartData = PointChart | BarChart | PieChart | BoxChart | SuperChart;

const MOST_POINTS = 5000;
type Raw = Record<string, unknown>;

export function parseChart(json: string): ChartData | null {
  try {
    return chart(JSON.parse(json), 0);
  } catch {
    return null;
  }
}

function chart(raw: Raw, depth: number): ChartData | null {
  const title = text(raw.title);
  const elements = list(raw.elements);
  switch (raw.type) {
    case "line":
    case "scatter":
      return points(raw.type, title, raw, elements);
    case "bar":
      return bars(title, raw, elements);
    case "pie":
      return pie(title, elements);
    case "box_and_whisker":
      return boxes(title, raw, elements);
    case "superchart": {
      if (depth > 0) return null;
      const charts = elements.map((one) => chart(one, depth + 1)).filter((one) => one !== null);
      return charts.length ? { type: "super", title, charts } : null;
    }
    default:
      return null;
  }
}

function points(type: "line" | "scatter", title: string, raw: Raw, elements: Raw[]): ChartData | null {
  const x = axis(raw.x_label, raw.x_scale);
  const y = axis(raw.y_label, raw.y_scale);
  const series = elements.slice(0, 20).map((element, index) => {
    const all = Array.isArray(element.points) ? element.points : [];
    const step = Math.max(1, Math.ceil(all.length / MOST_POINTS));
    const kept = all.filter((_, at) => at % step === 0).map((point) => pair(point, x, y));
    return { label: nameOf(text(element.label), index), points: kept.filter((point) => point !== null) };
  });
  return series.some((one) => one.points.length) ? { type, title, x, y, series } : null;
}

/** matplotlib's own names for what has none begin with an underscore. */
function nameOf(label: string, index: number): string {
  return label && !label.startsWith("_") ? label : `Series ${index + 1}`;
}

function pair(point: unknown, x: Axis, y: Axis) {
  if (!Array.isArray(point) || point.length < 2) return null;
  const at = { x: coordinate(point[0], x), y: coordinate(point[1], y) };
  if (!Number.isFinite(at.x) || !Number.isFinite(at.y)) return null;
  return { ...at, xText: named(point[0], at.x, x), yText: named(point[1], at.y, y) };
}

function axis(label: unknown, scale: unknown): Axis {
  const kind =
    scale === "log" ? "log" : scale === "datetime" ? "time" : scale === "categorical" ? "category" : "linear";
  return { label: text(label), kind, names: [] };
}

function coordinate(value: unknown, axis: Axis): number {
  if (typeof value === "number" && axis.kind !== "category")
    return axis.kind === "log" && value <= 0 ? Number.NaN : value;
  if (typeof value === "string" && axis.kind === "time") return Date.parse(value);
  if (typeof value === "string" && axis.kind !== "category" && value.trim() && Number.isFinite(Number(value))) {
    return Number(value);
  }
  const name = text(value);
  axis.kind = "category";
  const known = axis.names.indexOf(name);
  return known >= 0 ? known : axis.names.push(name) - 1;
}

function named(value: unknown, at: number, axis: Axis): string {
  if (axis.kind === "category") return text(value);
  if (axis.kind === "time") return new Date(at).toISOString().replace("T", " ").slice(0, 16).replace(" 00:00", "");
  return number(at);
}

function bars(title: string, raw: Raw, elements: Raw[]): ChartData | null {
  const labels: string[] = [];
  const groups = new Map<string, Map<string, number>>();
  for (const element of elements.slice(0, 400)) {
    const label = text(element.label);
    const value = Number(element.value);
    if (!Number.isFinite(value)) continue;
    if (!labels.includes(label)) labels.push(label);
    const name = text(element.group);
    groups.set(name, (groups.get(name) ?? new Map()).set(label, value));
  }
  if (!labels.length) return null;
  return {
    type: "bar",
    title,
    xLabel: text(raw.x_label),
    yLabel: text(raw.y_label),
    labels,
    groups: [...groups].map(([name, of]) => ({ name, values: labels.map((label) => of.get(label) ?? null) })),
  };
}

function pie(title: string, elements: Raw[]): ChartData | null {
  const slices = elements
    .slice(0, 60)
    .map((element) => ({ label: text(element.label), value: Math.abs(Number(element.angle)) }))
    .filter((slice) => Number.isFinite(slice.value) && slice.value > 0);
  return slices.length ? { type: "pie", title, slices } : null;
}

function boxes(title: string, raw: Raw, elements: Raw[]): ChartData | null {
  const found = elements.slice(0, 60).map((element) => ({
    label: text(element.label),
    min: Number(element.min),
    q1: Number(element.first_quartile),
    median: Number(element.median),
    q3: Number(element.third_quartile),
    max: Number(element.max),
    outliers: (Array.isArray(element.outliers) ? element.outliers : [])
      .slice(0, 500)
      .map(Number)
      .filter(Number.isFinite),
  }));
  const whole = found.filter((box) => [box.min, box.q1, box.median, box.q3, box.max].every(Number.isFinite));
  return whole.length
    ? { type: "box", title, xLabel: text(raw.x_label), yLabel: text(raw.y_label), boxes: whole }
    : null;
}

function list(value: unknown): Raw[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "object" && item !== null) : [];
}

function text(value: unknown): string {
  return value === null || value === undefined ? "" : String(value).slice(0, 200);
}

export function number(value: number): string {
  if (value !== 0 && (Math.abs(value) >= 1e7 || Math.abs(value) < 1e-3)) return value.toExponential(2);
  return String(+value.toPrecision(6));
}
