import { scaleLinear } from "d3-scale";
import type { components } from "../../api/schema";
import { type Group, Mark } from "./marks";
import styles from "./Response.module.css";

type Answer = components["schemas"]["ResponseAnswer"];

const WIDTH = 1260;
const LEFT = 110;
const LANE = 24;
const TOP = 26;
const DAYS_PER_WEEK = 7;

/** One lane for each lesion as long as it was looked at, its injections on it, and the answers below. */
export function Lanes({ found, last }: { found: Answer; last: number }) {
  const x = scaleLinear().domain([0, last / DAYS_PER_WEEK]).range([LEFT, WIDTH - 20]);
  const at = (when: number) => x(when / DAYS_PER_WEEK);
  const largest = Math.max(1, ...found.lesions.flatMap((one) => one.points.map((point) => (typeof point.size_mm === "number" ? point.size_mm : 0))));
  const height = TOP + (found.lesions.length + 1) * LANE + 6;
  const overall = found.responses.filter((one) => one.overall && (one.group === "" || one.group === "ALL"));
  const answers = overall.length > 0 ? overall : found.responses.filter((one) => one.overall);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${height}`} className={styles.chart} role="img" aria-label="Lesions, injections and responses over time; the tables below have the numbers">
      {x.ticks(12).map((tick) => (
        <g key={tick}>
          <line x1={x(tick)} x2={x(tick)} y1={TOP - 6} y2={height} className={styles.grid} />
          <text x={x(tick)} y={12} textAnchor="middle" className={styles.tick}>
            {tick === 0 ? "week 0" : tick}
          </text>
        </g>
      ))}
      {found.lesions.map((lesion, place) => {
        const y = TOP + place * LANE + LANE / 2;
        const sized = lesion.points.filter((one) => typeof one.size_mm === "number");
        const first = sized[0]?.day ?? 0;
        const end = sized.at(-1)?.day ?? first;
        return (
          <g key={lesion.label}>
            <text x={0} y={y + 4} className={styles.lane}>
              {`${lesion.label}${lesion.segment ? `, ${lesion.segment}` : ""}`}
            </text>
            <line x1={at(first)} x2={at(end)} y1={y} y2={y} className={styles.bar} data-group={lesion.group} />
            {sized.map((one) => {
              const size = typeof one.size_mm === "number" ? one.size_mm : 0;
              return size === 0 ? (
                <text key={one.day} x={at(one.day)} y={y + 4} textAnchor="middle" className={styles.gone}>
                  gone
                </text>
              ) : (
                <circle key={one.day} cx={at(one.day)} cy={y} r={2 + 8 * (size / largest)} className={styles.size} data-group={lesion.group}>
                  <title>{`${lesion.label}, week ${(one.day / DAYS_PER_WEEK).toFixed(0)}: ${size.toFixed(1)} mm`}</title>
                </circle>
              );
            })}
            {lesion.injection_days.map((when) => (
              <Mark key={when} group={"injection" as Group} x={at(when)} y={y - 8} />
            ))}
          </g>
        );
      })}
      <text x={0} y={TOP + found.lesions.length * LANE + LANE / 2 + 4} className={styles.lane}>
        Response
      </text>
      {answers.map((one) => (
        <text key={`${one.day} ${one.group}`} x={at(one.day)} y={TOP + found.lesions.length * LANE + LANE / 2 + 4} textAnchor="middle" className={styles.answer}>
          {one.overall}
        </text>
      ))}
    </svg>
  );
}
