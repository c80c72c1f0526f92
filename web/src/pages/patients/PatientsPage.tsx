import { type FormEvent, useDeferredValue, useId, useState } from "react";
import { Link, useLocation } from "wouter";
import { type Item, useChange, useItems } from "../../api/items";
import { useMay, useMe } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextField } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty, Failure } from "../../ui/States";
import { Table } from "../../ui/Table";

interface PatientValues {
  subject_id: string;
  /** Absent where the person may not see it: a blinded reader is not told who is on treatment. */
  status?: string;
  simulated?: boolean;
}

const AT_ONCE = 50;

/** Everybody of the person's sites, found by subject number. */
export default function PatientsPage() {
  const [text, setText] = useState("");
  const [trail, setTrail] = useState<string[]>([""]);
  const search = useDeferredValue(text.trim());
  const patients = useItems<PatientValues>("patient", { limit: AT_ONCE, search, after: trail.at(-1) ?? "" });
  const sites = useItems<{ name: string }>("site", { limit: 200 }, useMay("site.read"));
  const names = new Map(sites.data?.items.map((site) => [site.item_id, site.values.name]));
  const me = useMe();
  const mayAdd = useMay("patient.write");
  const [adding, setAdding] = useState(false);
  const first = (trail.length - 1) * AT_ONCE;
  return (
    <Page
      title="Patients"
      ready={patients.data !== undefined}
      actions={
        <>
          <TextField
            label="Find by subject number"
            type="search"
            maxLength={100}
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setTrail([""]);
            }}
          />
          {mayAdd ? (
            <Button look="main" onClick={() => setAdding(true)}>
              Add a patient
            </Button>
          ) : null}
        </>
      }
    >
      <Panel flush>
        <Answered asked={patients} what="patients">
          {(found) =>
            found.items.length === 0 ? (
              <Empty title={search ? `No patient with “${search}”` : "No patient yet"}>
                {search ? "Subject numbers are searched, also parts of them." : mayAdd ? "Add the first, then import a scan." : me.blinded ? "Patients whose scans you are given to read appear here." : "Patients of your sites appear here."}
              </Empty>
            ) : (
              <Table
                caption="Patients"
                rows={found.items}
                rowKey={(row) => row.item_id}
                columns={[
                  {
                    name: "subject",
                    title: "Subject",
                    cell: (row) => (
                      <>
                        <Link href={`/patient/${row.item_id}`}>{row.values.subject_id}</Link> {row.values.simulated ? <Badge tone="caution">simulated</Badge> : null}
                      </>
                    ),
                  },
                  ...(me.blinded
                    ? []
                    : [{ name: "status", title: "Status", cell: (row: Item<PatientValues>) => row.values.status?.replaceAll("_", " ") ?? "–" }]),
                  { name: "site", title: "Site", cell: (row) => names.get(row.site_id) ?? row.site_id },
                ]}
              />
            )
          }
        </Answered>
      </Panel>
      {patients.data && patients.data.total > AT_ONCE ? (
        <div style={{ display: "flex", gap: 8, alignItems: "center" }}>
          <Button disabled={trail.length === 1} onClick={() => setTrail((all) => all.slice(0, -1))}>
            Back
          </Button>
          <span>
            {first + 1} to {first + patients.data.items.length} of {patients.data.total}
          </span>
          <Button disabled={patients.data.next === ""} onClick={() => setTrail((all) => [...all, patients.data?.next ?? ""])}>
            Next
          </Button>
        </div>
      ) : null}
      {adding ? <AddDialog sites={sites.data?.items ?? []} onClose={() => setAdding(false)} /> : null}
    </Page>
  );
}

function AddDialog({ sites, onClose }: { sites: Item<{ name: string }>[]; onClose: () => void }) {
  const me = useMe();
  const own = me.site_ids;
  const [subject, setSubject] = useState("");
  const [site, setSite] = useState(own[0] ?? "");
  const change = useChange<{ item_id: string }>();
  const [, go] = useLocation();
  const form = useId();
  const names = new Map(sites.map((one) => [one.item_id, one.values.name]));
  async function send(event: FormEvent) {
    event.preventDefault();
    const { data } = await change.mutateAsync({
      method: "POST",
      path: "/api/patient",
      body: { site_id: site, values: { subject_id: subject.trim(), status: "screening" } },
    });
    go(`/patient/${data.item_id}`);
  }
  return (
    <Dialog
      title="Add a patient"
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending}>
            Add
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={(event) => void send(event).catch(() => undefined)}>
        <TextField label="Subject number" required autoFocus maxLength={100} value={subject} onChange={(event) => setSubject(event.target.value)} hint="As in the trial; never a name." />
        <SelectField label="Site" required value={site} onChange={(event) => setSite(event.target.value)} options={own.map((id) => ({ value: id, label: names.get(id) ?? id }))} />
      </form>
      {change.error ? <Failure error={change.error} /> : null}
    </Dialog>
  );
}
