import { scaleLinear } from "d3-scale";
import { area, curveStepAfter, line } from "d3-shape";
import styles from "./Charts.module.css";

export interface SurvivalStep {
  month: number;
  n_censor: number;
  survival: number;
  lower: number | null;
  upper: number | null;
}

export interface SurvivalLine {
  /** Empty for all. */
  name: string;
  steps: readonly SurvivalStep[];
  /** At the same months for all lines of a chart, the last of them beyond every step. */
  atRisk: ReadonlyArray<{ month: number; n: number }>;
  median: number | null;
}

interface Props {
  label: string;
  lines: readonly SurvivalLine[];
  /** The band is drawn for a single line only: several would hide each other. */
  band: boolean;
}

const WIDTH = 640;
const LEFT = 84;
const RIGHT = 16;
const TOP = 12;
const PLOT = 236;
const ROW = 16;
const CENSOR_PX = 5;
const START = { month: 0, n_censor: 0, survival: 1, lower: 1, upper: 1 };

/** Kaplan-Meier: steps, censor marks, confidence band, median, and numbers at risk below the same axis. */
export function SurvivalChart({ label, lines, band }: Props) {
  const marks = lines[0]?.atRisk ?? [];
  const last = Math.max(1, marks.at(-1)?.month ?? 1);
  const x = scaleLinear().domain([0, last]).range([LEFT, WIDTH - RIGHT]);
  const y = scaleLinear().domain([0, 1]).range([TOP + PLOT, TOP]);
  const draw = line<SurvivalStep>()
    .curve(curveStepAfter)
    .x((step) => x(step.month))
    .y((step) => y(step.survival));
  const fill = area<SurvivalStep>()
    .curve(curveStepAfter)
    .defined((step) => step.lower !== null && step.upper !== null)
    .x((step) => x(step.month))
    .y0((step) => y(step.lower ?? 0))
    .y1((step) => y(step.upper ?? 1));
  const below = TOP + PLOT + 34;
  const height = below + 18 + ROW * lines.length + 4;
  return (
    <svg viewBox={`0 0 ${WIDTH} ${height}`} className={styles.chart} role="img" aria-label={label}>
      {[0, 0.25, 0.5, 0.75, 1].map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} className={tick === 0 ? styles.axis : styles.grid} />
          <text x={LEFT - 8} y={y(tick) + 4} textAnchor="end" className={styles.tick}>
            {tick * 100}
          </text>
        </g>
      ))}
      <text x={LEFT - 44} y={TOP + PLOT / 2} textAnchor="middle" className={styles.tick} transform={`rotate(-90 ${LEFT - 44} ${TOP + PLOT / 2})`}>
        event-free, %
      </text>
      {marks.map(({ month }) => (
        <g key={month}>
          <line x1={x(month)} x2={x(month)} y1={TOP + PLOT} y2={TOP + PLOT + 4} className={styles.axis} />
          <text x={x(month)} y={TOP + PLOT + 17} textAnchor="middle" className={styles.tick}>
            {month}
          </text>
        </g>
      ))}
      <text x={WIDTH - RIGHT} y={TOP + PLOT + 30} textAnchor="end" className={styles.tick}>
        months
      </text>
      {band && lines.length === 1 && lines[0] ? <path d={fill([START, ...lines[0].steps]) ?? ""} className={styles.band} /> : null}
      {lines.length === 1 && lines[0]?.median ? (
        <path d={`M${LEFT},${y(0.5)}H${x(lines[0].median)}V${y(0)}`} fill="none" className={styles.limit} />
      ) : null}
      {lines.map((one, arm) => (
        <g key={one.name}>
          <path d={draw([START, ...one.steps]) ?? ""} className={styles.curve} data-arm={arm} />
          {one.steps
            .filter((step) => step.n_censor > 0)
            .map((step) => (
              <line
                key={step.month}
                x1={x(step.month)}
                x2={x(step.month)}
                y1={y(step.survival) - CENSOR_PX}
                y2={y(step.survival) + CENSOR_PX}
                className={styles.tickMark}
                data-arm={arm}
              >
                <title>{`${step.n_censor} censored at ${step.month.toFixed(1)} months`}</title>
              </line>
            ))}
        </g>
      ))}
      <text x={6} y={below + 8} className={styles.strong}>
        At risk
      </text>
      {lines.map((one, arm) => (
        <g key={one.name}>
          {one.name ? (
            <>
              <line x1={6} x2={24} y1={below + 18 + ROW * arm + 4} y2={below + 18 + ROW * arm + 4} className={styles.curve} data-arm={arm} />
              <text x={28} y={below + 18 + ROW * arm + 8} className={styles.tick}>
                {one.name.slice(0, 9)}
              </text>
            </>
          ) : null}
          {one.atRisk.map(({ month, n }) => (
            <text key={month} x={x(month)} y={one.name ? below + 18 + ROW * arm + 8 : below + 8} textAnchor="middle" className={styles.name}>
              {n}
            </text>
          ))}
        </g>
      ))}
    </svg>
  );
}
