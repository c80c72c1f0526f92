import styles from "./Response.module.css";

export type Group = "injected" | "non-injected" | "new" | "all" | "injection";

const WORDS: Record<Group, string> = {
  injected: "injected",
  "non-injected": "non-injected",
  new: "new",
  all: "all targets",
  injection: "injection",
};

/** One shape for each group: circle, square, diamond; no group is told by its colour alone. */
export function Mark({ group, x, y, scale = 1 }: { group: Group; x: number; y: number; scale?: number }) {
  const common = { className: styles.mark, "data-group": group };
  const d = 5 * scale;
  switch (group) {
    case "injected":
      return <circle {...common} cx={x} cy={y} r={4 * scale} />;
    case "non-injected":
      return <rect {...common} x={x - 3.5 * scale} y={y - 3.5 * scale} width={7 * scale} height={7 * scale} />;
    case "new":
      return <path {...common} d={`M${x},${y - d}L${x + d},${y}L${x},${y + d}L${x - d},${y}Z`} />;
    case "injection":
      return <path {...common} d={`M${x - 4.5},${y - 6}H${x + 4.5}L${x},${y + 3}Z`} />;
    default:
      return <circle {...common} cx={x} cy={y} r={2.5} />;
  }
}

/** What the shapes stand for. */
export function Legend({ groups }: { groups: readonly Group[] }) {
  return (
    <ul className={styles.legend}>
      {groups.map((group) => (
        <li key={group}>
          <svg width={26} height={14} aria-hidden="true">
            {group === "injection" ? null : <line x1={0} x2={26} y1={7} y2={7} className={styles.curve} data-group={group} />}
            <Mark group={group} x={13} y={7} />
          </svg>
          {WORDS[group]}
        </li>
      ))}
    </ul>
  );
}
