/** Give a patient's scans to a reader, or two locked reads to an adjudicator. */
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { client, unwrap } from "../../api/client";
import { useChange, useItems } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { CheckField, SelectField, TextField } from "../../ui/Field";
import { useNotice } from "../../ui/Notices";
import { Failure } from "../../ui/States";
import { day } from "../../ui/numbers";
import { CRITERIA, type Pair } from "./ReadsPage";

interface ScanValues {
  modality: string;
  state: string;
  visit_number?: number;
  acquired_date?: string;
  phase_hint?: string;
}

const IMAGES = ["CT", "MR", "PT"];
const ROLES: Record<string, string> = { reader_1: "reader 1", reader_2: "reader 2", adjudicator: "adjudicator" };

export function AssignDialog({ pair, onClose }: { pair: Pair | null; onClose: () => void }) {
  const [search, setSearch] = useState("");
  const [patientId, setPatientId] = useState(pair?.patient_id ?? "");
  const [readerId, setReaderId] = useState("");
  const [criterion, setCriterion] = useState(pair?.criterion ?? "recist-1.1");
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const form = useId();
  const change = useChange();
  const say = useNotice();
  const readers = useQuery({ queryKey: ["readers"], queryFn: async () => unwrap(client.GET("/api/reading/readers")) });
  const patients = useItems<{ subject_id: string }>("patient", { search, limit: 50 }, pair === null);
  const scans = useItems<ScanValues>("scan", { patient_id: patientId, limit: 200 }, patientId !== "" && pair === null);
  const images = (scans.data?.items ?? [])
    .filter((scan) => scan.values.state === "accepted" && IMAGES.includes(scan.values.modality))
    .sort((one, other) => (one.values.visit_number ?? 999) - (other.values.visit_number ?? 999) || (one.values.acquired_date ?? "").localeCompare(other.values.acquired_date ?? ""));
  const chosen = pair ? pair.scan_ids : images.filter((scan) => !left.has(scan.item_id)).map((scan) => scan.item_id);
  const fitting = (readers.data ?? []).filter((one) => (one.role === "adjudicator") === (pair !== null));
  async function send(event: FormEvent) {
    event.preventDefault();
    const body = { patient_id: patientId, reader_id: readerId, criterion, scan_ids: chosen, adjudicates: pair?.read_ids ?? [] };
    await change
      .mutateAsync({ method: "POST", path: "/api/read", body })
      .then(() => {
        say("The read was assigned");
        onClose();
      })
      .catch(() => undefined);
  }
  return (
    <Dialog
      title={pair ? `Adjudication of ${pair.subject_id}` : "Assign a read"}
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending} disabled={!patientId || !readerId || chosen.length === 0}>
            Assign
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={(event) => void send(event)} style={{ display: "grid", gap: 12 }}>
        {pair ? null : (
          <>
            <TextField label="Look for a subject number" value={search} onChange={(event) => setSearch(event.target.value)} />
            <SelectField
              label="Patient"
              value={patientId}
              empty="Choose"
              options={(patients.data?.items ?? []).map((one) => ({ value: one.item_id, label: one.values.subject_id }))}
              onChange={(event) => {
                setPatientId(event.target.value);
                setLeft(new Set());
              }}
            />
          </>
        )}
        <SelectField
          label={pair ? "Adjudicator" : "Reader"}
          value={readerId}
          empty="Choose"
          options={fitting.map((one) => ({ value: one.account_id, label: `${one.display_name}, ${ROLES[one.role] ?? one.role}` }))}
          onChange={(event) => setReaderId(event.target.value)}
        />
        {pair ? null : (
          <>
            <SelectField label="Criterion" value={criterion} options={CRITERIA} onChange={(event) => setCriterion(event.target.value)} />
            <fieldset style={{ border: 0, margin: 0, padding: 0 }}>
              <legend>Scans, in the order of the visits</legend>
              {images.map((scan) => (
                <CheckField
                  key={scan.item_id}
                  label={[scan.values.visit_number ? `Visit ${scan.values.visit_number}` : "No visit", scan.values.modality, day(scan.values.acquired_date), scan.values.phase_hint].filter(Boolean).join(", ")}
                  checked={!left.has(scan.item_id)}
                  onChange={(event) => setLeft((held) => new Set(event.target.checked ? [...held].filter((one) => one !== scan.item_id) : [...held, scan.item_id]))}
                />
              ))}
              {patientId && scans.data && images.length === 0 ? <p>This patient has no accepted scan.</p> : null}
              <p>Leave out scans of the day of injection: they show the needle.</p>
            </fieldset>
          </>
        )}
      </form>
      {readers.error || change.error ? <Failure error={readers.error ?? change.error} /> : null}
    </Dialog>
  );
}
