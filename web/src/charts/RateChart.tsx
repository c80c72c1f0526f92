import { scaleLinear } from "d3-scale";
import styles from "./Charts.module.css";

export interface Rate {
  group: string;
  title: string;
  /** ``4 of 22``. */
  count: string;
  estimate: number;
  lower: number;
  upper: number;
}

const WIDTH = 640;
const LEFT = 226;
const RIGHT = 128;
const ROW = 34;
const TOP = 6;

/** Proportions with their exact limits below each other on one axis. */
export function RateChart({ label, rates }: { label: string; rates: readonly Rate[] }) {
  const x = scaleLinear().domain([0, 1]).range([LEFT, WIDTH - RIGHT]);
  const bottom = TOP + ROW * rates.length;
  return (
    <svg viewBox={`0 0 ${WIDTH} ${bottom + 30}`} className={styles.chart} role="img" aria-label={label}>
      {[0, 0.2, 0.4, 0.6, 0.8, 1].map((tick) => (
        <g key={tick}>
          <line x1={x(tick)} x2={x(tick)} y1={TOP} y2={bottom} className={tick === 0 ? styles.axis : styles.grid} />
          <text x={x(tick)} y={bottom + 16} textAnchor="middle" className={styles.tick}>
            {Math.round(tick * 100)}
            {tick === 1 ? " %" : ""}
          </text>
        </g>
      ))}
      {rates.map((rate, place) => {
        const at = TOP + ROW * (place + 0.5);
        return (
          <g key={rate.group}>
            <text x={LEFT - 10} y={at + 4} textAnchor="end" className={rate.group ? styles.name : styles.strong}>
              {rate.title}
            </text>
            <line x1={x(rate.lower)} x2={x(rate.upper)} y1={at} y2={at} className={styles.whisker} />
            {[rate.lower, rate.upper].map((end) => (
              <line key={end} x1={x(end)} x2={x(end)} y1={at - 4} y2={at + 4} className={styles.whisker} />
            ))}
            {rate.group === "INJECTED" || rate.group === "" ? (
              <circle cx={x(rate.estimate)} cy={at} r={5} className={styles.point} data-group={rate.group} />
            ) : (
              <rect x={x(rate.estimate) - 4.5} y={at - 4.5} width={9} height={9} className={styles.point} data-group={rate.group} />
            )}
            <text x={WIDTH - RIGHT + 10} y={at - 2} className={styles.strong}>
              {rate.count}
            </text>
            <text x={WIDTH - RIGHT + 10} y={at + 11} className={styles.tick}>
              {`${(rate.estimate * 100).toFixed(0)} % (${(rate.lower * 100).toFixed(0)} to ${(rate.upper * 100).toFixed(0)})`}
            </text>
          </g>
        );
      })}
    </svg>
  );
}
