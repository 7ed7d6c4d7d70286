import { type Axis, number } from "./chartData";

export interface Tick {
  at: number;
  label: string;
}

export interface Scale {
  ticks: Tick[];
  /** From a value to a place in the given range. */
  place: (value: number) => number;
}

export function scale(
  axis: Pick<Axis, "kind" | "names">,
  low: number,
  high: number,
  from: number,
  to: number,
  most: number,
): Scale {
  if (axis.kind === "category") return categories(axis.names, from, to, most);
  const log = axis.kind === "log";
  let [first, last] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  if (first === last) [first, last] = [first - (Math.abs(first) || 1) / 2, last + (Math.abs(last) || 1) / 2];
  const place = (value: number) => from + (((log ? Math.log10(value) : value) - first) / (last - first)) * (to - from);
  const values = log
    ? decades(first, last, most)
    : axis.kind === "time"
      ? times(first, last, most)
      : steps(first, last, most);
  const label = axis.kind === "time" ? date(last - first) : number;
  return { ticks: values.map((value) => ({ at: place(value), label: label(value) })), place };
}

function categories(names: readonly string[], from: number, to: number, most: number): Scale {
  const width = (to - from) / Math.max(1, names.length);
  const place = (index: number) => from + width * (index + 0.5);
  const every = Math.ceil(names.length / most);
  const ticks = names
    .map((name, index) => ({ at: place(index), label: name }))
    .filter((_, index) => index % every === 0);
  return { ticks, place };
}

export function steps(low: number, high: number, most: number): number[] {
  const raw = (high - low) / Math.max(1, most);
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= raw) ?? 10);
  const found = [];
  for (let value = Math.ceil(low / step); value * step <= high + step * 1e-9; value++)
    found.push(+(value * step).toPrecision(12));
  return found;
}

function decades(low: number, high: number, most: number): number[] {
  const whole = steps(low, high, most).filter(Number.isInteger);
  return (whole.length > 1 ? whole : steps(low, high, most)).map((exponent) => 10 ** exponent);
}

const DAY = 86_400_000;

function times(low: number, high: number, most: number): number[] {
  const unit = (high - low) / most;
  const nice = [1000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 43_200_000, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const step = nice.find((one) => one >= unit);
  const found = [];
  if (step) {
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  }
  const months = [1, 2, 3, 6, 12, 24, 60, 120, 240].find((one) => one * 30.4 * DAY >= unit) ?? 600;
  const start = new Date(low);
  for (
    let month = Math.ceil((start.getUTCFullYear() * 12 + start.getUTCMonth()) / months) * months;
    ;
    month += months
  ) {
    const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (at > high) return found;
    if (at >= low) found.push(at);
  }
}

function date(range: number): (value: number) => string {
  const options: Intl.DateTimeFormatOptions =
    range < 2 * DAY
      ? { hour: "2-digit", minute: "2-digit" }
      : range < 120 * DAY
        ? { day: "numeric", month: "short" }
        : { month: "short", year: "numeric" };
  const format = new Intl.DateTimeFormat("en", { ...options, timeZone: "UTC" });
  return (value) => format.format(value);
}
