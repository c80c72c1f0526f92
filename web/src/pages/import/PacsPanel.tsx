import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, unwrap } from "../../api/client";
import type { components } from "../../api/schema";
import { useMay } from "../../shell/me";
import { Button } from "../../ui/Button";
import { SelectField } from "../../ui/Field";
import { Panel } from "../../ui/Panel";
import { Empty, Failure } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day } from "../../ui/numbers";
import styles from "./ImportPage.module.css";

type Study = components["schemas"]["StudyAnswer"];

interface Props {
  patientId: string;
  onTake: (pacs: string, studyUid: string) => Promise<void>;
}

/** Studies of this patient in an archive that the server's configuration names. */
export function PacsPanel({ patientId, onTake }: Props) {
  const may = [useMay("scan.write"), useMay("identity.read")].every(Boolean);
  const known = useQuery({ queryKey: ["pacs"], queryFn: () => unwrap(client.GET("/api/pacs")), enabled: may });
  const names = known.data?.["pacs"] ?? [];
  const [chosen, setChosen] = useState("");
  const [found, setFound] = useState<Study[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState("");
  const name = chosen || names[0] || "";
  async function work(what: string, act: () => Promise<void>) {
    setBusy(what);
    setError(null);
    try {
      await act();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy("");
    }
  }
  const search = () =>
    work("search", async () => {
      setFound(null);
      const body = { patient_id: patientId, study_uid: "", modality: "", from_date: "", to_date: "" };
      setFound(await unwrap(client.POST("/api/pacs/{name}/search", { params: { path: { name } }, body })));
    });
  if (!may || names.length === 0) return null;
  return (
    <Panel
      title="From a PACS"
      actions={
        <Button busy={busy === "search"} onClick={() => void search()}>
          Look for studies of this patient
        </Button>
      }
    >
      {names.length > 1 ? (
        <SelectField
          label="PACS"
          value={name}
          onChange={(event) => {
            setChosen(event.target.value);
            setFound(null);
          }}
          options={names.map((value) => ({ value, label: value }))}
        />
      ) : (
        <p className={styles.quiet}>{name}, by the patient's hospital number. The search is noted in the trail.</p>
      )}
      {error ? <Failure error={error} /> : null}
      {found?.length === 0 ? <Empty title="No study">The archive has none of this patient.</Empty> : null}
      {found && found.length > 0 ? (
        <Table
          caption="Studies in the archive"
          rows={found}
          rowKey={(row) => row.study_uid}
          columns={[
            { name: "date", title: "Day", cell: (row) => day(row.study_date) },
            { name: "what", title: "Study", cell: (row) => row.description || "–" },
            { name: "modality", title: "Modality", cell: (row) => row.modalities.join(", ") },
            { name: "images", title: "Images", number: true, cell: (row) => row.image_count ?? "–" },
            { name: "who", title: "Patient there", cell: (row) => `${row.patient_name} ${row.patient_number}` },
            {
              name: "act",
              title: <span className="visually-hidden">What can be done</span>,
              cell: (row) => (
                <Button busy={busy === row.study_uid} aria-label={`Import the study of ${row.study_date}`} onClick={() => void work(row.study_uid, () => onTake(name, row.study_uid))}>
                  Import
                </Button>
              ),
            },
          ]}
        />
      ) : null}
    </Panel>
  );
}
