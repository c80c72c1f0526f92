import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { CSRF_HEADER, client, makeKey, sendPatiently, unwrap } from "../../api/client";
import { submitJob, useJob } from "../../api/jobs";
import { toProblem } from "../../api/problem";
import type { components } from "../../api/schema";
import type { Params } from "../../shell/pages";
import { Button } from "../../ui/Button";
import { CheckField, SelectField, TextField } from "../../ui/Field";
import { JobProgress } from "../../ui/JobProgress";
import { Columns, Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty, Failure } from "../../ui/States";
import { day } from "../../ui/numbers";
import styles from "./NewPlanPage.module.css";

type Row = components["schemas"]["TimelineRow"];
type Choices = components["schemas"]["PlanChoices"];

const LABELS = new Set(["SEG", "RTSTRUCT"]);

function toScanLabel(row: Row): string {
  const values = row.values;
  const what = values["title"] ?? [values["modality"], values["phase_hint"] === "unknown" ? "" : values["phase_hint"]].filter(Boolean).join(" ");
  return `${String(what)} · ${row.date ? day(row.date) : `entered ${day(row.entered_at)}`}`;
}

/** Which scan, which labels, which protocol: asked once, planned by the server. */
export default function NewPlanPage({ params }: { params: Params }) {
  const patientId = params["patientId"] ?? "";
  const timeline = useQuery({
    queryKey: ["timeline", patientId],
    queryFn: async () => unwrap(client.GET("/api/patient/{patient_id}/timeline", { params: { path: { patient_id: patientId } } })),
  });
  const choices = useQuery({
    queryKey: ["plan-choices"],
    queryFn: async () => unwrap(client.GET("/api/plan-choices")),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const scans = (timeline.data?.rows ?? []).filter((row) => row.kind === "scan" && row.values["state"] === "accepted");
  return (
    <Page title="New plan" ready={timeline.data !== undefined && choices.data !== undefined}>
      <Answered asked={timeline} what="the scans">
        {() => (
          <Answered asked={choices} what="protocols">
            {(found) =>
              scans.some((row) => row.values["modality"] === "CT") ? (
                <Form patientId={patientId} scans={scans} choices={found} />
              ) : (
                <Empty title="No CT that was accepted">Import a scan, or decide about one that waits.</Empty>
              )
            }
          </Answered>
        )}
      </Answered>
    </Page>
  );
}

function Form({ patientId, scans, choices }: { patientId: string; scans: Row[]; choices: Choices }) {
  const images = scans.filter((row) => row.values["modality"] === "CT");
  const [scanId, setScanId] = useState(images[0]?.item_id ?? "");
  const [arterialId, setArterialId] = useState("");
  // Oldest first: a drawing takes the place of what was there when it was drawn.
  const sources = [...scans].reverse().filter((row) => LABELS.has(String(row.values["modality"])) && (!row.values["labels_of"] || row.values["labels_of"] === scanId));
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [protocol, setProtocol] = useState(choices.protocols[0]?.name ?? "");
  const [visit, setVisit] = useState("1");
  const [tumour, setTumour] = useState("");
  const [needle, setNeedle] = useState("");
  const [rate, setRate] = useState("");
  const [draws, setDraws] = useState("0");
  const [absent, setAbsent] = useState<string[]>([]);
  const [jobId, setJobId] = useState("");
  const [error, setError] = useState<unknown>(null);
  const job = useJob(jobId);
  const [, go] = useLocation();
  const labels = sources.filter((row) => !left.has(row.item_id));
  const made = job.data?.result["plan_id"] as string | undefined;

  async function send(event: FormEvent) {
    event.preventDefault();
    setError(null);
    try {
      const asked = await submitJob("plan", patientId, {
        scan_id: scanId,
        arterial_scan_id: arterialId,
        labels: labels.map((row) => ({ scan_id: row.item_id, ...(row.values["label_names"] ? { names_by_value: row.values["label_names"] } : {}) })),
        visit: Number(visit),
        protocol,
        tumour_type: tumour,
        needle,
        absent,
        spread_draws: Number(draws),
        ...(rate.trim() ? { rate_ml_per_min: Number(rate.replace(",", ".")) } : {}),
      });
      setJobId(asked.job_id);
    } catch (problem) {
      setError(problem);
    }
  }

  const running = jobId !== "" && job.data?.state !== "failed" && job.data?.state !== "cancelled";
  return (
    <form onSubmit={(event) => void send(event)}>
      <Columns>
        <Panel title="Scan and labels">
          <div className={styles.stack}>
          <SelectField label="Scan to plan on" required value={scanId} onChange={(event) => setScanId(event.target.value)} options={images.map((row) => ({ value: row.item_id, label: toScanLabel(row) }))} />
          <SelectField
            label="Arterial phase, for the viable part"
            empty="none"
            value={arterialId}
            onChange={(event) => setArterialId(event.target.value)}
            options={images.filter((row) => row.item_id !== scanId).map((row) => ({ value: row.item_id, label: toScanLabel(row) }))}
          />
          <div className={styles.sources}>
          {sources.map((row) => (
            <CheckField
              key={row.item_id}
              label={`${toScanLabel(row)}: ${Object.values((row.values["label_names"] ?? {}) as Record<string, string>).join(", ") || String(row.values["modality"])}`}
              checked={!left.has(row.item_id)}
              onChange={(event) =>
                setLeft((held) => {
                  const next = new Set(held);
                  if (event.target.checked) next.delete(row.item_id);
                  else next.add(row.item_id);
                  return next;
                })
              }
            />
          ))}
          </div>
          {sources.length === 0 ? <p>No labels yet. Import a DICOM SEG or RTSTRUCT, or add a NIfTI map of labels.</p> : null}
          <AddLabels patientId={patientId} scanId={scanId} />
          </div>
        </Panel>
        <Panel title="Protocol">
          <div className={styles.stack}>
          <SelectField label="Dose protocol" required value={protocol} onChange={(event) => setProtocol(event.target.value)} options={choices.protocols.map((one) => ({ value: one.name, label: `${one.title} (${one.agent})` }))} />
          <TextField label="Visit" type="number" min={1} max={999} required value={visit} onChange={(event) => setVisit(event.target.value)} />
          <SelectField label="Tumour type" empty="unknown" value={tumour} onChange={(event) => setTumour(event.target.value)} options={choices.tumour_types.map((one) => ({ value: one, label: one.replaceAll("_", " ") }))} />
          <NeedleField choices={choices} value={needle} spread={draws !== "0"} onChange={setNeedle} />
          <SelectField
            label="Predicted spread"
            value={draws}
            onChange={(event) => setDraws(event.target.value)}
            options={[
              { value: "0", label: "not simulated" },
              { value: "20", label: "20 draws: a quick look" },
              { value: "100", label: "100 draws" },
            ]}
          />
          <TextField label="Rate of injection" unit="mL/min" inputMode="decimal" value={rate} onChange={(event) => setRate(event.target.value)} hint="Empty takes the protocol's; a spread needs one." />
          <fieldset className={styles.group}>
            <legend>Declared absent or out of reach</legend>
            {choices.absent.map((group) => (
              <CheckField key={group} label={group} checked={absent.includes(group)} onChange={(event) => setAbsent((all) => (event.target.checked ? [...all, group] : all.filter((one) => one !== group)))} />
            ))}
          </fieldset>
          </div>
        </Panel>
      </Columns>
      <div className={styles.foot}>
        {job.data ? <JobProgress job={job.data} label="Plan" /> : null}
        {error ? <Failure error={error} /> : null}
        {made ? (
          <Button look="main" onClick={() => go(`/patient/${patientId}/plan/${made}`)}>
            Open the plan
          </Button>
        ) : (
          <Button type="submit" look="main" disabled={running || labels.length === 0}>
            Plan
          </Button>
        )}
      </div>
    </form>
  );
}

type NeedleChoice = Choices["needles"][number];

function toNeedleLabel(one: NeedleChoice): string {
  return `${one.name}${one.status === "unverified" ? " · unverified" : ""}`;
}

/** Needles of the site, then those that are shipped; without a choice the thinnest shaft that reaches is taken. */
function NeedleField({ choices, value, spread, onChange }: { choices: Choices; value: string; spread: boolean; onChange: (name: string) => void }) {
  const named = choices.needles.find((one) => one.name === (value || choices.default_needle));
  const groups = (["site", "shipped"] as const).map((table) => ({ table, needles: choices.needles.filter((one) => one.table === table) }));
  const sided = named !== undefined && !named.holes_known;
  return (
    <>
      <SelectField
        label="Needle"
        empty={`thinnest that reaches (${choices.default_needle})`}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        groups={groups
          .filter((one) => one.needles.length > 0)
          .map((one) => ({ label: one.table === "site" ? "Of this site" : "Shipped with the program", options: one.needles.map((needle) => ({ value: needle.name, label: toNeedleLabel(needle) })) }))}
        hint={value === "" ? "Its length is fitted to the path that is found." : "Another length of the same shaft and holes may be taken, to fit the path."}
      />
      {sided ? (
        <p className={styles.quiet} role="status" data-holes="unknown">
          {spread ? "No spread can be simulated: " : ""}Where the side holes of this needle lie is not set. List them in the site's table of needles.
        </p>
      ) : null}
    </>
  );
}

/** A NIfTI map of labels with a table of names, as other programs export them. */
function AddLabels({ patientId, scanId }: { patientId: string; scanId: string }) {
  const [open, setOpen] = useState(false);
  const [file, setFile] = useState<File | null>(null);
  const [names, setNames] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const cache = useQueryClient();
  async function send() {
    if (!file) return;
    setBusy(true);
    setError(null);
    try {
      const query = new URLSearchParams({ names: JSON.stringify(toNames(names)), title: file.name.replace(/\.nii(\.gz)?$/, "") });
      const answer = await sendPatiently(
        new Request(`/api/scan/${scanId}/labels/upload?${query.toString()}`, {
          method: "POST",
          headers: { ...CSRF_HEADER, "content-type": "application/octet-stream", "idempotency-key": makeKey() },
          body: file,
        }),
      );
      if (!answer.ok) throw toProblem(answer.status, await answer.json().catch(() => null));
      setOpen(false);
      setFile(null);
      setNames("");
      await cache.invalidateQueries({ queryKey: ["timeline", patientId] });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  }
  if (!open) return <Button onClick={() => setOpen(true)}>Add a map of labels</Button>;
  return (
    <div className={styles.stack}>
      <TextField label="NIfTI file" type="file" accept=".nii,.gz" onChange={(event) => setFile(event.target.files?.[0] ?? null)} />
      <TextField label="Names by value" value={names} placeholder="1 liver, 2 lung, 4 lesion" onChange={(event) => setNames(event.target.value)} hint="Every value of the map needs a name." />
      <div>
        <Button busy={busy} disabled={!file} onClick={() => void send()}>
          Add
        </Button>
      </div>
      {error ? <Failure error={error} /> : null}
    </div>
  );
}

/** ``1 liver, 2 lung`` as names by value. */
export function toNames(text: string): Record<string, string> {
  const pairs = text
    .split(/[,;\n]/)
    .map((part) => /^\s*(\d+)[\s=:]+(.+?)\s*$/.exec(part))
    .filter((found) => found !== null)
    .map((found) => [found[1] ?? "", found[2] ?? ""]);
  return Object.fromEntries(pairs) as Record<string, string>;
}
