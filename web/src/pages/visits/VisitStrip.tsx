import { scaleTime } from "d3-scale";
import type { components } from "../../api/schema";
import { day } from "../../ui/numbers";
import styles from "./Visits.module.css";

type Row = components["schemas"]["VisitRow"];

const WIDTH = 1200;
const LEFT = 84;
const LANE = 26;
const TOP = 22;
const LETTERS: Record<string, string> = { done: "done", missed: "missed", due: "due", overdue: "overdue", planned: "planned", "out of window": "late" };

/** One lane for each series of visits; windows as bars, visits as marks. The table below says the same in words. */
export function VisitStrip({ rows, asOf }: { rows: readonly Row[]; asOf: string }) {
  const dated = rows.filter((row) => (row.on || row.booked || row.due_first || "").length === 10);
  if (dated.length === 0) return <p className={styles.quiet}>No visit has a day yet.</p>;
  const at = (row: Row) => new Date(row.on || row.booked || row.due_first || asOf);
  const days = [...dated.map(at), new Date(asOf)].sort((one, other) => one.getTime() - other.getTime());
  const x = scaleTime()
    .domain([days[0] ?? new Date(asOf), days.at(-1) ?? new Date(asOf)])
    .range([LEFT + 12, WIDTH - 16]);
  const names = [...new Set(dated.map((row) => row.name))];
  const height = TOP + names.length * LANE + 8;
  return (
    <svg className={styles.strip} viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={`Visits of ${names.join(", ")} over time; the table below lists them`}>
      {x.ticks(9).map((tick) => (
        <g key={tick.getTime()}>
          <line x1={x(tick)} x2={x(tick)} y1={TOP - 4} y2={height} className={styles.grid} />
          <text x={x(tick)} y={12} textAnchor="middle" className={styles.tick}>
            {tick.toLocaleDateString("en-GB", { month: "short", year: "numeric", timeZone: "UTC" })}
          </text>
        </g>
      ))}
      {names.map((name, lane) => {
        const y = TOP + lane * LANE + LANE / 2;
        return (
          <g key={name}>
            <text x={0} y={y + 4} className={styles.lane}>
              {name}
            </text>
            <line x1={LEFT} x2={WIDTH} y1={y} y2={y} className={styles.line} />
            {dated
              .filter((row) => row.name === name)
              .map((row) => (
                <g key={`${row.number} ${row.item_id}`}>
                  {row.opens && row.closes ? (
                    <rect x={x(new Date(row.opens))} width={Math.max(2, x(new Date(row.closes)) - x(new Date(row.opens)))} y={y - 3} height={6} className={styles.window} />
                  ) : null}
                  <Mark state={row.state} x={x(at(row))} y={y} />
                  <title>{`${row.name} ${row.number ?? ""}, ${LETTERS[row.state] ?? row.state}, ${day(row.on || row.booked || row.due_first)}`}</title>
                </g>
              ))}
          </g>
        );
      })}
      <line x1={x(new Date(asOf))} x2={x(new Date(asOf))} y1={TOP - 6} y2={height} className={styles.today} />
    </svg>
  );
}

/** A shape for each state, so that no state is told by colour alone. */
function Mark({ state, x, y }: { state: string; x: number; y: number }) {
  switch (state) {
    case "done":
      return <circle cx={x} cy={y} r={5} className={styles.done} />;
    case "out of window":
      return <circle cx={x} cy={y} r={5} className={styles.late} />;
    case "missed":
      return <path d={`M${x - 5},${y - 5}L${x + 5},${y + 5}M${x - 5},${y + 5}L${x + 5},${y - 5}`} className={styles.missed} />;
    case "overdue":
      return <path d={`M${x},${y - 7}L${x + 7},${y + 6}H${x - 7}Z`} className={styles.overdue} />;
    case "due":
      return <path d={`M${x},${y - 6}L${x + 6},${y}L${x},${y + 6}L${x - 6},${y}Z`} className={styles.due} />;
    default:
      return <circle cx={x} cy={y} r={4.5} className={styles.planned} />;
  }
}
