import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, unwrap } from "../../api/client";
import type { Item } from "../../api/items";
import type { components } from "../../api/schema";
import type { Params } from "../../shell/pages";
import { ItemChecks } from "../../shell/ItemChecks";
import { useMay } from "../../shell/me";
import { useShortcut } from "../../shell/shortcuts";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { EntryDialog, type EntryField, type Values } from "../../ui/EntryDialog";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day, quantity } from "../../ui/numbers";
import styles from "./Labs.module.css";

type Test = components["schemas"]["TestRows"];
type Result = components["schemas"]["ResultRow"];

const TONES: readonly Tone[] = ["quiet", "quiet", "caution", "bad", "bad"];
const FIELDS: EntryField[] = [
  { name: "test_code", label: "Test", required: true, hint: "LBTESTCD, such as ALT" },
  { name: "date", label: "Sampled", type: "date", required: true },
  { name: "value", label: "Result", type: "number", required: true },
  { name: "unit", label: "Unit", required: true },
  { name: "lower_limit", label: "Lower limit of normal", type: "number" },
  { name: "upper_limit", label: "Upper limit of normal", type: "number" },
  { name: "baseline", label: "Baseline: others are compared with it", type: "flag" },
];

/** Laboratory values by test, with the grade that follows from limits and baseline. */
export default function LabsPage({ params }: { params: Params }) {
  const patientId = params.patientId ?? "";
  const may = useMay("laboratory.write");
  const [asked, setAsked] = useState<{ held?: Item; initial: Values } | null>(null);
  const [only, setOnly] = useState("");
  const labs = useQuery({
    queryKey: ["labs", patientId],
    queryFn: () => unwrap(client.GET("/api/patient/{patient_id}/labs", { params: { path: { patient_id: patientId } } })),
  });
  const enter = () => setAsked({ initial: { date: new Date().toISOString().slice(0, 10), ...prefill(labs.data?.tests.find((one) => one.test_code === only)) } });
  useShortcut("n", "Enter a result", () => {
    if (may) enter();
  });
  const tests = labs.data?.tests ?? [];
  return (
    <Page
      title="Laboratory"
      ready={labs.data !== undefined}
      actions={
        <>
          {tests.length > 1
            ? [{ test_code: "" } as Test, ...tests].map((one) => (
                <Button key={one.test_code} pressed={one.test_code === only} onClick={() => setOnly(one.test_code)}>
                  {one.test_code || "All"}
                </Button>
              ))
            : null}
          {may ? (
            <Button look="main" onClick={enter}>
              Enter a result
            </Button>
          ) : null}
        </>
      }
    >
      <Answered asked={labs} what="the laboratory values">
        {(found) =>
          found.tests.length === 0 ? (
            <Empty title="No result">No laboratory value was entered of this patient.</Empty>
          ) : (
            <>
              <div className={only === "" ? styles.tests : styles.one}>
                {found.tests
                  .filter((test) => only === "" || test.test_code === only)
                  .map((test) => (
                    <TestPanel key={test.test_code} test={test} first={found.first_injection ?? ""} whole={only !== ""} may={may} onChange={(item) => setAsked({ held: item, initial: item.values })} />
                  ))}
              </div>
              <p className={styles.quiet}>
                Grades by {found.scale} from the laboratory's limits and the baseline: the result that is flagged, else the last one on or before the first injection
                {found.first_injection ? ` (${day(found.first_injection)})` : " (none yet)"}.
              </p>
            </>
          )
        }
      </Answered>
      {asked ? (
        <EntryDialog
          title={asked.held ? "Change a result" : "Enter a result"}
          kind="laboratory"
          noun="result"
          patientId={patientId}
          fields={FIELDS}
          {...(asked.held ? { held: asked.held } : {})}
          initial={asked.initial}
          onClose={() => setAsked(null)}
        />
      ) : null}
    </Page>
  );
}

/** Unit and limits of the last result of the same test. */
function prefill(test: Test | undefined): Values {
  const last = test?.rows.at(-1)?.item.values;
  if (!test || !last) return {};
  return { test_code: test.test_code, unit: last.unit, lower_limit: last.lower_limit, upper_limit: last.upper_limit };
}

function TestPanel({ test, first, whole, may, onChange }: { test: Test; first: string; whole: boolean; may: boolean; onChange: (item: Item) => void }) {
  const rows = whole ? test.rows : test.rows.slice(-6);
  const unit = String(test.rows[0]?.item.values.unit ?? "");
  return (
    <Panel title={`${test.test_code}${unit && unit !== "1" ? `, ${unit}` : ""}`} actions={<span className={styles.quiet}>{test.term}</span>}>
      <Spark rows={test.rows} first={first} label={test.test_code} />
      <p className={styles.quiet}>
        {"not_evaluable" in test.baseline ? `No baseline: ${test.baseline.not_evaluable}.` : `Baseline ${show(test.baseline.values)} on ${day(test.baseline.values.date as string)}.`}
        {whole || test.rows.length === rows.length ? "" : ` The last ${rows.length} of ${test.rows.length}.`}
      </p>
      <Table
        caption={`Results of ${test.test_code}`}
        rows={rows}
        rowKey={(row) => row.item.item_id}
        columns={[
          { name: "date", title: "Sampled", cell: (row) => <span className={styles.whole}>{day(row.item.values.date as string)}</span> },
          { name: "value", title: "Result", number: true, cell: (row) => show(row.item.values) },
          { name: "normal", title: "Normal", cell: (row) => `${row.item.values.lower_limit ?? "–"} to ${row.item.values.upper_limit ?? "–"}` },
          { name: "grade", title: "Grade", cell: (row) => <GradeCell row={row} /> },
          {
            name: "act",
            title: <span className="visually-hidden">What can be done</span>,
            cell: (row) => (
              <>
                {may && whole && !row.item.locked ? (
                  <Button look="quiet" aria-label={`Change ${test.test_code} of ${String(row.item.values.date)}`} onClick={() => onChange(row.item as Item)}>
                    Change
                  </Button>
                ) : null}
                <ItemChecks item={row.item} title={`${test.test_code} of ${day(row.item.values.date as string)}`} fields={FIELDS} />
              </>
            ),
          },
        ]}
      />
    </Panel>
  );
}

function show(values: Values): string {
  const unit = String(values.unit ?? "");
  const value = Number(values.value);
  return quantity(value, unit === "1" ? "" : unit, Number.isInteger(value) ? 0 : 2);
}

function GradeCell({ row }: { row: Result }) {
  if ("not_evaluable" in row.grade) return <span className={styles.quiet}>n/e: {row.grade.not_evaluable.replace("cannot grade: ", "")}</span>;
  return (
    <span className={styles.grade} title={`${row.grade.rule} ${row.grade.limit}`}>
      <Badge tone={TONES[row.grade.grade] ?? "bad"}>{row.grade.grade}</Badge>
      {row.is_baseline ? <span className={styles.quiet}>baseline</span> : null}
      {row.grade.limit ? <span className={styles.quiet}>{row.grade.limit.replace(">=", "≥").replace("<=", "≤")}</span> : null}
    </span>
  );
}

const WIDTH = 420;
const HEIGHT = 64;

/** The course of a test: the band of normal, the first injection, each result; the table says the numbers. */
function Spark({ rows, first, label }: { rows: readonly Result[]; first: string; label: string }) {
  const points = rows.map((row) => ({ at: Date.parse(String(row.item.values.date)), value: Number(row.item.values.value), base: row.is_baseline }));
  const start = Math.min(...points.map((one) => one.at));
  const end = Math.max(...points.map((one) => one.at), start + 1);
  const last = rows.at(-1)?.item.values ?? {};
  const low = Number(last.lower_limit ?? Number.NaN);
  const high = Number(last.upper_limit ?? Number.NaN);
  const top = Math.max(...points.map((one) => one.value), Number.isNaN(high) ? 0 : high) * 1.08;
  const x = (at: number) => 6 + ((at - start) / (end - start)) * (WIDTH - 12);
  const y = (value: number) => HEIGHT - 4 - (value / top) * (HEIGHT - 8);
  const injected = Date.parse(first);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className={styles.spark} role="img" aria-label={`${label} over time; the table below has the numbers`}>
      {Number.isNaN(low) || Number.isNaN(high) ? null : <rect x={0} width={WIDTH} y={y(high)} height={y(low) - y(high)} className={styles.normal} />}
      {Number.isNaN(injected) || injected < start ? null : <line x1={x(injected)} x2={x(injected)} y1={0} y2={HEIGHT} className={styles.injection} />}
      <polyline points={points.map((one) => `${x(one.at)},${y(one.value)}`).join(" ")} className={styles.curve} />
      {points.map((one) => (
        <circle key={`${one.at} ${one.value}`} cx={x(one.at)} cy={y(one.value)} r={one.base ? 4.5 : 2.5} className={one.base ? styles.base : styles.dot} />
      ))}
    </svg>
  );
}
