import { scaleBand, scaleLinear } from "d3-scale";
import styles from "./Charts.module.css";

export interface WaterfallBar {
  subject: string;
  best: string;
  change_percent: number;
}

interface Props {
  label: string;
  group: string;
  bars: readonly WaterfallBar[];
}

const WIDTH = 640;
const HEIGHT = 270;
const LEFT = 46;
const RIGHT = 96;
const TOP = 18;
const BOTTOM = 12;
const MOST = 100;
/** RECIST 1.1: growth that is progression, and shrinkage that is a partial response. */
const LIMITS = [
  { at: 20, words: "+20 % (PD)" },
  { at: -30, words: "−30 % (PR)" },
] as const;
const NAMED_PX = 15;
const LETTERED_PX = 20;

/** Best change of the sum of targets, one bar a subject, the largest growth first. */
export function WaterfallChart({ label, group, bars }: Props) {
  const top = Math.min(MOST, Math.max(40, ...bars.map((bar) => bar.change_percent)));
  const x = scaleBand<number>()
    .domain(bars.map((_, place) => place))
    .range([LEFT, WIDTH - RIGHT])
    .paddingInner(0.12)
    .paddingOuter(0.3);
  const y = scaleLinear().domain([-100, top]).range([HEIGHT - BOTTOM, TOP]).nice(6);
  const width = Math.min(x.bandwidth(), 40);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className={styles.chart} role="img" aria-label={label}>
      {y.ticks(7).map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} className={tick === 0 ? styles.axis : styles.grid} />
          <text x={LEFT - 6} y={y(tick) + 4} textAnchor="end" className={styles.tick}>
            {tick > 0 ? `+${tick}` : String(tick).replace("-", "−")}
          </text>
        </g>
      ))}
      <text x={LEFT - 6} y={10} textAnchor="end" className={styles.tick}>
        %
      </text>
      {bars.map((bar, place) => {
        const shown = Math.min(bar.change_percent, top);
        const middle = (x(place) ?? 0) + x.bandwidth() / 2;
        const grows = shown >= 0;
        return (
          <g key={bar.subject}>
            <rect
              x={middle - width / 2}
              width={width}
              y={Math.min(y(0), y(shown))}
              height={Math.max(1, Math.abs(y(shown) - y(0)))}
              className={styles.bar}
              data-group={group}
            >
              <title>{`${bar.subject}: ${bar.change_percent.toFixed(1)} %, best response ${bar.best || "not assessed"}`}</title>
            </rect>
            {width >= NAMED_PX ? (
              <text x={middle} y={grows ? y(shown) - 4 : y(shown) + 12} textAnchor="middle" className={styles.name} fontSize={width >= LETTERED_PX ? undefined : 9}>
                {bar.best || "–"}
              </text>
            ) : null}
            {bar.change_percent > top ? (
              <text x={middle} y={TOP - 6} textAnchor="middle" className={styles.tick}>
                ↑
              </text>
            ) : null}
          </g>
        );
      })}
      {LIMITS.map(({ at, words }) => (
        <g key={at}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(at)} y2={y(at)} className={styles.limit} />
          <text x={WIDTH - RIGHT + 6} y={y(at) + 4} className={styles.tick}>
            {words}
          </text>
        </g>
      ))}
    </svg>
  );
}
