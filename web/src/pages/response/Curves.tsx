import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { type Group, Mark } from "./marks";
import styles from "./Response.module.css";

export interface Line {
  name: string;
  group: Group;
  points: ReadonlyArray<{ day: number; value: number }>;
}

interface Props {
  label: string;
  lines: readonly Line[];
  /** Last day of the axis. */
  last: number;
  unit: "mm" | "%";
  fromZero?: boolean;
  injections: readonly number[];
}

const WIDTH = 620;
const HEIGHT = 250;
const LEFT = 46;
const BOTTOM = 26;
const RIGHT = 88;
const DAYS_PER_WEEK = 7;
const GAP_PX = 13;
/** With more lines, names would run out of the chart; pointing at a mark still tells its name. */
const NAMES_MOST = 14;

/** Lines over weeks since the baseline, named at their ends; injections as marks on top. */
export function Curves({ label, lines, last, unit, fromZero, injections }: Props) {
  const values = lines.flatMap((one) => one.points.map((point) => point.value));
  const x = scaleLinear().domain([0, last / DAYS_PER_WEEK]).range([LEFT, WIDTH - RIGHT]);
  const y = scaleLinear()
    .domain([fromZero ? 0 : Math.min(-20, ...values), Math.max(20, ...values)])
    .nice(5)
    .range([HEIGHT - BOTTOM, 16]);
  const draw = line<{ day: number; value: number }>()
    .x((point) => x(point.day / DAYS_PER_WEEK))
    .y((point) => y(point.value));
  const ends = place(lines, y);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className={styles.chart} role="img" aria-label={label}>
      {y.ticks(5).map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} className={tick === 0 ? styles.zero : styles.grid} />
          <text x={LEFT - 6} y={y(tick) + 4} textAnchor="end" className={styles.tick}>
            {unit === "%" && tick > 0 ? `+${tick}` : String(tick).replace("-", "−")}
          </text>
        </g>
      ))}
      {x.ticks(8).map((tick) => (
        <text key={tick} x={x(tick)} y={HEIGHT - 10} textAnchor="middle" className={styles.tick}>
          {tick}
        </text>
      ))}
      <text x={WIDTH - RIGHT + 8} y={HEIGHT - 10} className={styles.tick}>
        weeks
      </text>
      {injections.map((when) => (
        <g key={when}>
          <line x1={x(when / DAYS_PER_WEEK)} x2={x(when / DAYS_PER_WEEK)} y1={12} y2={HEIGHT - BOTTOM} className={styles.injected} />
          <Mark group="injection" x={x(when / DAYS_PER_WEEK)} y={10} />
        </g>
      ))}
      {lines.map((one) => (
        <g key={one.name}>
          <path d={draw([...one.points]) ?? ""} className={styles.curve} data-group={one.group} />
          {one.points.map((point) => (
            <g key={point.day}>
              <Mark group={one.group} x={x(point.day / DAYS_PER_WEEK)} y={y(point.value)} />
              <title>{`${one.name}, week ${(point.day / DAYS_PER_WEEK).toFixed(0)}: ${point.value.toFixed(1)} ${unit}`}</title>
            </g>
          ))}
          {one.points.length > 0 && lines.length <= NAMES_MOST ? (
            <text x={x((one.points.at(-1)?.day ?? 0) / DAYS_PER_WEEK) + 8} y={(ends.get(one.name) ?? 0) + 4} className={styles.name}>
              {one.name}
            </text>
          ) : null}
        </g>
      ))}
    </svg>
  );
}

/** Keep the names at the ends of lines apart. */
function place(lines: readonly Line[], y: (value: number) => number): Map<string, number> {
  const found = new Map<string, number>();
  let below = Number.NEGATIVE_INFINITY;
  const ended = lines.filter((one) => one.points.length > 0).map((one) => ({ name: one.name, at: y(one.points.at(-1)?.value ?? 0) }));
  for (const one of ended.sort((a, b) => a.at - b.at)) {
    below = Math.max(one.at, below + GAP_PX);
    found.set(one.name, below);
  }
  return found;
}
