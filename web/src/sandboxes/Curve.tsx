const WIDTH = 120;
const HEIGHT = 34;

/** A small curve from the left to now. */
export function Curve(props: { name: string; values: readonly number[]; most: number; label: string }) {
  const { values, name, label } = props;
  // Against the limit nearly all would be a line at the bottom.
  const most = Math.max(props.most / 5, 1.25 * Math.max(0, ...values), 1);
  const step = WIDTH / Math.max(1, values.length - 1, 29);
  const x = (index: number) => WIDTH - (values.length - 1 - index) * step;
  const y = (value: number) => HEIGHT - 2 - (value / most) * (HEIGHT - 4);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  const first = x(0).toFixed(1);
  return (
    <div className="curve">
      <div className="curve-label">
        <span className="quiet">{name}</span> {label}
      </div>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${name}: ${label}`}>
        <line x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} className="axis" />
        {points.length > 0 && (
          <>
            <polygon points={`${first},${HEIGHT - 1} ${points.join(" ")} ${WIDTH},${HEIGHT - 1}`} />
            <polyline
              points={points.length > 1 ? points.join(" ") : `${WIDTH - 2},${points[0]?.split(",")[1]} ${points[0]}`}
            />
          </>
        )}
      </svg>
    </div>
  );
}
