import { useState } from "react";
import { Figure } from "../../charts/Figure";
import { SurvivalChart } from "../../charts/SurvivalChart";
import { Button } from "../../ui/Button";
import { Panel } from "../../ui/Panel";
import { Empty } from "../../ui/States";
import { percent } from "../../ui/numbers";
import { ReportTable } from "./ReportTable";
import styles from "./Trial.module.css";
import type { Curve, Outcomes } from "./questions";

const ARMS_MOST = 4;

/** Kaplan-Meier curves with numbers at risk; medians with their limits, or that they are not reached. */
export function Survival({ outcomes }: { outcomes: Outcomes }) {
  const [byArm, setByArm] = useState(false);
  const table = outcomes.tables.find((one) => one.table_id === "times");
  const whole = outcomes.curves.filter((one) => one.group === "" && ["PFS", "OS", "DOR"].includes(one.code));
  const order = ["PFS", "OS", "DOR"];
  whole.sort((one, other) => order.indexOf(one.code) - order.indexOf(other.code));
  const hasArms = outcomes.curves.some((one) => one.group !== "");
  if (whole.length === 0) {
    return (
      <Panel title="Survival">
        <Empty title="No curve to show">{outcomes.absent["survival"] ?? "No treated patient has a time yet."}</Empty>
      </Panel>
    );
  }
  return (
    <Panel
      title="Survival"
      actions={
        hasArms ? (
          <div className={styles.choices} role="group" aria-label="Curves">
            <Button look="quiet" pressed={!byArm} onClick={() => setByArm(false)}>
              All
            </Button>
            <Button look="quiet" pressed={byArm} onClick={() => setByArm(true)}>
              By dose level
            </Button>
          </div>
        ) : null
      }
    >
      <div className={styles.stack}>
        <div className={styles.charts}>
          {whole.map((curve) => (
            <OneCurve key={curve.code} curve={curve} arms={byArm ? outcomes.curves.filter((one) => one.code === curve.code && one.group !== "").slice(0, ARMS_MOST) : []} />
          ))}
        </div>
        {table ? <ReportTable table={table} /> : null}
      </div>
    </Panel>
  );
}

function OneCurve({ curve, arms }: { curve: Curve; arms: Curve[] }) {
  const shown = arms.length > 0 ? arms : [curve];
  const rows = shown.flatMap((one) => one.steps.map((step) => ({ ...step, group: one.group })));
  return (
    <Figure
      title={curve.title}
      said={
        <span data-median={curve.code}>
          {arms.length > 0 ? "all levels: " : ""}
          {curve.events} of {curve.n} with an event; median {sayMedian(curve)}
        </span>
      }
      rows={rows}
      rowKey={(row) => `${row.group}${row.month}`}
      columns={[
        ...(arms.length > 0 ? [{ name: "arm", title: "Level", cell: (row: { group: string }) => shortArm(row.group) }] : []),
        { name: "month", title: "Month", number: true, cell: (row) => row.month.toFixed(1) },
        { name: "risk", title: "At risk", number: true, cell: (row) => row.n_risk },
        { name: "event", title: "Events", number: true, cell: (row) => row.n_event },
        { name: "censor", title: "Censored", number: true, cell: (row) => row.n_censor },
        { name: "survival", title: "Event-free", number: true, cell: (row) => percent(row.survival, 1) },
        {
          name: "limits",
          title: `${percent(curve.conf)} interval`,
          number: true,
          cell: (row) => (row.lower === null || row.upper === null ? "–" : `${(row.lower * 100).toFixed(1)} to ${percent(row.upper, 1)}`),
        },
      ]}
    >
      <SurvivalChart
        label={`${curve.title}: ${curve.n} subjects, ${curve.events} events, median ${sayMedian(curve)}`}
        band={arms.length === 0}
        lines={shown.map((one) => ({ name: one.group ? shortArm(one.group) : "", steps: one.steps, atRisk: one.at_risk, median: one.median.months }))}
      />
    </Figure>
  );
}

function shortArm(arm: string): string {
  return arm.replace(/^.*Dose level /, "Level ");
}

function sayMedian(curve: Curve): string {
  const { months, lower, upper } = curve.median;
  const conf = percent(curve.conf);
  const limits = lower === null && upper === null ? "" : ` (${conf} interval ${say(lower)} to ${say(upper)})`;
  return `${months === null ? "not reached" : `${months.toFixed(1)}\u202fmonths`}${limits}`;
}

function say(value: number | null): string {
  return value === null ? "not reached" : value.toFixed(1);
}
