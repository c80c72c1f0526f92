/** Everything measured along one path: of the plan, or of the path that was dragged. */
import { Badge } from "../../ui/Badge";
import { Facts } from "../../ui/Facts";
import { Table } from "../../ui/Table";
import { type Answer, percent, quantity } from "../../ui/numbers";
import { FindingList } from "./FindingList";
import styles from "./PlanPage.module.css";
import type { Chance, Clearance, Finding, Puncture } from "./model";

const TISSUES: Record<string, string> = {
  fat: "#d9c98a",
  "muscle or other soft tissue": "#a8736b",
  unlabelled: "#77808a",
  liver: "#b5715f",
  vessel: "#4f6fa8",
  "target lesion": "var(--injected)",
  "other lesion": "var(--non-injected)",
  lung: "#c9b7c6",
  bone: "#e9e2d0",
  "forbidden structure": "#ff9d94",
  gas: "#3a454f",
  "outside the body": "#1c232a",
};

const UNJUDGED = "n/e:";

function toNumber(clearance: Clearance): number {
  return typeof clearance.clearance_mm === "number" ? clearance.clearance_mm - clearance.margin_mm : Number.POSITIVE_INFINITY;
}

function toWords(name: string): string {
  return name.replaceAll("_", " ");
}

export function PathPanel({ puncture, findings, undelivered, unverified }: { puncture: Puncture; findings: Finding[]; undelivered: number | null; unverified: boolean }) {
  const clearances = [...puncture.clearances].sort((one, other) => toNumber(one) - toNumber(other));
  return (
    <div className={styles.stack} data-numbers={puncture.id}>
      <dl className={styles.large}>
        <Large name="Length" value={quantity(puncture.length_mm, "mm")} field="length_mm" />
        <Large name="In plane" value={quantity(puncture.in_plane_angle_deg, "°")} field="in_plane_angle_deg" />
        <Large name="Head–foot" value={quantity(puncture.craniocaudal_angle_deg, "°")} field="craniocaudal_angle_deg" />
        <Large name="To capsule" value={quantity(puncture.capsule_angle_deg, "°")} field="capsule_angle_deg" />
      </dl>
      <Unjudged rows={[["In plane", puncture.in_plane_angle_deg], ["To capsule", puncture.capsule_angle_deg]]} />
      <Runs puncture={puncture} />
      <Facts
        rows={[
          ["Liver before lesion", <span key="l" data-field="liver_before_lesion_mm">{quantity(puncture.liver_before_lesion_mm, "mm")}</span>],
          ["Needle", `${puncture.needle.name}`],
          ...(undelivered !== null && undelivered > 0.001 ? ([["No place for", quantity(undelivered, "mL")]] as const) : []),
        ]}
      />
      {puncture.risk ? (
        <section>
          <h3>
            Probabilities {puncture.risk.lower_bound ? <Badge tone="caution">lower bound</Badge> : null}{" "}
            {puncture.risk.unverified || unverified ? <Badge tone="quiet">unverified</Badge> : null}
          </h3>
          <Facts
            rows={[
              ["Tip in target", <ChanceText key="t" field="p_tip_in_target" chance={puncture.risk.p_tip_in_target} />],
              ["Something touched", <ChanceText key="a" field="p_any_touched" chance={puncture.risk.p_any_touched} />],
              ["Within a margin", <ChanceText key="m" field="p_any_within_margin" chance={puncture.risk.p_any_within_margin} />],
              ...(puncture.risk.expected_ml_in_target.planned_ml > 0
                ? ([["Expected in target", `${quantity(puncture.risk.expected_ml_in_target.mean_ml, "mL")} of ${quantity(puncture.risk.expected_ml_in_target.planned_ml, "mL")}`]] as const)
                : []),
            ]}
          />
        </section>
      ) : (
        <p className={styles.quiet}>Probabilities are simulated when the path is moved or asked for.</p>
      )}
      <section>
        <h3>Clearances</h3>
        <Table
          caption="Clearance of the needle to each structure, nearest to its margin first"
          rows={clearances}
          rowKey={(row) => row.structure}
          columns={[
            { name: "structure", title: "Structure", cell: (row) => `${toWords(row.structure)}${row.derived ? " ᵈ" : ""}` },
            {
              name: "clearance",
              title: "Clear",
              number: true,
              cell: (row) => (
                <span className={toNumber(row) < 0 ? styles.broken : undefined} data-clearance={row.structure}>
                  {quantity(row.clearance_mm, "mm")}
                </span>
              ),
            },
            { name: "margin", title: "Margin", number: true, cell: (row) => quantity(row.margin_mm, "mm", 0) },
            { name: "run", title: "Run-out", number: true, cell: (row) => quantity(row.run_out_mm, "mm") },
          ]}
        />
        <p className={styles.quiet}>ᵈ derived, not labelled</p>
      </section>
      <FindingList findings={findings} none="This path misses no limit." />
    </div>
  );
}

/** Why a large number is none: below them, where there is room for a sentence. */
function Unjudged({ rows }: { rows: ReadonlyArray<readonly [string, Answer]> }) {
  const reasons = rows.map(([name, answer]) => [name, quantity(answer, "")] as const).filter(([, text]) => text.startsWith(UNJUDGED));
  return reasons.length === 0 ? null : <p className={styles.quiet}>{reasons.map(([name, text]) => `${name} ${text}`).join("; ")}</p>;
}

function Large({ name, value, field }: { name: string; value: string; field: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-field={field} title={value}>
        {value.startsWith(UNJUDGED) ? "n/e" : value}
      </dd>
    </div>
  );
}

function ChanceText({ chance, field }: { chance: Chance; field: string }) {
  return (
    <span data-field={field}>
      {percent(chance.p)} <span className={styles.quiet}>({percent(chance.low)} to {percent(chance.high)})</span>
    </span>
  );
}

/** What the needle goes through, from skin to tip. */
function Runs({ puncture }: { puncture: Puncture }) {
  const length = puncture.runs.at(-1)?.to_mm ?? puncture.length_mm;
  return (
    <figure className={styles.runs}>
      <svg viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label="Tissue along the needle, from skin to tip">
        {puncture.runs.map((run) => (
          <rect key={run.from_mm} x={(1000 * run.from_mm) / length} width={Math.max(1, (1000 * (run.to_mm - run.from_mm)) / length)} height={20} fill={TISSUES[run.tissue] ?? "#77808a"}>
            <title>{`${run.structure ? toWords(run.structure) : run.tissue}: ${quantity(run.from_mm, "mm")} to ${quantity(run.to_mm, "mm")}, ${quantity(run.mean_hu, "HU")}`}</title>
          </rect>
        ))}
      </svg>
      <figcaption>
        {puncture.runs.map((run) => (
          <span key={run.from_mm}>
            <i style={{ background: TISSUES[run.tissue] ?? "#77808a" }} />
            {run.structure && run.tissue !== run.structure ? toWords(run.structure) : run.tissue} {quantity(run.to_mm - run.from_mm, "mm", 0)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
