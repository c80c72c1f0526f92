import { useQuery } from "@tanstack/react-query";
import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { client, unwrap } from "../../api/client";
import { useItems } from "../../api/items";
import { useMay } from "../../shell/me";
import { useShortcut } from "../../shell/shortcuts";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { SelectField, TextField } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { day } from "../../ui/numbers";
import { capital } from "../../ui/words";
import styles from "./Due.module.css";

const STATES = [
  { value: "", label: "All" },
  { value: "overdue", label: "Overdue" },
  { value: "due", label: "Due" },
  { value: "planned", label: "Coming" },
] as const;
const TONES: Record<string, Tone> = { overdue: "bad", due: "caution", planned: "quiet" };
const SPANS = [7, 14, 28, 84].map((days) => ({ value: String(days), label: days === 7 ? "this week" : `next ${days / 7} weeks` }));
const AT_ONCE = 100;

/** Who has to be seen, the latest first, each with the reason that the schedule gives. */
export default function DuePage() {
  const [state, setState] = useState("");
  const [within, setWithin] = useState("7");
  const [site, setSite] = useState("");
  const [name, setName] = useState("");
  const [search, setSearch] = useState("");
  const [offset, setOffset] = useState(0);
  const query = { state, within_days: Number(within), site_id: site, name, search, offset, limit: AT_ONCE };
  const due = useQuery({
    queryKey: ["due", query],
    queryFn: () => unwrap(client.GET("/api/due", { params: { query } })),
    placeholderData: keepPreviousData,
  });
  const sites = useItems<{ name: string }>("site", { limit: 500 });
  const mayEnter = useMay("study.write");
  const siteNames = new Map(sites.data?.items.map((one) => [one.item_id, one.values.name]));
  const choose = (act: () => void) => {
    act();
    setOffset(0);
  };
  STATES.forEach((one, place) => useShortcut(String(place + 1), `Show ${one.label.toLowerCase()}`, () => choose(() => setState(one.value))));
  const counts = due.data?.counts ?? {};
  const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return (
    <Page
      title="Who is due"
      ready={due.data !== undefined && !due.isPlaceholderData}
      actions={STATES.map((one) => (
        <Button key={one.value} pressed={one.value === state} onClick={() => choose(() => setState(one.value))}>
          {one.label} <span className={styles.count}>{one.value ? (counts[one.value] ?? 0) : all}</span>
        </Button>
      ))}
    >
      <div className={styles.filters}>
        <SelectField label="Looking ahead" options={SPANS} value={within} onChange={(event) => choose(() => setWithin(event.target.value))} />
        <SelectField
          label="Site"
          empty="all sites"
          options={(sites.data?.items ?? []).map((one) => ({ value: one.item_id, label: one.values.name }))}
          value={site}
          onChange={(event) => choose(() => setSite(event.target.value))}
        />
        <SelectField
          label="Visit"
          empty="all visits"
          options={["injection", "imaging", "safety", "survival"].map((one) => ({ value: one, label: one }))}
          value={name}
          onChange={(event) => choose(() => setName(event.target.value))}
        />
        <TextField label="Subject" type="search" value={search} onChange={(event) => choose(() => setSearch(event.target.value))} />
      </div>
      <Panel flush>
        <Answered asked={due} what="who is due">
          {(found) =>
            "not_evaluable" in found.schedule ? (
              <Empty title="No visits can be derived" action={mayEnter ? <Link href="/trial">Enter the protocol version</Link> : null}>
                {capital(found.schedule.not_evaluable)}.{mayEnter ? "" : " A data manager enters the protocol version with its schedule."}
              </Empty>
            ) : found.rows.length === 0 ? (
              <Empty title="Nobody">No visit is {state || "overdue, due or coming"} with these filters.</Empty>
            ) : (
              <Table
                caption="Visits to see to, overdue ones first"
                rows={found.rows}
                rowKey={(row) => `${row.patient_id} ${row.name} ${row.number}`}
                columns={[
                  {
                    name: "subject",
                    title: "Subject",
                    cell: (row) => (
                      <span className={styles.subject}>
                        <Link href={`/patient/${row.patient_id}/visits`}>{row.subject_id}</Link>
                        {row.simulated ? <span className={styles.quiet}>simulated</span> : null}
                      </span>
                    ),
                  },
                  { name: "site", title: "Site", cell: (row) => siteNames.get(row.site_id) ?? row.site_id },
                  { name: "visit", title: "Visit", cell: (row) => `${row.name} ${row.number ?? ""}` },
                  { name: "state", title: "State", cell: (row) => <Badge tone={TONES[row.state] ?? "quiet"}>{row.state === "planned" ? "coming" : row.state}</Badge> },
                  { name: "due", title: "Planned day", cell: (row) => (row.due_first === row.due ? day(row.due_first) : row.due || "–") },
                  { name: "window", title: "Window", cell: (row) => (row.opens && row.closes ? `${day(row.opens)} to ${day(row.closes)}` : "not set") },
                  { name: "booked", title: "Booked", cell: (row) => day(row.booked) },
                  { name: "reason", title: "Why", cell: (row) => <span className={styles.reason}>{row.reason}</span> },
                ]}
              />
            )
          }
        </Answered>
      </Panel>
      {due.data && due.data.total > AT_ONCE ? (
        <div className={styles.pages}>
          <Button disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - AT_ONCE))}>
            Earlier rows
          </Button>
          <span>
            {offset + 1} to {Math.min(offset + AT_ONCE, due.data.total)} of {due.data.total}
          </span>
          <Button disabled={offset + AT_ONCE >= due.data.total} onClick={() => setOffset(offset + AT_ONCE)}>
            Later rows
          </Button>
        </div>
      ) : null}
      {due.data && !("not_evaluable" in due.data.schedule) ? (
        <p className={styles.source}>
          As of {day(due.data.as_of)}, by the schedule “{due.data.schedule.title}”.
          {due.data.schedule.unverified.length > 0 ? ` Unverified: ${due.data.schedule.unverified.join(", ")}.` : ""}
          {due.data.schedule.not_set.length > 0 ? ` Not set: ${due.data.schedule.not_set.join(", ")}.` : ""}
        </p>
      ) : null}
    </Page>
  );
}
