import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, unwrap } from "../../api/client";
import type { components } from "../../api/schema";
import type { Params } from "../../shell/pages";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { SelectField } from "../../ui/Field";
import { Columns, Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { change, day, quantity } from "../../ui/numbers";
import { Curves, type Line } from "./Curves";
import { Lanes } from "./Lanes";
import { Legend, type Group } from "./marks";
import { toCriterionLabel } from "../../ui/words";
import styles from "./Response.module.css";

type Answer = components["schemas"]["ResponseAnswer"];
type Point = components["schemas"]["PointAnswer"];

const DAYS_PER_WEEK = 7;

/** Lesions over two years: sums of injected and non-injected ones, each lesion, injections, and the answer of each scan. */
export default function ResponsePage({ params }: { params: Params }) {
  const patientId = params.patientId ?? "";
  const [readId, setReadId] = useState("");
  const response = useQuery({
    queryKey: ["response", patientId, readId],
    queryFn: () =>
      unwrap(client.GET("/api/patient/{patient_id}/response", { params: { path: { patient_id: patientId }, query: { read_id: readId } } })),
  });
  return (
    <Page
      title="Response"
      ready={response.data !== undefined}
      actions={
        <>
          {response.data && response.data.reads.length > 1 ? (
            <SelectField
              label="Read"
              className={styles.read ?? ""}
              options={response.data.reads.map((one) => ({
                value: one.read_id,
                label: `${one.role.replace("_", " ")}, ${toCriterionLabel(one.criterion)}${one.holds ? ", holds" : ""}${one.state === "locked" ? "" : `, ${one.state}`}`,
              }))}
              value={response.data.shown}
              onChange={(event) => setReadId(event.target.value)}
            />
          ) : null}
          <Button className={styles.print} onClick={() => window.print()}>
            Print
          </Button>
        </>
      }
    >
      <Answered asked={response} what="the course of the lesions">
        {(found) =>
          found.missing ? (
            <Empty title="Nothing to show yet">{found.missing}. Curves appear once a reader has measured lesions on dated scans.</Empty>
          ) : (
            <Course found={found} />
          )
        }
      </Answered>
    </Page>
  );
}

function Course({ found }: { found: Answer }) {
  const shown = found.reads.find((one) => one.read_id === found.shown);
  const sums: Line[] = [
    { name: "injected", group: "injected", points: toPoints(found.injected, "size_mm") },
    { name: "non-injected", group: "non-injected", points: toPoints(found.non_injected, "size_mm") },
    { name: "all targets", group: "all", points: toPoints(found.total, "size_mm") },
  ];
  const lesions: Line[] = found.lesions
    .filter((one) => one.group !== "new")
    .map((one) => ({ name: one.label, group: one.group as Group, points: toPoints(one.points, "change_percent") }));
  const last = Math.max(...found.total.map((one) => one.day), ...found.injection_days, 1);
  return (
    <>
      <p className={styles.facts}>
        As {shown?.role.replace("_", " ")} measured it by {toCriterionLabel(shown?.criterion)}{" "}
        {shown && shown.state !== "locked" ? <Badge tone="caution">read {shown.state}, not locked</Badge> : null}
        {shown?.holds ? <Badge tone="good">chosen by adjudication</Badge> : null}. Weeks count from the baseline scan of {day(found.origin)}
        {found.first_injection_day === null ? "; not injected yet" : `; first injection on day ${found.first_injection_day}`}.
        {found.undated > 0 ? ` ${found.undated} scans without a whole date are left out.` : ""}
      </p>
      <Columns>
        <Panel title="Sums of target lesions, mm">
          <Curves label="Sums of target lesions over time; the table of sums has the numbers" lines={sums} last={last} unit="mm" fromZero injections={found.injection_days} />
          <Legend groups={["injected", "non-injected", "all"]} />
        </Panel>
        <Panel title="Each lesion, change from baseline, %">
          <Curves label="Change of each lesion from the baseline; the table of lesions has the sizes" lines={lesions} last={last} unit="%" injections={found.injection_days} />
          <Legend groups={["injected", "non-injected"]} />
        </Panel>
      </Columns>
      <Panel title="Lesions and injections over time">
        <Lanes found={found} last={last} />
        <Legend groups={["injected", "non-injected", "new", "injection"]} />
        <p className={styles.facts}>The larger the mark, the longer the diameter at that scan.</p>
      </Panel>
      <Panel title="Each scan" flush>
        <Scans found={found} />
      </Panel>
      <Panel title="Longest diameter of each lesion, mm" flush>
        <Sizes found={found} />
      </Panel>
    </>
  );
}

function toPoints(points: readonly Point[], field: "size_mm" | "change_percent"): Line["points"] {
  return points.flatMap((one) => {
    const value = one[field];
    return typeof value === "number" ? [{ day: one.day, value }] : [];
  });
}

function show(value: Point["size_mm"] | undefined, unit: string): string {
  return quantity(value as number, unit);
}

function showChange(value: Point["change_percent"] | undefined): string {
  return typeof value === "number" ? change(value / 100) : value ? `n/e: ${value.not_evaluable}` : "–";
}

/** Sums and answers, scan by scan. */
function Scans({ found }: { found: Answer }) {
  const at = (points: readonly Point[], when: number) => points.find((one) => one.day === when);
  return (
    <Table
      caption="Sums and response at each scan"
      rows={found.total}
      rowKey={(row) => String(row.day)}
      columns={[
        { name: "date", title: "Scan", cell: (row) => day(row.date) },
        { name: "week", title: "Week", number: true, cell: (row) => (row.day / DAYS_PER_WEEK).toFixed(0) },
        { name: "injected", title: "Injected", number: true, cell: (row) => show(at(found.injected, row.day)?.size_mm, "mm") },
        { name: "injectedChange", title: "", number: true, cell: (row) => showChange(at(found.injected, row.day)?.change_percent) },
        { name: "other", title: "Non-injected", number: true, cell: (row) => show(at(found.non_injected, row.day)?.size_mm, "mm") },
        { name: "otherChange", title: "", number: true, cell: (row) => showChange(at(found.non_injected, row.day)?.change_percent) },
        { name: "total", title: "All targets", number: true, cell: (row) => show(row.size_mm, "mm") },
        { name: "totalChange", title: "", number: true, cell: (row) => showChange(row.change_percent) },
        {
          name: "answer",
          title: "Response",
          cell: (row) => {
            const rows = found.responses.filter((one) => one.day === row.day && one.overall);
            if (rows.length === 0) return row.day === 0 ? "baseline" : found.verdicts_missing ? `n/e: ${found.verdicts_missing}` : "–";
            return rows.map((one) => (
              <span key={one.group} title={one.rule}>
                {one.group && one.group !== "ALL" ? `${one.group.toLowerCase()}: ` : ""}
                <strong>{one.overall}</strong>
                {one.new_lesions.length > 0 ? `, new ${one.new_lesions.join(", ")}` : ""}{" "}
              </span>
            ));
          },
        },
      ]}
    />
  );
}

/** One row for each lesion, one column for each scan. */
function Sizes({ found }: { found: Answer }) {
  const days = found.total.map((one) => one.day);
  return (
    <Table
      caption="Longest diameter of each lesion in mm at each scan"
      rows={found.lesions}
      rowKey={(row) => row.label}
      columns={[
        { name: "lesion", title: "Lesion", cell: (row) => row.label },
        { name: "segment", title: "Segment", cell: (row) => row.segment || "–" },
        { name: "group", title: "Group", cell: (row) => row.group },
        ...days.map((when) => ({
          name: `d${when}`,
          title: `wk ${(when / DAYS_PER_WEEK).toFixed(0)}`,
          number: true,
          cell: (row: Answer["lesions"][number]) => {
            const point = row.points.find((one) => one.day === when);
            return typeof point?.size_mm === "number" ? point.size_mm.toFixed(1) : "–";
          },
        })),
      ]}
    />
  );
}
