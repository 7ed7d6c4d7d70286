import { type ReactNode, useId, useState } from "react";
import type { BarChart, BoxChart, ChartData, PieChart, PointChart } from "./chartData";
import { number } from "./chartData";
import { type Scale, scale } from "./scales";

const WIDTH = 520;
const HEIGHT = 310;
const LEFT = 60;
const RIGHT = 16;
const TOP = 16;
const BOTTOM = 48;

interface Hover {
  x: number;
  y: number;
  lines: string[];
}

/** A chart that answers to the pointer and to the keyboard. */
export function Chart({ chart }: { chart: ChartData }) {
  switch (chart.type) {
    case "line":
    case "scatter":
      return <Points chart={chart} />;
    case "bar":
      return <Bars chart={chart} />;
    case "pie":
      return <Pie chart={chart} />;
    case "box":
      return <Boxes chart={chart} />;
    case "super":
      return (
        <div className="charts">
          {chart.title && <div className="chart-title">{chart.title}</div>}
          {chart.charts.map((one, index) => (
            <Chart key={index} chart={one} />
          ))}
        </div>
      );
  }
}

function Frame(props: {
  title: string;
  summary: string;
  legend?: string[];
  hidden?: ReadonlySet<number>;
  onToggle?: (index: number) => void;
  hover: Hover | null;
  onLeave: () => void;
  onPoint?: (x: number, y: number) => void;
  onStep?: (by: number) => void;
  children: ReactNode;
}) {
  const id = useId();
  const at = props.hover;
  const keys: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1 };
  return (
    <div className="chart">
      {props.title && <div className="chart-title">{props.title}</div>}
      <div className="chart-area">
        {/* biome-ignore-start lint/a11y/noNoninteractiveTabindex: arrows go from point to point. */}
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          role="img"
          aria-labelledby={id}
          tabIndex={0}
          onPointerLeave={props.onLeave}
          onBlur={props.onLeave}
          onKeyDown={(event) => {
            const by = keys[event.key];
            if (by && props.onStep) {
              event.preventDefault();
              props.onStep(by);
            }
          }}
          onPointerMove={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            props.onPoint?.(
              ((event.clientX - box.left) / box.width) * WIDTH,
              ((event.clientY - box.top) / box.height) * HEIGHT,
            );
          }}
        >
          <title id={id}>{props.summary}</title>
          {props.children}
        </svg>
        {/* biome-ignore-end lint/a11y/noNoninteractiveTabindex: as above. */}
        {at && (
          <div
            className="chart-tip"
            role="status"
            style={{
              left: `${Math.min(86, Math.max(14, (at.x / WIDTH) * 100))}%`,
              top: `${(at.y / HEIGHT) * 100}%`,
            }}
          >
            {at.lines.map((line, index) => (
              <div key={index}>{line}</div>
            ))}
          </div>
        )}
      </div>
      {props.legend && props.legend.length > 1 && (
        <div className="chart-legend">
          {props.legend.map((name, index) => (
            <button
              type="button"
              key={index}
              aria-pressed={!props.hidden?.has(index)}
              onClick={() => props.onToggle?.(index)}
            >
              <i className={`swatch colour-${index % 8}`} />
              {name || "–"}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function Axes({ x, y, xLabel, yLabel }: { x: Scale; y: Scale; xLabel: string; yLabel: string }) {
  return (
    <g className="axes">
      {y.ticks.map((tick, index) => (
        <g key={index}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={tick.at} y2={tick.at} className="grid" />
          <text x={LEFT - 8} y={tick.at} dy="0.32em" textAnchor="end">
            {shorten(tick.label, 9)}
          </text>
        </g>
      ))}
      {x.ticks.map((tick, index) => (
        <text key={index} x={tick.at} y={HEIGHT - BOTTOM + 18} textAnchor="middle">
          {shorten(tick.label, 12)}
        </text>
      ))}
      <line x1={LEFT} x2={WIDTH - RIGHT} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} className="axis" />
      <text x={(LEFT + WIDTH - RIGHT) / 2} y={HEIGHT - 8} textAnchor="middle" className="axis-label">
        {xLabel}
      </text>
      <text
        transform={`translate(13 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`}
        textAnchor="middle"
        className="axis-label"
      >
        {yLabel}
      </text>
    </g>
  );
}

function useHidden(): [ReadonlySet<number>, (index: number) => void] {
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  return [hidden, (index) => setHidden((before) => before.symmetricDifference(new Set([index])))];
}

function Points({ chart }: { chart: PointChart }) {
  const [hidden, toggle] = useHidden();
  const [chosen, choose] = useState<number | null>(null);
  const shown = chart.series.filter((_, index) => !hidden.has(index));
  const all = (shown.length ? shown : chart.series).flatMap((series) => series.points);
  const [x0, x1] = extent(all.map((point) => point.x));
  const [y0, y1] = extent(all.map((point) => point.y));
  const pad = chart.y.kind === "linear" ? (y1 - y0) * 0.05 : 0;
  const x = scale(chart.x, x0, x1, LEFT + 6, WIDTH - RIGHT - 6, 6);
  const y = scale(chart.y, y0 - pad, y1 + pad, HEIGHT - BOTTOM, TOP, 6);
  const places = chart.series.flatMap((series, index) =>
    hidden.has(index)
      ? []
      : series.points.map((point) => ({ ...point, series, index, px: x.place(point.x), py: y.place(point.y) })),
  );
  const at = chosen === null ? undefined : places[chosen];
  const nearest = (px: number, py: number) => {
    let best: number | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const [index, place] of places.entries()) {
      const far = (place.px - px) ** 2 + (place.py - py) ** 2 * (chart.type === "line" ? 0.2 : 1);
      if (far < least) [best, least] = [index, far];
    }
    choose(least < 60 ** 2 ? best : null);
  };
  return (
    <Frame
      title={chart.title}
      summary={`${chart.title || "Chart"}: ${chart.series.map((series) => `${series.label}, ${series.points.length} points`).join("; ")}`}
      legend={chart.series.map((series) => series.label)}
      hidden={hidden}
      onToggle={toggle}
      hover={
        at
          ? {
              x: at.px,
              y: at.py,
              lines: [
                ...(chart.series.length > 1 ? [at.series.label] : []),
                `${chart.x.label || "x"}: ${at.xText}`,
                `${chart.y.label || "y"}: ${at.yText}`,
              ],
            }
          : null
      }
      onLeave={() => choose(null)}
      onPoint={nearest}
      onStep={(by) => choose(((chosen ?? (by > 0 ? -1 : 0)) + by + places.length) % places.length)}
    >
      <Axes x={x} y={y} xLabel={chart.x.label} yLabel={chart.y.label} />
      {chart.series.map((series, index) =>
        hidden.has(index) ? null : chart.type === "line" ? (
          <polyline
            key={index}
            className={`line colour-${index % 8}`}
            points={series.points.map((point) => `${round(x.place(point.x))},${round(y.place(point.y))}`).join(" ")}
          />
        ) : (
          <g key={index} className={`dots colour-${index % 8}`}>
            {series.points.map((point, at) => (
              <circle key={at} cx={round(x.place(point.x))} cy={round(y.place(point.y))} r={3} />
            ))}
          </g>
        ),
      )}
      {at && <circle className={`marker colour-${at.index % 8}`} cx={at.px} cy={at.py} r={5} />}
    </Frame>
  );
}

function Bars({ chart }: { chart: BarChart }) {
  const [hidden, toggle] = useHidden();
  const [chosen, choose] = useState<number | null>(null);
  const values = chart.groups.flatMap((group) => group.values).filter((value) => value !== null);
  const [low, high] = extent([0, ...values]);
  const y = scale({ kind: "linear", names: [] }, low, high * 1.02, HEIGHT - BOTTOM, TOP, 6);
  const x = scale({ kind: "category", names: chart.labels }, 0, 0, LEFT, WIDTH - RIGHT, 10);
  const step = (WIDTH - LEFT - RIGHT) / chart.labels.length;
  const shown = chart.groups.map((group, index) => ({ ...group, index })).filter((group) => !hidden.has(group.index));
  const width = Math.min(64, (step * 0.76) / Math.max(1, shown.length));
  const bars = shown.flatMap((group, slot) =>
    group.values.flatMap((value, label) => {
      if (value === null) return [];
      const left = x.place(label) + (slot - shown.length / 2) * width;
      return [{ group, value, label: chart.labels[label] ?? "", left, top: Math.min(y.place(value), y.place(0)) }];
    }),
  );
  const at = chosen === null ? undefined : bars[chosen];
  const over = (px: number) => {
    const found = bars.findIndex((bar) => px >= bar.left && px < bar.left + width);
    choose(found >= 0 ? found : null);
  };
  return (
    <Frame
      title={chart.title}
      summary={`${chart.title || "Bar chart"}: ${bars
        .slice(0, 30)
        .map((bar) => `${bar.label} ${number(bar.value)}`)
        .join(", ")}`}
      legend={chart.groups.map((group) => group.name)}
      hidden={hidden}
      onToggle={toggle}
      hover={
        at
          ? {
              x: at.left + width / 2,
              y: at.top,
              lines: [...(chart.groups.length > 1 ? [at.group.name] : []), `${at.label}: ${number(at.value)}`],
            }
          : null
      }
      onLeave={() => choose(null)}
      onPoint={over}
      onStep={(by) => choose(((chosen ?? (by > 0 ? -1 : 0)) + by + bars.length) % bars.length)}
    >
      <Axes x={x} y={y} xLabel={chart.xLabel} yLabel={chart.yLabel} />
      {bars.map((bar, index) => (
        <rect
          key={index}
          className={`bar colour-${bar.group.index % 8}`}
          data-on={index === chosen || undefined}
          x={round(bar.left + 1)}
          y={round(bar.top)}
          width={round(Math.max(1, width - 2))}
          height={round(Math.max(1, Math.abs(y.place(bar.value) - y.place(0))))}
          rx={2}
        />
      ))}
    </Frame>
  );
}

function Pie({ chart }: { chart: PieChart }) {
  const [chosen, choose] = useState<number | null>(null);
  const total = chart.slices.reduce((sum, slice) => sum + slice.value, 0);
  const [cx, cy, radius] = [WIDTH / 2, HEIGHT / 2, 132];
  let angle = -Math.PI / 2;
  const slices = chart.slices.map((slice) => {
    const from = angle;
    angle += (slice.value / total) * 2 * Math.PI;
    return { ...slice, from, to: angle, share: `${((slice.value / total) * 100).toFixed(1)} %` };
  });
  const at = chosen === null ? undefined : slices[chosen];
  const over = (px: number, py: number) => {
    if (Math.hypot(px - cx, py - cy) > radius) return choose(null);
    const turn = Math.atan2(py - cy, px - cx);
    const found = slices.findIndex((slice) =>
      [turn, turn + 2 * Math.PI].some((one) => one >= slice.from && one < slice.to),
    );
    choose(found >= 0 ? found : null);
  };
  const point = (turn: number, far: number) =>
    `${round(cx + Math.cos(turn) * far)} ${round(cy + Math.sin(turn) * far)}`;
  return (
    <Frame
      title={chart.title}
      summary={`${chart.title || "Pie chart"}: ${slices.map((slice) => `${slice.label} ${slice.share}`).join(", ")}`}
      legend={slices.map((slice) => `${slice.label} · ${slice.share}`)}
      onToggle={(index) => choose(index)}
      hover={
        at
          ? {
              x: cx + Math.cos((at.from + at.to) / 2) * radius * 0.7,
              y: cy + Math.sin((at.from + at.to) / 2) * radius * 0.7,
              lines: [`${at.label}: ${at.share}`],
            }
          : null
      }
      onLeave={() => choose(null)}
      onPoint={over}
      onStep={(by) => choose(((chosen ?? (by > 0 ? -1 : 0)) + by + slices.length) % slices.length)}
    >
      {slices.map((slice, index) =>
        slices.length === 1 ? (
          <circle key={index} className="slice colour-0" cx={cx} cy={cy} r={radius} />
        ) : (
          <path
            key={index}
            className={`slice colour-${index % 8}`}
            data-on={index === chosen || undefined}
            d={`M ${cx} ${cy} L ${point(slice.from, radius)} A ${radius} ${radius} 0 ${slice.to - slice.from > Math.PI ? 1 : 0} 1 ${point(slice.to, radius)} Z`}
          />
        ),
      )}
    </Frame>
  );
}

function Boxes({ chart }: { chart: BoxChart }) {
  const [chosen, choose] = useState<number | null>(null);
  const [low, high] = extent(chart.boxes.flatMap((box) => [box.min, box.max, ...box.outliers]));
  const pad = (high - low) * 0.06;
  const y = scale({ kind: "linear", names: [] }, low - pad, high + pad, HEIGHT - BOTTOM, TOP, 6);
  const x = scale({ kind: "category", names: chart.boxes.map((box) => box.label) }, 0, 0, LEFT, WIDTH - RIGHT, 12);
  const step = (WIDTH - LEFT - RIGHT) / chart.boxes.length;
  const width = Math.min(70, step * 0.5);
  const at = chosen === null ? undefined : chart.boxes[chosen];
  return (
    <Frame
      title={chart.title}
      summary={`${chart.title || "Box plot"}: ${chart.boxes.map((box) => `${box.label} median ${number(box.median)}`).join(", ")}`}
      hover={
        at && chosen !== null
          ? {
              x: x.place(chosen),
              y: y.place(at.q3),
              lines: [
                at.label,
                `max ${number(at.max)}`,
                `75 % ${number(at.q3)}`,
                `median ${number(at.median)}`,
                `25 % ${number(at.q1)}`,
                `min ${number(at.min)}`,
              ],
            }
          : null
      }
      onLeave={() => choose(null)}
      onPoint={(px) => {
        const found = Math.floor((px - LEFT) / step);
        choose(found >= 0 && found < chart.boxes.length ? found : null);
      }}
      onStep={(by) => choose(((chosen ?? (by > 0 ? -1 : 0)) + by + chart.boxes.length) % chart.boxes.length)}
    >
      <Axes x={x} y={y} xLabel={chart.xLabel} yLabel={chart.yLabel} />
      {chart.boxes.map((box, index) => {
        const middle = x.place(index);
        return (
          <g key={index} className={`box colour-${index % 8}`} data-on={index === chosen || undefined}>
            <line x1={middle} x2={middle} y1={y.place(box.min)} y2={y.place(box.q1)} />
            <line x1={middle} x2={middle} y1={y.place(box.q3)} y2={y.place(box.max)} />
            {[box.min, box.max].map((value, end) => (
              <line key={end} x1={middle - width / 4} x2={middle + width / 4} y1={y.place(value)} y2={y.place(value)} />
            ))}
            <rect
              x={middle - width / 2}
              width={width}
              y={y.place(box.q3)}
              height={Math.max(1, y.place(box.q1) - y.place(box.q3))}
              rx={2}
            />
            <line
              className="median"
              x1={middle - width / 2}
              x2={middle + width / 2}
              y1={y.place(box.median)}
              y2={y.place(box.median)}
            />
            {box.outliers.map((value, outlier) => (
              <circle key={outlier} cx={middle} cy={y.place(value)} r={2.5} />
            ))}
          </g>
        );
      })}
    </Frame>
  );
}

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return low <= high ? [low, high] : [0, 1];
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
