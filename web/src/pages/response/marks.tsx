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
export function Mark({ group, x, y }: { group: Group; x: number; y: number }) {
  const common = { className: styles.mark, "data-group": group };
  switch (group) {
    case "injected":
      return <circle {...common} cx={x} cy={y} r={4} />;
    case "non-injected":
      return <rect {...common} x={x - 3.5} y={y - 3.5} width={7} height={7} />;
    case "new":
      return <path {...common} d={`M${x},${y - 5}L${x + 5},${y}L${x},${y + 5}L${x - 5},${y}Z`} />;
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
